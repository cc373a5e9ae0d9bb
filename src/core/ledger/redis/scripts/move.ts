/** A ledger's state on its way into another one (`MovedState` in `../port.ts`), and what is known of one visitor. */
import { prelude, registers } from './prelude.ts'

/**
 * KEYS: a visitor. One step over its registers, with at least `together` of them where there are as many. Input: `scan`,
 * where the head is scanned, or `page`, the first page to look into. Answers `known`, and as `scan` or `page` where the
 * next step begins.
 */
export const visitorScript = `${prelude}${registers}
local known, scan, page = {}, nil, input.page
local function list(fields)
  for index = 1, #fields, 2 do
    local r = string.sub(fields[index], 1, 2) == 'a:' and parseRegister(fields[index + 1])
    if r then known[#known + 1] = { name = string.sub(fields[index], 3), done = r.done, open = r.open } end
  end
end
if input.scan then
  local found = redis.call('HSCAN', KEYS[1], input.scan, 'COUNT', text(input.together))
  list(found[2])
  if found[1] ~= '0' then scan = found[1] elseif redis.call('HEXISTS', KEYS[1], 'p') == 1 then page = 0 end
else
  while page < input.pages and #known < input.together do
    list(redis.call('HGETALL', KEYS[1] .. ':' .. text(page)))
    page = page + 1
  end
  if page == input.pages then page = nil end
end
return cjson.encode({ known = known, scan = scan, page = page })
`

/**
 * Input: prefix, cursor, count, together. Steps of SCAN over all that the ledger keeps, until about `count` keys were
 * looked at or `together` registers found: the keys are found, not given. It may show a key twice while keys come and
 * go; a ledger that is paused stands still. A hash with more registers than a page holds (of an older version) is only
 * named, in `large`; with `large` and `scan` in the input one step over that hash is answered, and where the next begins.
 */
export const moveOutScript = `${prelude}${registers}
local units, visitors, events, lost, life = {}, {}, {}, nil, nil
local function rest(key, start)
  local head = input.prefix .. start
  if string.sub(key, 1, #head) == head then return string.sub(key, #head + 1) end
end
local whole = openWindow(input.prefix .. ':quota')
local function account(window, name)
  window:save()
  for _, bucket in ipairs(window:range(text(window.frontier), '+inf')) do
    units[#units + 1] = { account = name, lastMs = tonumber(bucket), units = window:unitsOf(bucket) }
  end
end
-- rest: the visitor's hash, and of a page also its number.
local function moveRegisters(rest, key, fields)
  local moved = {}
  for index = 1, #fields, 2 do
    local r = string.sub(fields[index], 1, 2) == 'a:' and parseRegister(fields[index + 1])
    if r then moved[#moved + 1] = { name = string.sub(fields[index], 3), done = r.done, open = r.open and with(r.open, r.below) or {} } end
  end
  visitors[#visitors + 1] = { hash = string.match(rest, '^(.*):%d+$') or rest, registers = moved,
    keptUntilMs = now + math.max(0, redis.call('PTTL', key)), erasedMs = tonumber(redis.call('HGET', key, 'x')) }
  return #moved
end
if input.large then
  local key = input.prefix .. ':v:' .. input.large
  local found = redis.call('HSCAN', key, input.scan, 'COUNT', text(input.together))
  moveRegisters(input.large, key, found[2])
  return cjson.encode({ scan = found[1], visitors = visitors, units = units, events = events })
end
local cursor, looked, taken, large = input.cursor, 0, 0, {}
repeat
  local found = redis.call('SCAN', cursor, 'MATCH', input.prefix .. ':*', 'COUNT', '10')
  cursor, looked = found[1], looked + 10
  for _, key in ipairs(found[2]) do
    local source, visitor, event = rest(key, ':quota:'), rest(key, ':v:'), rest(key, ':e:')
    if key == input.prefix .. ':quota' then
      account(whole, '')
      lost = whole.lost > 0 and whole.lost or nil
      life = whole.epoch and { epoch = whole.epoch, granted = whole.granted } or nil
    elseif source then
      if string.sub(source, -5) ~= '|ends' then account(openSource(key), source) end
    elseif visitor and redis.call('HLEN', key) > 2 * input.perPage + 3 then
      large[#large + 1] = visitor
    elseif visitor then
      taken = taken + moveRegisters(visitor, key, redis.call('HGETALL', key))
    elseif event then
      local e = readEvent(key)
      local keptUntil = now + math.max(0, redis.call('PTTL', key))
      events[#events + 1] = { event = event, stamp = e.stamp, atMs = e.at, done = e.done, rejected = e.rejected or nil, keptUntilMs = keptUntil }
    end
  end
until cursor == '0' or looked >= input.count or taken >= input.together
return cjson.encode({ cursor = cursor, large = large, units = units, visitors = visitors, events = events, lostMs = lost, life = life })
`

/** KEYS: quota, the memo of the part, one for each account of the units, then each visitor, then each event. Input: the part. */
export const moveInScript = `${prelude}${registers}
local place = 0
local function nextKey()
  place = place + 1
  return KEYS[place]
end
local quota, memo = nextKey(), nextKey()
if input.lostMs and input.lostMs > (tonumber(redis.call('HGET', quota, 'l')) or 0) then
  redis.call('HSET', quota, 'l', text(input.lostMs))
end
local counted = input.id and redis.call('EXISTS', memo) == 1
local whole = openWindow(quota)
for _, some in ipairs(input.units) do
  local key = nextKey()
  local window = some.account == '' and whole or openSource(key)
  if not counted then window:chargeAt(some.lastMs, some.units) end
  window:save()
  if some.account ~= '' then window:extend() end
end
if input.life and (not whole.epoch or whole.epoch == input.life.epoch) then
  whole.granted, whole.changed = math.max(whole.granted, input.life.granted), true
  whole:save()
  redis.call('HSET', quota, 'e', input.life.epoch)
end
if input.id and #input.units > 0 then
  -- As long as any of them could be counted, and a window more.
  local last = now
  for _, some in ipairs(input.units) do last = math.max(last, some.lastMs) end
  redis.call('SET', memo, '1', 'PX', text(last - now + 2 * input.keptMs))
end
for _, visitor in ipairs(input.visitors) do
  local key = nextKey()
  local ttl = math.max(1, visitor.keptUntilMs - now)
  for _, moved in ipairs(visitor.registers) do
    local r = readRegister(key, moved.name)
    if moved.done and (not r.done or moved.done > r.done) then r.done = moved.done end
    local open = r.open and with(r.open, r.below) or {}
    for _, stamp in ipairs(moved.open) do open[#open + 1] = stamp end
    table.sort(open, function(one, other) return one > other end)
    local left = {}
    for _, stamp in ipairs(open) do
      if not r.done or stamp > r.done then left[#left + 1] = stamp end
    end
    local newest = table.remove(left, 1)
    local mine = newest and newest == r.open
    writeRegister(key, moved.name, { done = r.done, open = newest, at = newest and (mine and r.at or 0) or nil,
      life = mine and r.life, token = mine and r.token or nil, again = mine and r.again, below = newest and openBelow(left, r.done) or {} }, ttl)
  end
  if visitor.erasedMs then
    redis.call('HSET', key, 'x', text(math.max(visitor.erasedMs, tonumber(redis.call('HGET', key, 'x')) or 0)))
  end
  extend(key, ttl)
end
for _, moved in ipairs(input.events) do
  local key = nextKey()
  local seen = readEvent(key)
  local first = (seen and seen.stamp < moved.stamp) and seen.stamp or moved.stamp
  writeEvent(key, { stamp = first, at = seen and seen.at or moved.atMs, done = moved.done or (seen and seen.done), rejected = moved.rejected or (seen and seen.rejected) })
end
return 'null'
`
