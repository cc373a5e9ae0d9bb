import { events } from './events.ts'
import { registers } from './registers.ts'
import { window } from './window.ts'

/**
 * The first stamps of events; an event not known is recorded.
 *
 * KEYS: one for each event.
 * Input: events.
 * Answers the stamps, false where an id came with other content.
 */
export const firstStampsScript = /* lua */ `${window}${registers}${events}
local stamps = {}
for index, event in ipairs(input.events) do
  local key = KEYS[index]
  local stamp, record = firstStampOf(readEvent(key), key, event.stamp)
  if record then writeEvent(key, record) end
  stamps[index] = stamp or false
end
return cjson.encode(stamps)
`
