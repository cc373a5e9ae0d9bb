import { window } from './window.ts'

/**
 * The quota's half of an admission, run by `Ratelimit`: sets units aside under a grant. As much of `want` as the
 * ceiling leaves, if that is `least` or more, else nothing. Nothing is granted in another epoch than `epoch`, under a
 * grant that was cancelled, nor while the clock is off. Asked again for the same grant it answers the same: nothing is
 * taken twice.
 *
 * KEYS: quota, grant.
 * Input: epoch, want, least, ceiling.
 * Answers { granted, total, retryAt? }.
 */
export const reserveScript = /* lua */ `${window}
local kept = redis.call('GET', KEYS[2])
local window = openWindow(KEYS[1])
local granted, retryAt = 0, nil
if window.epoch ~= input.epoch or window.jumpedBy or kept == 'cancelled' then
  return cjson.encode({ granted = 0, total = 0 })
end
if kept then
  granted = tonumber(string.match(kept, '^%d+|(%d+)'))
else
  local unknown = window:reckon()
  granted = window:paced(math.min(input.want, input.ceiling - window.total), input.least, input.ceiling)
  local bucket = 0
  if granted >= input.least then
    bucket = window:add(granted)
  else
    local _, freeAt = window:isFull(input.least, input.ceiling)
    granted, retryAt = 0, freeAt
  end
  -- Kept even where nothing was granted: the script behind it must be able to tell a refusal from a lost command.
  redis.call('SET', KEYS[2], text(bucket) .. '|' .. text(granted) .. '|' .. text(unknown), 'PX', '60000')
end
return cjson.encode({ granted = granted, total = window.total, retryAt = retryAt })
`
