/**
 * Cancels an admission: what was reserved under its grant and what its attempts took goes back, and the grant is void from
 * then on. KEYS: quota, grant, then for each request a visitor and a source's quota key (the visitor's key again where
 * there is no source). Answers the units that were given back.
 */
import { prelude, registers } from './prelude.ts'

export const cancelScript = `${prelude}${registers}
local window = openWindow(KEYS[1])
local back = 0
local bucket, granted = string.match(redis.call('GET', KEYS[2]) or '', '^(%d+)|(%d+)|')
if bucket and granted ~= '0' then
  window:giveBack(tonumber(bucket), tonumber(granted))
  back = back + tonumber(granted)
  -- What follows may fail on one visitor.
  window:save()
end
redis.call('SET', KEYS[2], 'cancelled', 'PX', text(input.cancelledMs))
for index, request in ipairs(input.requests) do
  local visitor, source = KEYS[1 + 2 * index], KEYS[2 + 2 * index]
  local taken = nil
  for _, attribute in ipairs(request.attributes) do
    if readRegister(visitor, attribute.name).token == request.token then
      local _, from = settleRegister(visitor, attribute.name, attribute.stamp, 'unsent', request.token)
      taken = taken or from
    end
  end
  if taken then
    window:giveBack(taken, request.units)
    back = back + request.units
    if source ~= visitor then
      local own = openSource(source)
      own:giveBack(taken, request.units)
      own:save()
    end
  end
end
window:save()
return text(back)
`
