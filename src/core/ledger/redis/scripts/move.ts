/** A ledger's state on its way into another one (`MovedState` in `port.ts`; `sql/move.ts` on SQL). */
import { events } from './events.ts'
import { registers } from './registers.ts'
import { rows } from './rows.ts'
import { window } from './window.ts'

/**
 * Steps of SCAN over all that the ledger keeps, until about `count` keys were looked at or `together` registers found:
 * the keys are found, not given. It may show a key twice while keys come and go; a ledger that is paused stands still.
 * A hash with more registers than a page holds (of an older version) is only named, in `large`.
 *
 * KEYS: none.
 * Input: prefix, cursor, count, together; or prefix, large, scan, together: one step of HSCAN over that hash.
 * Answers { cursor, large, units, visitors, events, lostMs?, life? }; or { scan, visitors, units, events }.
 */
export const moveOutScript = /* lua */ `${window}${registers}${rows}${events}
local units, visitors, events, large, lost, life = {}, {}, {}, {}, nil, nil
local whole = openWindow(input.prefix .. ':quota')
local function rest(key, start)
  local head = input.prefix .. start
  if string.sub(key, 1, #head) == head then return string.sub(key, #head + 1) end
end
local function keptUntil(key) return now + math.max(0, redis.call('PTTL', key)) end
local function moveUnits(window, name)
  for _, bucket in ipairs(window:range(text(window.frontier), '+inf')) do
    units[#units + 1] = { account = name, lastMs = tonumber(bucket), units = window:unitsOf(bucket) }
  end
end
local function moveWhole()
  moveUnits(whole, '')
  lost = whole.lost > 0 and whole.lost or nil
  life = whole.epoch and { epoch = whole.epoch, granted = whole.granted } or nil
end
-- rest: the visitor's hash, and of a page also its number. How many registers it has.
local function moveVisitor(rest, key, fields)
  local moved = {}
  eachRegister(fields, function(name, r) moved[#moved + 1] = { name = name, done = r.done, open = openStamps(r) } end)
  visitors[#visitors + 1] = { hash = string.match(rest, '^(.*):%d+$') or rest, registers = moved,
    keptUntilMs = keptUntil(key), erasedMs = readErased(key) }
  return #moved
end
local function moveEvent(event, key)
  local e = readEvent(key)
  events[#events + 1] = { event = event, stamp = e.stamp, atMs = e.at, done = e.done, rejected = e.rejected or nil,
    keptUntilMs = keptUntil(key) }
end
-- How many registers it has.
local function moveKey(key)
  local source, visitor, event = rest(key, ':quota:'), rest(key, ':v:'), rest(key, ':e:')
  if key == input.prefix .. ':quota' then
    moveWhole()
  elseif source then
    if string.sub(source, -5) ~= '|ends' then moveUnits(openSource(key), source) end
  elseif visitor and redis.call('HLEN', key) > 2 * input.perPage + 5 then
    large[#large + 1] = visitor
  elseif visitor then
    return moveVisitor(visitor, key, redis.call('HGETALL', key))
  elseif event then
    moveEvent(event, key)
  end
  return 0
end

if input.large then
  local key = input.prefix .. ':v:' .. input.large
  local found = redis.call('HSCAN', key, input.scan, 'COUNT', text(input.together))
  moveVisitor(input.large, key, found[2])
  return cjson.encode({ scan = found[1], visitors = visitors, units = units, events = events })
end
local cursor, looked, taken = input.cursor, 0, 0
repeat
  local found = redis.call('SCAN', cursor, 'MATCH', input.prefix .. ':*', 'COUNT', '10')
  cursor, looked = found[1], looked + 10
  for _, key in ipairs(found[2]) do taken = taken + moveKey(key) end
until cursor == '0' or looked >= input.count or taken >= input.together
return cjson.encode({ cursor = cursor, large = large, units = units, visitors = visitors, events = events,
  lostMs = lost, life = life })
`

/**
 * Takes a part in; what is known here stays.
 *
 * KEYS: quota, the memo of the part, an account for each of the units, then each visitor, then each event.
 * Input: the part (`MovedState`).
 * Answers null.
 */
export const moveInScript = /* lua */ `${window}${registers}${rows}${events}
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
local function moveInUnits(some, key)
  local window = some.account == '' and whole or openSource(key)
  if not counted then window:chargeAt(some.lastMs, some.units) end
  if some.account ~= '' then window:extend() end
end
local function takeOver(life)
  whole.granted = math.max(whole.granted, life.granted)
  whole:save()
  redis.call('HSET', quota, 'e', life.epoch)
end
local function moveInVisitor(visitor, key)
  local ttl = math.max(1, visitor.keptUntilMs - now)
  for _, moved in ipairs(visitor.registers) do
    writeRegister(key, moved.name, movedIn(readRegister(key, moved.name), moved), ttl)
  end
  if visitor.erasedMs then
    redis.call('HSET', key, 'x', text(math.max(visitor.erasedMs, readErased(key) or 0)))
  end
  extend(key, ttl)
end

for _, some in ipairs(input.units) do moveInUnits(some, nextKey()) end
if input.life and (not whole.epoch or whole.epoch == input.life.epoch) then takeOver(input.life) end
if input.id and #input.units > 0 then
  -- As long as any of them could be counted, and a window more.
  local last = now
  for _, some in ipairs(input.units) do last = math.max(last, some.lastMs) end
  redis.call('SET', memo, '1', 'PX', text(last - now + 2 * input.keptMs))
end
for _, visitor in ipairs(input.visitors) do moveInVisitor(visitor, nextKey()) end
for _, moved in ipairs(input.events) do
  local key = nextKey()
  writeEvent(key, movedInEvent(readEvent(key), moved))
end
return 'null'
`
