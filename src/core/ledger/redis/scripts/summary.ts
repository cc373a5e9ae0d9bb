/** What a ledger on Redis says of itself (`sql/summary.ts` on SQL). */
import { health } from './health.ts'
import { window } from './window.ts'

const summary = /* lua */ `
local window = openWindow(KEYS[1])
window:save()
local leads, kept = {}, redis.call('HGETALL', KEYS[3])
for index = 1, #kept, 2 do
  local ms, at = string.match(kept[index + 1], '^(%d+)|(%d+)$')
  if math.abs(now - tonumber(at)) <= input.leadLivesMs then leads[#leads + 1] = { kept[index], tonumber(ms) } end
end
local answer = { total = window.total, health = readHealth(KEYS[2]), lost = window.lost, leads = leads,
  jumpedBy = window.jumpedBy }
`

/**
 * KEYS: quota, health, leads.
 * Answers { total, health, lost, leads, jumpedBy? }, leads as pairs of a source and ms.
 */
export const summaryScript = /* lua */ `${window}${health}${summary}
return cjson.encode(answer)
`

/**
 * KEYS: quota, health, leads, counters.
 * Answers a summary with buckets (pairs of their last millisecond and units), counters (pairs), and freeAt?.
 */
export const usageScript = /* lua */ `${window}${health}${summary}
answer.buckets, answer.counters, answer.freeAt = {}, {}, window:freeAt(1)
for _, bucket in ipairs(window:range(text(window.frontier), '+inf')) do
  answer.buckets[#answer.buckets + 1] = { tonumber(bucket), window:unitsOf(bucket) }
end
local flat = redis.call('HGETALL', KEYS[4])
for index = 1, #flat, 2 do answer.counters[#answer.counters + 1] = { flat[index], tonumber(flat[index + 1]) } end
return cjson.encode(answer)
`
