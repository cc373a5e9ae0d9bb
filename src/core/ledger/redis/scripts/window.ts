import { pace } from './pace.ts'

/**
 * What all scripts share: the clock, and the exact rolling window in one Redis hash with a sorted set beside it
 * (`<key>|ends`). Fields: `t` the total, `f` from where on it has been counted, `n` the newest bucket, `s` the latest
 * time seen, `d` before which units may have been removed, `g` all units ever granted, `v` the format, and one field a
 * bucket; that of all units also has `e` the epoch, `l` when state was lost, `k` the retentions that were set and since
 * when, `c` when an operator last confirmed the time.
 *
 * A bucket is named by the last millisecond at which a unit of it may have been granted, so that it means the same
 * under any width; the sorted set finds it by that. It counts until that moment is older than window plus slack, and is
 * removed one window later; a clock that steps back can't reopen the past. The hash does not expire: its absence is a
 * loss.
 *
 * While the clock is behind what was seen by more than the tolerance, `now` is the latest time seen.
 *
 * With `spanMs` what is taken is paced (rules/pace.ts).
 *
 * ARGV[1] is JSON: { now?, bucketMs, keptMs, ... }. Without `now` (it is given in tests only) the server's clock
 * decides.
 */
export const window = /* lua */ `
local input = cjson.decode(ARGV[1])
local now = input.now
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local clock = now

local function text(number) return string.format('%.0f', number) end
local function lastOf(ms) return (math.floor(ms / input.bucketMs) + 1) * input.bucketMs - 1 end

-- Buckets by number, of a width that is not written down: read by today's where that is plausible, else the whole total
-- counts as granted now.
local function takeOver(key, total, newest)
  local flat, old = redis.call('HGETALL', key), {}
  for index = 1, #flat, 2 do
    if string.match(flat[index], '^%d+$') then
      old[#old + 1] = { tonumber(flat[index]), tonumber(flat[index + 1]) }
      redis.call('HDEL', key, flat[index])
    end
  end
  local frontier, counted, last = now - input.keptMs, 0, 0
  local plausible = newest * input.bucketMs <= now + input.toleranceMs
    and (newest + 1) * input.bucketMs > now - 2 * input.keptMs
  if not plausible then old = { { math.floor(now / input.bucketMs), total } } end
  for _, bucket in ipairs(old) do
    local ends = lastOf(bucket[1] * input.bucketMs)
    if bucket[2] > 0 then
      redis.call('HSET', key, text(ends), text(bucket[2]))
      redis.call('ZADD', key .. '|ends', text(ends), text(ends))
      if ends >= frontier then counted = counted + bucket[2] end
      last = math.max(last, ends)
    end
  end
  redis.call('HDEL', key, 'o')
  -- What had left its window then is gone.
  redis.call('HSET', key, 't', text(counted), 'f', text(frontier), 'n', text(last),
    's', text(plausible and newest * input.bucketMs or now),
    'd', text(frontier - input.toleranceMs), 'v', text(input.format))
  local ttl = redis.call('PTTL', key)
  if ttl > 0 then redis.call('PEXPIRE', key .. '|ends', text(ttl + 60000)) end
end

local Window = {}
Window.__index = Window
local function openAccount(key)
  local function read() return redis.call('HMGET', key, 't', 'f', 'n', 's', 'd', 'g', 'v', 'e', 'l', 'k', 'c') end
  local kept = read()
  if kept[7] and tonumber(kept[7]) > input.format then
    return error('NEWER_FORMAT ' .. kept[7])
  end
  if kept[1] and not kept[7] then
    takeOver(key, tonumber(kept[1]), tonumber(kept[3]) or 0)
    kept = read()
  end
  return setmetatable({ key = key, ends = key .. '|ends', total = tonumber(kept[1]) or 0,
    frontier = tonumber(kept[2]), newest = tonumber(kept[3]) or 0,
    seen = tonumber(kept[4]) or 0, forgotten = tonumber(kept[5]) or 0, granted = tonumber(kept[6]) or 0,
    epoch = kept[8] or nil, lost = tonumber(kept[9]) or 0, knobs = kept[10] or '',
    confirmed = tonumber(kept[11]) or 0 }, Window)
end
-- That of all units: it comes first, since it says what time it is.
local function openWindow(key)
  local window = openAccount(key)
  if now < window.seen - input.toleranceMs then
    window.jumpedBy, now = now - window.seen, window.seen
  elseif now <= window.confirmed + input.longestInFlightMs then
    window.jumpedBy = 0
  end
  window:count()
  window:readRetentions()
  return window
end
-- That of a source with a share of its own.
local function openSource(key)
  local window = openAccount(key)
  window:count()
  if window.seen > now + input.toleranceMs then window:redate() end
  return window
end

function Window:range(from, to) return redis.call('ZRANGEBYSCORE', self.ends, from, to) end
function Window:unitsOf(bucket) return tonumber(redis.call('HGET', self.key, bucket)) or 0 end
function Window:unitsWithin(from, to)
  local units, buckets = 0, self:range(from, to)
  for first = 1, #buckets, 100 do
    local some = redis.call('HMGET', self.key, unpack(buckets, first, math.min(first + 99, #buckets)))
    for _, own in ipairs(some) do units = units + (tonumber(own) or 0) end
  end
  return units
end
function Window:remove(buckets)
  for _, bucket in ipairs(buckets) do
    redis.call('HDEL', self.key, bucket)
    redis.call('ZREM', self.ends, bucket)
  end
end
-- Everything that is kept, with the units of one bucket where one changes. One command, so that the total is that of
-- the buckets whatever ends a script: what an error cuts short stays done as far as it came.
function Window:save(bucket, units)
  local fields = { 't', text(self.total), 'f', text(self.frontier), 'n', text(self.newest), 's', text(self.seen),
    'd', text(self.forgotten), 'g', text(self.granted), 'v', text(input.format) }
  if bucket then fields[#fields + 1], fields[#fields + 2] = bucket, text(units) end
  redis.call('HSET', self.key, unpack(fields))
end
-- Counts as of now. Where only time has passed, and no bucket, what is kept stays right as it is.
function Window:count()
  local frontier = now - input.keptMs
  local before = self.frontier or frontier
  local passed = 0
  if before < frontier then passed = -self:unitsWithin(text(before), text(frontier - 1)) end
  if before > frontier then passed = self:unitsWithin(text(frontier), text(before - 1)) end
  self.frontier, self.total = frontier, self.total + passed
  if passed ~= 0 then self:save() end
end
-- Removes what has long ceased to count, some of it at a time: later than a clock may be set back unnoticed.
function Window:removedBefore() return self.frontier - math.max(input.windowMs, input.toleranceMs) end
function Window:forget()
  local gone = redis.call('ZRANGEBYSCORE', self.ends, '-inf', text(self:removedBefore() - 1), 'LIMIT', 0, 1000)
  if #gone == 0 then return end
  self.forgotten = math.max(self.forgotten, tonumber(gone[#gone]) + 1)
  self:save()
  self:remove(gone)
end
-- Where more of the past counts than is still known, up to the limit counts as spent now. How many were added.
function Window:reckon()
  if self.frontier >= self.forgotten then return 0 end
  local unknown = math.max(0, input.limit - self.total)
  self.forgotten = self.frontier
  if unknown > 0 then self:charge(unknown) else self:save() end
  return unknown
end
-- The bucket that holds the last of the oldest 'needed' units.
function Window:bucketWith(needed, from)
  local freed = 0
  repeat
    local some = redis.call('ZRANGEBYSCORE', self.ends, from, '+inf', 'LIMIT', 0, 100)
    for _, bucket in ipairs(some) do
      freed = freed + self:unitsOf(bucket)
      if freed >= needed then return tonumber(bucket) end
      from = '(' .. bucket
    end
  until #some == 0
end
function Window:freeAt(needed)
  local last = self:bucketWith(needed, text(self.frontier))
  return last and last + 1 + input.keptMs
end
${pace}function Window:put(last, units)
  if units == 0 then return self:save() end
  local bucket = text(last)
  local before = self:unitsOf(bucket)
  -- A bucket that only the set names has no units.
  if before == 0 then redis.call('ZADD', self.ends, bucket, bucket) end
  if last >= self.frontier then self.total = self.total + units end
  if self.recent and last >= self.spanFrom then self.recent = self.recent + units end
  self:save(bucket, before + units)
end
-- The bucket that they are in.
function Window:add(units)
  local last = math.max(self.newest, lastOf(now))
  self:put(last, units)
  return last
end
-- Whether there is no room for the units; and then, where there can ever be, when there will be.
function Window:isFull(units, ceiling)
  if units > ceiling then return true, nil end
  if self.total + units > ceiling then return true, self:freeAt(self.total + units - ceiling) end
  local pacedUntil = input.spanMs and self:pacedUntil(units, ceiling)
  return pacedUntil ~= nil, pacedUntil
end
-- What is only reserved leaves no trace: the next may be dated before it.
function Window:see()
  self.newest, self.seen = math.max(self.newest, lastOf(now)), math.max(self.seen, now)
end
-- Granted for good: what is only reserved is not counted as granted.
function Window:charge(units)
  self.granted = self.granted + units
  self:see()
  return self:add(units)
end
-- Units that another ledger granted, in their own bucket.
function Window:chargeAt(last, units)
  if last >= lastOf(now) then return self:charge(units) end
  self.granted = self.granted + units
  if last >= self:removedBefore() then return self:put(last, units) end
  self.forgotten = math.max(self.forgotten, last + 1)
  self:save()
end
function Window:giveBack(last, units)
  local bucket = text(last)
  local before = self:unitsOf(bucket)
  local back = math.min(units, before)
  if back <= 0 then return end
  if last >= self.frontier then self.total = self.total - back end
  self:save(bucket, before - back)
  if back == before then self:remove({ bucket }) end
end
function Window:giveBackAll(buckets)
  for _, bucket in ipairs(buckets) do self:giveBack(tonumber(bucket), self:unitsOf(bucket)) end
end
function Window:restate(units)
  self:giveBackAll(self:range(text(self.frontier), '+inf'))
  -- An older version's scripts could leave a total that was not that of the buckets.
  self.total = 0
  if units > 0 then self:see() end
  self:add(units)
end
-- What was dated in the future was granted by now: the time was confirmed.
function Window:redate()
  local last, future = lastOf(now), 0
  local buckets = self:range('(' .. text(last), '+inf')
  for _, bucket in ipairs(buckets) do future = future + self:unitsOf(bucket) end
  self.newest, self.seen = math.min(self.newest, last), now
  self:put(last, future)
  self:giveBackAll(buckets)
end

-- The rules of retention.ts. Written only where a retention was set anew, in a ledger that lives.
function Window:writeRetentions()
  local parts = {}
  for place, one in ipairs(self.retentions) do parts[place] = text(one.since) .. ':' .. text(one.ms) end
  redis.call('HSET', self.key, 'k', table.concat(parts, ','))
end
function Window:readRetentions()
  self.retentions = {}
  for since, ms in string.gmatch(self.knobs, '(%d+):(%d+)') do
    self.retentions[#self.retentions + 1] = { since = tonumber(since), ms = tonumber(ms) }
  end
  local set = self.retentions[#self.retentions]
  if set and set.ms == input.retentionMs then return end
  local all, since = {}, nil
  for _, one in ipairs(self.retentions) do
    if one.ms < input.retentionMs then all[#all + 1] = one elseif not since then since = one.since end
  end
  if #all == 0 then since = 0 end
  all[#all + 1] = { since = since or math.max(now, set.since), ms = input.retentionMs }
  if #all > input.maxRetentions then table.remove(all, 2) end
  self.retentions = all
  if self.epoch then self:writeRetentions() end
end
function Window:retentionAt(time)
  for place = #self.retentions, 1, -1 do
    local one = self.retentions[place]
    if one.since <= time or place == 1 then return one.ms end
  end
end

local function extend(key, ttl)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, text(ttl)) end
end
function Window:extend()
  -- The hash first: a total without its buckets would never shrink.
  extend(self.ends, 2 * input.keptMs + input.windowMs + 120000)
  extend(self.key, 2 * input.keptMs + input.windowMs + 60000)
end
`
