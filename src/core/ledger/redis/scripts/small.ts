/** The ledger's small steps. */
import { health, prelude, registers } from './prelude.ts'

/** KEYS: one a event. Answers their first stamps, false where an id came with other content; an event not known is recorded. */
export const firstStampsScript = `${prelude}${registers}
local stamps = {}
for index, event in ipairs(input.events) do
  local key = KEYS[index]
  local seen = readEvent(key)
  local another = seen and isAnother(seen, key, event.stamp)
  if not seen or (another and seen.rejected) then
    seen, another = { stamp = event.stamp, at = now, done = false }, false
    writeEvent(key, seen)
  end
  stamps[index] = not another and seen.stamp
end
return cjson.encode(stamps)
`

const summary = `
local window = openWindow(KEYS[1])
window:save()
local leads, kept = {}, redis.call('HGETALL', KEYS[3])
for index = 1, #kept, 2 do
  local ms, at = string.match(kept[index + 1], '^(%d+)|(%d+)$')
  if math.abs(now - tonumber(at)) <= input.leadLivesMs then leads[#leads + 1] = { kept[index], tonumber(ms) } end
end
local answer = { total = window.total, health = readHealth(KEYS[2]), lost = window.lost, leads = leads, jumpedBy = window.jumpedBy }
`

/** KEYS: quota, health, leads. */
export const summaryScript = `${prelude}${health}${summary}
return cjson.encode(answer)
`

/** KEYS: quota, health, leads, counters. Buckets by their last millisecond. */
export const usageScript = `${prelude}${health}${summary}
answer.buckets, answer.counters, answer.freeAt = {}, {}, window:freeAt(1)
for _, bucket in ipairs(window:range(text(window.frontier), '+inf')) do
  answer.buckets[#answer.buckets + 1] = { tonumber(bucket), window:unitsOf(bucket) }
end
local flat = redis.call('HGETALL', KEYS[4])
for index = 1, #flat, 2 do answer.counters[#answer.counters + 1] = { flat[index], tonumber(flat[index + 1]) } end
return cjson.encode(answer)
`

/** KEYS: quota, health. The clock is right as it is. */
export const confirmClockScript = `${prelude}${health}
local window = openWindow(KEYS[1])
now = clock
window:count()
window:redate()
window:save()
for _, one in ipairs(window.retentions) do one.since = math.min(one.since, now) end
window:writeRetentions()
-- A loss stays when it was found, also where that is ahead now.
redis.call('HSET', KEYS[1], 'c', text(now))
local h = readHealth(KEYS[2])
-- A breaker that opened in the future would stay open until then.
if h.breaker and h.breaker.untilMs > now then
  h.breaker.untilMs = now
  writeHealth(KEYS[2], h)
end
return 'null'
`

/** KEYS: quota. The epoch that stands, and units granted in it; null where there is none. */
export const lifeScript = `${prelude}
local window = openWindow(KEYS[1])
if not window.epoch then return 'null' end
return cjson.encode({ epoch = window.epoch, granted = window.granted })
`

/** KEYS: quota. Input: epoch, lost, after, limit. Answers the life that stands. Field `r`: the epochs that were replaced. */
export const beginScript = `${prelude}
local window = openWindow(KEYS[1])
local replaced = redis.call('HGET', KEYS[1], 'r') or ','
local known = input.after and string.find(replaced, ',' .. input.after .. ',', 1, true)
if window.epoch and (not input.lost or window.epoch == input.epoch or known) then
  return cjson.encode({ epoch = window.epoch, granted = window.granted })
end
for _, epoch in ipairs({ input.after or '', window.epoch or '' }) do
  if epoch ~= '' then replaced = replaced .. epoch .. ',' end
end
redis.call('HSET', KEYS[1], 'v', text(input.format), 'e', input.epoch, 'l', text(input.lost and now + input.slackMs or window.lost), 'r', replaced)
if input.lost then window:charge(math.max(0, input.limit - window.total)) end
window:save()
return cjson.encode({ epoch = input.epoch, granted = window.granted })
`

/** KEYS: quota. Input: granted. */
export const chargeScript = `${prelude}
local window = openWindow(KEYS[1])
if not window.epoch or window.granted >= input.granted then return 'null' end
window:charge(input.granted - window.granted)
window:save()
redis.call('HSET', KEYS[1], 'l', text(now + input.slackMs))
return 'null'
`

/** KEYS: quota. Input: units. */
export const restateScript = `${prelude}
local window = openWindow(KEYS[1])
window:restate(input.units)
window:save()
return 'null'
`

/** KEYS: quota, a visitor. Answers whether it did; it does nothing while the clock is off. */
export const eraseScript = `${prelude}
local window = openWindow(KEYS[1])
if window.jumpedBy then return 'false' end
-- Most visitors have none; UNLINK frees what it removes behind the script's back.
if redis.call('HEXISTS', KEYS[2], 'p') == 1 then
  for page = 0, input.pages - 1 do redis.call('UNLINK', KEYS[2] .. ':' .. text(page)) end
end
redis.call('UNLINK', KEYS[2])
redis.call('HSET', KEYS[2], 'x', text(now))
extend(KEYS[2], input.retentionMs)
return 'true'
`

/** KEYS: the lease. Input: holder, ttlMs. The value keeps the end by the ledger's own clock. */
export const leaseScript = `${prelude}
local holder, untilMs = string.match(redis.call('GET', KEYS[1]) or '', '^([^|]*)|(%d+)$')
untilMs = tonumber(untilMs)
-- One that would live longer than a lease does was taken by a clock that was ahead.
if holder and holder ~= input.holder and untilMs > now and untilMs <= now + input.ttlMs + input.toleranceMs then return 'false' end
redis.call('SET', KEYS[1], input.holder .. '|' .. text(now + input.ttlMs), 'PX', text(input.ttlMs + 60000))
return 'true'
`

/** KEYS: the lease. Input: holder. */
export const releaseScript = `${prelude}
local holder = string.match(redis.call('GET', KEYS[1]) or '', '^([^|]*)|')
if holder == input.holder then redis.call('DEL', KEYS[1]) end
return 'null'
`
