/** A ledger's state on its way into another one (`MovedState` in `../port.ts`), and what is known of one visitor. */
import { prelude, registers } from './prelude.ts'

/** KEYS: a visitor. */
export const visitorScript = `${prelude}${registers}
local known = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 2) == 'a:' then
    local name = string.sub(field, 3)
    local r = readRegister(KEYS[1], name)
    known[#known + 1] = { name = name, done = r.done, open = r.open }
  end
end
return cjson.encode(known)
`

/**
 * Input: prefix, cursor, count. One step of SCAN over all that the ledger keeps: the keys are found, not given. It may
 * show a key twice while keys come and go; a ledger that is paused stands still.
 */
export const moveOutScript = `${prelude}${registers}
local found = redis.call('SCAN', input.cursor, 'MATCH', input.prefix .. ':*', 'COUNT', text(input.count))
local units, visitors, events, lost = {}, {}, {}, nil
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
for _, key in ipairs(found[2]) do
  local source, hash, event = rest(key, ':quota:'), rest(key, ':v:'), rest(key, ':e:')
  local keptUntil = now + math.max(0, redis.call('PTTL', key))
  if key == input.prefix .. ':quota' then
    account(whole, '')
    lost = whole.lost > 0 and whole.lost or nil
  elseif source then
    if string.sub(source, -5) ~= '|ends' then account(openSource(key), source) end
  elseif hash then
    local visitor = { hash = hash, registers = {}, keptUntilMs = keptUntil, erasedMs = tonumber(redis.call('HGET', key, 'x')) }
    for _, field in ipairs(redis.call('HKEYS', key)) do
      if string.sub(field, 1, 2) == 'a:' then
        local name = string.sub(field, 3)
        local r = readRegister(key, name)
        visitor.registers[#visitor.registers + 1] = { name = name, done = r.done, open = r.open and with(r.open, r.below) or {} }
      end
    end
    visitors[#visitors + 1] = visitor
  elseif event then
    local e = readEvent(key)
    events[#events + 1] = { event = event, stamp = e.stamp, atMs = e.at, done = e.done, keptUntilMs = keptUntil }
  end
end
return cjson.encode({ cursor = found[1], units = units, visitors = visitors, events = events, lostMs = lost })
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
if input.id and #input.units > 0 then redis.call('SET', memo, '1') end
for _, visitor in ipairs(input.visitors) do
  local key = nextKey()
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
      token = mine and r.token or nil, again = mine and r.again, below = newest and openBelow(left, r.done) or {} })
  end
  if visitor.erasedMs then
    redis.call('HSET', key, 'x', text(math.max(visitor.erasedMs, tonumber(redis.call('HGET', key, 'x')) or 0)))
  end
  extend(key, math.max(1, visitor.keptUntilMs - now))
end
for _, moved in ipairs(input.events) do
  local key = nextKey()
  local seen = readEvent(key)
  local first = (seen and seen.stamp < moved.stamp) and seen.stamp or moved.stamp
  writeEvent(key, { stamp = first, at = seen and seen.at or moved.atMs, done = moved.done or (seen and seen.done) })
end
return 'null'
`
