/**
 * What all scripts share: the clock, and the exact rolling window in one Redis hash. Fields: `t` the total, `o` the oldest
 * bucket that may be live, `n` the newest one seen, `g` all units ever granted, and one field a bucket; that of all units
 * also has `e` the epoch and `l` when state was lost. A bucket lives until its newest possible unit is older than window
 * plus slack; a clock that steps back can't reopen the past. The hash does not expire: its absence is a loss.
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

local Window = {}
Window.__index = Window
local function openWindow(key)
  local state = redis.call('HMGET', key, 't', 'o', 'n', 'g', 'e', 'l')
  local window = setmetatable({ key = key, total = tonumber(state[1]) or 0, oldest = tonumber(state[2]), newest = tonumber(state[3]) or 0,
    granted = tonumber(state[4]) or 0, epoch = state[5] or nil, lost = tonumber(state[6]) or 0 }, Window)
  window.before = window:summary()
  if not window.oldest then return window end
  -- What leaves is written at once: no script can forget half of it.
  local last = math.min(math.floor((now - input.keptMs) / input.bucketMs) - 1, window.newest)
  for bucket = window.oldest, last do
    local units = tonumber(redis.call('HGET', key, text(bucket)))
    if units then
      window.total = window.total - units
      redis.call('HDEL', key, text(bucket))
    end
  end
  if last >= window.oldest then window.oldest = last + 1 end
  window:save()
  window.before = window:summary()
  return window
end
function Window:summary()
  return text(self.total) .. ' ' .. text(self.oldest or -1) .. ' ' .. text(self.newest) .. ' ' .. text(self.granted)
end
function Window:save()
  if not self.oldest or self:summary() == self.before then return end
  redis.call('HSET', self.key, 't', text(self.total), 'o', text(self.oldest), 'n', text(self.newest), 'g', text(self.granted))
end
function Window:leavesAt(bucket) return (bucket + 1) * input.bucketMs + input.keptMs end
function Window:freeAt(needed)
  local freed = 0
  for bucket = self.oldest or 0, self.newest do
    freed = freed + (tonumber(redis.call('HGET', self.key, text(bucket))) or 0)
    if freed >= needed then return self:leavesAt(bucket) end
  end
end
function Window:add(units)
  local bucket = math.max(self.newest, math.floor(now / input.bucketMs))
  if self.total == 0 or not self.oldest or bucket < self.oldest then self.oldest = bucket end
  self.newest, self.total = bucket, self.total + units
  redis.call('HINCRBY', self.key, text(bucket), text(units))
  return bucket
end
-- The bucket the units were taken from; or nil and, where it can ever be, the time when there will be room.
function Window:take(units, ceiling)
  if self.total + units > ceiling then
    if units > ceiling then return nil, nil end
    return nil, self:freeAt(self.total + units - ceiling)
  end
  return self:add(units)
end
-- Units that another ledger granted, in their own bucket; not those that no window can count any more.
function Window:chargeAt(bucket, units)
  if bucket >= math.floor(now / input.bucketMs) then
    self:charge(units)
  elseif self:leavesAt(bucket) > now then
    self.granted, self.total = self.granted + units, self.total + units
    if self.total == units or not self.oldest or bucket < self.oldest then self.oldest = bucket end
    self.newest = math.max(self.newest, bucket)
    redis.call('HINCRBY', self.key, text(bucket), text(units))
  end
end
-- Granted for good: what is only reserved is not counted as granted.
function Window:charge(units)
  self.granted = self.granted + units
  return self:add(units)
end
function Window:giveBack(bucket, units)
  local back = math.min(units, tonumber(redis.call('HGET', self.key, text(bucket))) or 0)
  if back <= 0 then return end
  if redis.call('HINCRBY', self.key, text(bucket), text(-back)) == 0 then redis.call('HDEL', self.key, text(bucket)) end
  self.total = self.total - back
end

local function extend(key, ttl)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, text(ttl)) end
end
`

/** Registers and events as the scripts that need them read and write them; the rules are those of `register.ts`. */
export const registers = `
local function readRegister(key, name)
  local kept = redis.call('HGET', key, 'a:' .. name)
  if not kept then return { below = {} } end
  local done, open, at, token, again, rest = string.match(kept, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)$')
  local function some(part) if part ~= '' then return part end end
  local below = {}
  for stamp in string.gmatch(rest, '[^,]+') do below[#below + 1] = stamp end
  return { done = some(done), open = some(open), at = tonumber(at), token = some(token), again = again == '1', below = below }
end
local function writeRegister(key, name, r)
  local parts = { r.done or '', r.open or '', r.at and text(r.at) or '', r.token or '', r.again and '1' or '', table.concat(r.below or {}, ',') }
  redis.call('HSET', key, 'a:' .. name, table.concat(parts, '|'))
end
-- Older stamps of open fate, as far as none newer was delivered; the oldest twice where they are too many.
local function openBelow(stamps, done)
  local below = {}
  for _, stamp in ipairs(stamps) do
    if not done or stamp > done then below[#below + 1] = stamp end
  end
  if #below > input.maxBelow then
    local few = {}
    for place = 1, input.maxBelow - 1 do few[place] = below[place] end
    few[input.maxBelow] = below[input.maxBelow - 1]
    return few
  end
  return below
end
local function with(first, rest)
  local all = { first }
  for _, stamp in ipairs(rest or {}) do all[#all + 1] = stamp end
  return all
end
local function stampTime(stamp) return tonumber(string.sub(stamp, 2, 14)) end
local function stampArrival(stamp) return tonumber(string.sub(stamp, 15, 27)) end
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

/** The breaker and the pause as the scripts that need them read and write them; the rules are those of `health.ts`. */
export const health = `
local function listed(text)
  local list = {}
  for one in string.gmatch(text or '', '[^\\n]+') do list[#list + 1] = one end
  return list
end
local function setOf(list)
  local set = {}
  for _, one in ipairs(list) do set[one] = true end
  return set
end
local function hasAll(traits, wanted)
  local known = setOf(traits)
  for _, one in ipairs(wanted) do
    if not known[one] then return false end
  end
  return true
end
local function sharedTraits(some, others)
  local known, both = setOf(others), {}
  for _, one in ipairs(some) do
    if known[one] then both[#both + 1] = one end
  end
  return both
end
local function traitsOf(visitor, sources, names)
  local traits = { 'v:' .. visitor }
  for _, source in ipairs(sources or {}) do traits[#traits + 1] = 's:' .. source end
  for _, name in ipairs(names) do traits[#traits + 1] = 'a:' .. name end
  return traits
end
local function readHealth(key)
  local kept = redis.call('HMGET', key, 'p', 'f', 'ft', 'r', 'v', 'rt', 'd', 'dt', 'c', 's', 'u', 'n', 'bt', 'y')
  local h = { paused = kept[1] == '1', failures = tonumber(kept[2]) or 0, failedTraits = listed(kept[3]), refusals = tonumber(kept[4]) or 0,
    refused = listed(kept[5] and string.gsub(kept[5], ',', '\\n')), refusedTraits = listed(kept[6]), denied = listed(kept[7]), deniedTraits = listed(kept[8]), saidYes = kept[14] == '1' }
  if kept[9] and kept[9] ~= '' then
    h.breaker = { cause = kept[9], since = tonumber(kept[10]), untilMs = tonumber(kept[11]), probes = tonumber(kept[12]), traits = listed(kept[13]) }
  end
  return h
end
local function writeHealth(key, h)
  local b = h.breaker
  local function lines(list) return table.concat(list, '\\n') end
  redis.call('HSET', key, 'p', h.paused and '1' or '0', 'f', text(h.failures), 'ft', lines(h.failedTraits), 'r', text(h.refusals),
    'v', lines(h.refused), 'rt', lines(h.refusedTraits), 'd', lines(h.denied), 'dt', lines(h.deniedTraits), 'c', b and b.cause or '',
    's', b and text(b.since) or '', 'u', b and text(b.untilMs) or '', 'n', b and text(b.probes) or '', 'bt', b and lines(b.traits) or '',
    'y', h.saidYes and '1' or '0')
end
`
