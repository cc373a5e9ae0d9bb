/** The ledger's small steps. */
import { prelude, registers } from './prelude.ts'

/** KEYS: one a event. Answers their first stamps; an event not known is recorded. */
export const firstStampsScript = `${prelude}${registers}
local stamps = {}
for index, event in ipairs(input.events) do
  local seen = readEvent(KEYS[index])
  if not seen then
    seen = { stamp = event.stamp, at = now, done = false }
    writeEvent(KEYS[index], seen)
  end
  stamps[index] = seen.stamp
end
return cjson.encode(stamps)
`

/** KEYS: quota, counters. */
export const usageScript = `${prelude}
window.open(KEYS[1])
window.save()
local buckets = {}
if window.oldest then
  for bucket = window.oldest, window.newest do
    local units = tonumber(redis.call('HGET', KEYS[1], text(bucket))) or 0
    if units > 0 then buckets[#buckets + 1] = { bucket, units } end
  end
end
local counters, flat = {}, redis.call('HGETALL', KEYS[2])
for index = 1, #flat, 2 do counters[#counters + 1] = { flat[index], tonumber(flat[index + 1]) } end
return cjson.encode({ total = window.total, buckets = buckets, counters = counters })
`

/** KEYS: the lease. Input: holder, ttlMs. The value keeps the end by the ledger's own clock. */
export const leaseScript = `${prelude}
local holder, untilMs = string.match(redis.call('GET', KEYS[1]) or '', '^([^|]*)|(%d+)$')
if holder and holder ~= input.holder and tonumber(untilMs) > now then return 'false' end
redis.call('SET', KEYS[1], input.holder .. '|' .. text(now + input.ttlMs), 'PX', text(input.ttlMs + 60000))
return 'true'
`

/** KEYS: the lease. Input: holder. */
export const releaseScript = `${prelude}
local holder = string.match(redis.call('GET', KEYS[1]) or '', '^([^|]*)|')
if holder == input.holder then redis.call('DEL', KEYS[1]) end
return 'null'
`
