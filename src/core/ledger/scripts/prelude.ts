/** What the scripts are made of: the clock and the window that all have, registers, and health. */
import { window } from './window.ts'

export const prelude = window

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
local function readHealth(key)
  local kept = redis.call('HMGET', key, 'p', 'f', 'r', 'v', 'c', 's', 'u', 'n')
  local h = { paused = kept[1] == '1', failures = tonumber(kept[2]) or 0, refusals = tonumber(kept[3]) or 0, refused = {} }
  for visitor in string.gmatch(kept[4] or '', '[^,]+') do h.refused[#h.refused + 1] = visitor end
  if kept[5] and kept[5] ~= '' then
    h.breaker = { cause = kept[5], since = tonumber(kept[6]), untilMs = tonumber(kept[7]), probes = tonumber(kept[8]) }
  end
  return h
end
local function writeHealth(key, h)
  local b = h.breaker
  redis.call('HSET', key, 'p', h.paused and '1' or '0', 'f', text(h.failures), 'r', text(h.refusals), 'v', table.concat(h.refused, ','),
    'c', b and b.cause or '', 's', b and text(b.since) or '', 'u', b and text(b.untilMs) or '', 'n', b and text(b.probes) or '')
end
`
