import { registers } from './registers.ts'
import { rows } from './rows.ts'
import { window } from './window.ts'

/**
 * Cancels an admission (`sql/cancel.ts` on SQL): what was reserved under its grant and what its attempts took goes
 * back, and the grant is void from then on.
 *
 * KEYS: quota, grant, then for each request a visitor and a source's quota (the visitor again where there is no
 * source).
 * Input: requests.
 * Answers the units that were given back.
 */
export const cancelScript = /* lua */ `${window}${registers}${rows}
local window = openWindow(KEYS[1])
local back = 0
local bucket, granted = string.match(redis.call('GET', KEYS[2]) or '', '^(%d+)|(%d+)|')
if bucket and granted ~= '0' then
  window:giveBack(tonumber(bucket), tonumber(granted))
  back = back + tonumber(granted)
end
redis.call('SET', KEYS[2], 'cancelled', 'PX', text(input.cancelledMs))
-- The units that were given back.
local function cancelOne(request, visitor, source)
  local taken = nil
  for _, one in ipairs(request.attributes) do
    if readRegister(visitor, one.name).token == request.token then
      local _, from = settleRegister(visitor, one.name, one.stamp, 'unsent', request.token)
      taken = taken or from
    end
  end
  if not taken then return 0 end
  window:giveBack(taken, request.units)
  if source ~= visitor then
    openSource(source):giveBack(taken, request.units)
  end
  return request.units
end
for index, request in ipairs(input.requests) do
  back = back + cancelOne(request, KEYS[1 + 2 * index], KEYS[2 + 2 * index])
end
return text(back)
`
