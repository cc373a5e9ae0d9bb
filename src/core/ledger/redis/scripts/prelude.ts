/** What the scripts are made of: the clock and the window that all have, registers, and health. */
import { window } from './window.ts'

export const prelude = window

/**
 * Registers and events as the scripts that need them read and write them; the rules are those of `rules/register.ts` and
 * `rules/pages.ts`. A visitor's head is its hash; the keys of its pages are made from the head's, since only the head tells
 * whether there are any (field `p`). No hash holds more than `perPage` registers, but for a page of a visitor with about
 * a million; a head of an older version that does gives them to its pages, some at each write.
 *
 * A register is `done|open|at|token~life~bucket|again|below,below`. Life and bucket stand behind the token because an older
 * version takes all three for the token, and keeps what it does not know.
 */
export const registers = `
local lifeMs = input.retentionMs + input.slackMs + input.inFlightMs
local function stampTime(stamp) return tonumber(string.sub(stamp, 2, 14)) end
local function stampArrival(stamp) return tonumber(string.sub(stamp, 15, 27)) end
local function pageKey(visitor, name)
  local page = 0
  for place = 1, #name do page = (page * 31 + string.byte(name, place)) % input.pages end
  return visitor .. ':' .. text(page)
end
-- Whether the newest stamp of a register, as it is kept, is no older than so many lifetimes.
local function isWithin(kept, lives)
  local done, open = string.match(kept, '^([^|]*)|([^|]*)|')
  local newest = done > open and done or open
  return newest ~= '' and stampTime(newest) >= now - lives * lifeMs
end
-- Nil where it counts no more.
local function parseRegister(kept)
  if not isWithin(kept, input.livesCounted) then return nil end
  local done, open, at, token, again, rest = string.match(kept, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)$')
  local function some(part) if part ~= '' then return part end end
  local below = {}
  for stamp in string.gmatch(rest, '[^,]+') do below[#below + 1] = stamp end
  local life, bucket
  token, life, bucket = string.match(token, '^([^~]*)~?(%d*)~?(%d*)$')
  return { done = some(done), open = some(open), at = tonumber(at), token = some(token), life = tonumber(life), bucket = tonumber(bucket), again = again == '1', below = below }
end
-- The hash that has a name's register, and what it has; nil where none has.
local function findRegister(visitor, name)
  local field = 'a:' .. name
  local head = redis.call('HMGET', visitor, field, 'p')
  if head[1] then return visitor, head[1] end
  if not head[2] then return nil end
  local page = pageKey(visitor, name)
  local kept = redis.call('HGET', page, field)
  if kept then return page, kept end
end
local function readRegister(visitor, name)
  local _, kept = findRegister(visitor, name)
  return kept and parseRegister(kept) or { below = {} }
end
-- Of a hash that is full: drops what is over, and moves to the pages what is too much for a head. So many fields at once.
local tidied = {}
local function tidy(key, visitor)
  if tidied[key] then return end
  tidied[key] = true
  local surplus = key == visitor and redis.call('HLEN', key) - input.perPage or 0
  local found = redis.call('HSCAN', key, '0', 'COUNT', text(2 * input.perPage))[2]
  for index = 1, #found, 2 do
    local field, kept = found[index], found[index + 1]
    if string.sub(field, 1, 2) == 'a:' then
      local over = not isWithin(kept, input.livesKept)
      if not over and surplus > 0 then
        local page = pageKey(visitor, string.sub(field, 3))
        redis.call('HSET', page, field, kept)
        extend(page, redis.call('PTTL', key))
        redis.call('HSET', key, 'p', '1')
      end
      if over or surplus > 0 then
        redis.call('HDEL', key, field)
        surplus = surplus - 1
      end
    end
  end
end
local function attemptText(r)
  if not r.token or not r.life then return r.token or '' end
  return r.token .. '~' .. text(r.life) .. (r.bucket and '~' .. text(r.bucket) or '')
end
-- ttl: how long it must live at least. A head lives as long as its pages: without it they would not be looked into.
local function writeRegister(visitor, name, r, ttl)
  local field = 'a:' .. name
  local full = redis.call('HLEN', visitor) >= input.perPage
  if full then tidy(visitor, visitor) end
  local key = findRegister(visitor, name)
  if r.done or r.open then
    if not key and (not full or redis.call('HLEN', visitor) < input.perPage) then key = visitor end
    if not key then
      key = pageKey(visitor, name)
      redis.call('HSET', visitor, 'p', '1')
      if redis.call('HLEN', key) >= input.perPage then tidy(key, visitor) end
    end
    local parts = { r.done or '', r.open or '', r.at and text(r.at) or '', attemptText(r), r.again and '1' or '', table.concat(r.below or {}, ',') }
    redis.call('HSET', key, field, table.concat(parts, '|'))
    if key ~= visitor then extend(key, ttl) end
  elseif key then
    -- What says nothing any more need not be kept.
    redis.call('HDEL', key, field)
  end
  extend(visitor, ttl)
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
local function livesFor(stamp) return math.max(now, stampTime(stamp)) - now + lifeMs end
-- settled() of register.ts. Whether it closed an attempt of the token, and the bucket of its units.
local function settleRegister(visitor, name, stamp, outcome, token)
  local r = readRegister(visitor, name)
  local mine, bucket = outcome ~= 'unknown' and r.open and r.token and r.token == token, r.bucket
  if outcome == 'delivered' and (not r.done or stamp > r.done) then r.done = stamp end
  if mine then
    local back = {}
    if outcome ~= 'delivered' then back = (outcome == 'unsent' and r.again) and with(r.open, r.below) or r.below end
    local open = table.remove(back, 1)
    r = { done = r.done, open = open, at = open and 0 or nil, below = open and openBelow(back, r.done) or {} }
  end
  writeRegister(visitor, name, r, livesFor(stamp))
  return mine, bucket
end
local function readBackoff(key)
  local kept = redis.call('HGET', key, 'b')
  if not kept then return nil end
  local attempts, notBefore = string.match(kept, '^(%d+)|(%d+)$')
  return { attempts = tonumber(attempts), notBefore = tonumber(notBefore) }
end
local function readDenials(key)
  local count, since = string.match(redis.call('HGET', key, 'd') or '', '^(%d+)|(%d+)$')
  return count and { count = tonumber(count), since = tonumber(since) }
end
local function readEvent(key)
  local kept = redis.call('GET', key)
  if not kept then return nil end
  local stamp, at, done = string.match(kept, '^([^|]*)|(%d+)|(%d)$')
  return { stamp = stamp, at = tonumber(at), done = done ~= '0', rejected = done == '2' }
end
local function writeEvent(key, e)
  redis.call('SET', key, e.stamp .. '|' .. text(e.at) .. '|' .. (e.rejected and '2' or e.done and '1' or '0'), 'PX', text(input.eventMs))
end
local function stampName(stamp) return string.sub(stamp, -14) end
local function isAnother(seen, key, stamp)
  local name = stampName(seen.stamp)
  return name ~= '' and name ~= stampName(stamp) and name ~= stampName(key)
end
`

/** The breaker and the pause as the scripts that need them read and write them; the rules are those of `rules/health.ts`. */
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
-- The rules of denials.ts.
local function othersAreDelivered(h, hash)
  if h.breaker then return false end
  for _, one in ipairs(h.denied) do
    if one == hash then return false end
  end
  return true
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
