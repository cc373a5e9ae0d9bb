import { health } from './health.ts'
import { window } from './window.ts'

/**
 * The clock is right as it is (`sql/confirm-clock.ts` on SQL).
 *
 * KEYS: quota, health. Answers null.
 */
export const confirmClockScript = /* lua */ `${window}${health}
local window = openWindow(KEYS[1])
now = clock
-- Before the time is right: nothing is admitted meanwhile.
redis.call('HSET', KEYS[1], 'c', text(now))
window:count()
window:redate()
for _, one in ipairs(window.retentions) do one.since = math.min(one.since, now) end
window:writeRetentions()
-- A loss stays when it was found, also where that is ahead now.
local h = readHealth(KEYS[2])
-- A breaker that opened in the future would stay open until then.
if h.breaker and h.breaker.untilMs > now then
  h.breaker.untilMs = now
  writeHealth(KEYS[2], h)
end
return 'null'
`
