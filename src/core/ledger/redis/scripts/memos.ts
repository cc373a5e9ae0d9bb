/** Leases and memos on Redis (`sql/memos.ts` on SQL). A memo alone needs no script. */
import { window } from './window.ts'

/**
 * Takes or renews a lease. The value keeps the end by the ledger's own clock.
 *
 * KEYS: the lease, and memos. Input: holder, ttlMs. Answers the text of each memo, false where there is none; false where
 * another holder has the lease.
 */
export const leaseScript = /* lua */ `${window}
local holder, untilMs = string.match(redis.call('GET', KEYS[1]) or '', '^([^|]*)|(%d+)$')
untilMs = tonumber(untilMs)
-- One that would live longer than a lease does was taken by a clock that was ahead.
if holder and holder ~= input.holder and untilMs > now and untilMs <= now + input.ttlMs + input.toleranceMs then
  return 'false'
end
redis.call('SET', KEYS[1], input.holder .. '|' .. text(now + input.ttlMs), 'PX', text(input.ttlMs + 60000))
return cjson.encode(KEYS[2] and redis.call('MGET', unpack(KEYS, 2)) or {})
`

/** KEYS: at least one memo. Answers the text of each, false where there is none. */
export const recallScript = /* lua */ `return cjson.encode(redis.call('MGET', unpack(KEYS)))`

/** KEYS: a memo. Input: before (absent for nothing), value. Answers whether it was so, and is set. */
export const compareAndSetScript = /* lua */ `
local input = cjson.decode(ARGV[1])
if (redis.call('GET', KEYS[1]) or nil) ~= input.before then return 'false' end
redis.call('SET', KEYS[1], input.value)
return 'true'
`

/** KEYS: the lease; optionally a memo, written even if another holder has the lease. Input: holder, value. Answers null. */
export const releaseScript = /* lua */ `${window}
if KEYS[2] then redis.call('SET', KEYS[2], input.value) end
local holder = string.match(redis.call('GET', KEYS[1]) or '', '^([^|]*)|')
if holder == input.holder then redis.call('DEL', KEYS[1]) end
return 'null'
`
