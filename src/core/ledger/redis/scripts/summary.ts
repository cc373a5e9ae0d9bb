/** What a ledger on Redis says of itself (`sql/summary.ts` on SQL). */
import { figures } from './figures.ts'
import { health } from './health.ts'
import { window } from './window.ts'

const summary = /* lua */ `
local window = openWindow(KEYS[1])
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
 * KEYS: quota, health, leads, slots, counters.
 * Answers a summary with buckets (pairs of their last millisecond and units), totals (pairs of a line and its
 * counters), counters (pairs, of an older version), and freeAt?.
 */
export const usageScript = /* lua */ `${window}${health}${figures}${summary}
answer.buckets, answer.totals, answer.counters, answer.freeAt = {}, {}, {}, window:freeAt(1)
for _, bucket in ipairs(window:range(text(window.frontier), '+inf')) do
  answer.buckets[#answer.buckets + 1] = { tonumber(bucket), window:unitsOf(bucket) }
end
local totals, starts = {}, redis.call('ZRANGE', KEYS[4], 0, -1)
starts[#starts + 1] = '0'
for _, start in ipairs(starts) do
  eachLine(slotKey(KEYS[4], start), function(line, counts)
    totals[line] = totals[line] or {}
    for name, count in pairs(cjson.decode(counts)) do totals[line][name] = (totals[line][name] or 0) + count end
  end)
end
for line, counts in pairs(totals) do answer.totals[#answer.totals + 1] = { line, counts } end
eachLine(KEYS[5], function(name, count) answer.counters[#answer.counters + 1] = { name, tonumber(count) } end)
return cjson.encode(answer)
`
