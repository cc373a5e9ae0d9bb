/**
 * What all scripts share: the clock, and the exact rolling window in one Redis hash. Fields: `t` the total, `o` the oldest
 * bucket that may be live, `n` the newest one seen, and one field a bucket. A bucket lives until its newest possible
 * unit is older than window plus slack; a clock that steps back can't reopen the past.
 *
 * ARGV[1] is JSON: { now?, bucketMs, keptMs, ... }. Without `now` (it is given in tests only) the server's clock decides.
 */
export const prelude = `
local input = cjson.decode(ARGV[1])
local now = input.now
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function text(number) return string.format('%.0f', number) end

local window = {}
function window.open(key)
  local state = redis.call('HMGET', key, 't', 'o', 'n')
  window.key, window.total = key, tonumber(state[1]) or 0
  window.oldest, window.newest = tonumber(state[2]), tonumber(state[3]) or 0
  if not window.oldest then return end
  local last = math.min(math.floor((now - input.keptMs) / input.bucketMs) - 1, window.newest)
  for bucket = window.oldest, last do
    local units = tonumber(redis.call('HGET', key, text(bucket)))
    if units then
      window.total = window.total - units
      redis.call('HDEL', key, text(bucket))
    end
  end
  if last >= window.oldest then window.oldest = last + 1 end
end
function window.save()
  if not window.oldest then return end
  redis.call('HSET', window.key, 't', text(window.total), 'o', text(window.oldest), 'n', text(window.newest))
  redis.call('PEXPIRE', window.key, text(2 * input.keptMs + 60000))
end
function window.leavesAt(bucket) return (bucket + 1) * input.bucketMs + input.keptMs end
function window.freeAt(needed)
  local freed = 0
  for bucket = window.oldest or 0, window.newest do
    freed = freed + (tonumber(redis.call('HGET', window.key, text(bucket))) or 0)
    if freed >= needed then return window.leavesAt(bucket) end
  end
end
-- The bucket the units were taken from; or nil and, where it can ever be, the time when there will be room.
function window.take(units, ceiling)
  if window.total + units > ceiling then
    if units > ceiling then return nil, nil end
    return nil, window.freeAt(window.total + units - ceiling)
  end
  local bucket = math.max(window.newest, math.floor(now / input.bucketMs))
  if window.total == 0 or not window.oldest or bucket < window.oldest then window.oldest = bucket end
  window.newest, window.total = bucket, window.total + units
  redis.call('HINCRBY', window.key, text(bucket), text(units))
  return bucket
end
function window.giveBack(bucket, units)
  local back = math.min(units, tonumber(redis.call('HGET', window.key, text(bucket))) or 0)
  if back <= 0 then return end
  if redis.call('HINCRBY', window.key, text(bucket), text(-back)) == 0 then redis.call('HDEL', window.key, text(bucket)) end
  window.total = window.total - back
end

local function extend(key, ttl)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, text(ttl)) end
end
`

/** Registers and events as the scripts that need them read and write them; the rules are those of `register.ts`. */
export const registers = `
local function readRegister(key, name)
  local kept = redis.call('HGET', key, 'a:' .. name)
  if not kept then return {} end
  local done, open, at, token, was, below = string.match(kept, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)$')
  local function some(part) if part ~= '' then return part end end
  return { done = some(done), open = some(open), at = tonumber(at), token = some(token), was = some(was), below = some(below) }
end
local function writeRegister(key, name, r)
  local parts = { r.done or '', r.open or '', r.at and text(r.at) or '', r.token or '', r.was or '', r.below or '' }
  redis.call('HSET', key, 'a:' .. name, table.concat(parts, '|'))
end
local function stampTime(stamp) return tonumber(string.sub(stamp, 2, 14)) end
local function keepRegister(key, stamp)
  extend(key, math.max(now, stampTime(stamp)) - now + input.retentionMs + input.slackMs + input.youngMs)
end
local function readBackoff(key)
  local kept = redis.call('HGET', key, 'b')
  if not kept then return nil end
  local attempts, notBefore = string.match(kept, '^(%d+)|(%d+)$')
  return { attempts = tonumber(attempts), notBefore = tonumber(notBefore) }
end
local function readEvent(key)
  local kept = redis.call('GET', key)
  if not kept then return nil end
  local stamp, at, done = string.match(kept, '^([^|]*)|(%d+)|(%d)$')
  return { stamp = stamp, at = tonumber(at), done = done == '1' }
end
local function writeEvent(key, e)
  redis.call('SET', key, e.stamp .. '|' .. text(e.at) .. '|' .. (e.done and '1' or '0'), 'PX', text(input.eventMs))
end
`
