/**
 * The rules of `rules/figures.ts` in Lua, under the same names, and how figures are kept on Redis (`sql/figures.ts` on
 * SQL): a hash for each slot, with the counters of a line as JSON in a field of it. A sorted set (`slots`) finds the
 * slots; the hash of slot 0 has the totals of what was folded.
 *
 * After `window.ts`.
 */
import { window } from './window.ts'

export const figures = /* lua */ `
local function slotOf(ms) return math.floor(ms / input.slotMs) * input.slotMs end
local function slotKey(slots, start) return slots .. '|' .. start end
local function addTo(key, line, more)
  local kept = redis.call('HGET', key, line)
  local counts = kept and cjson.decode(kept) or {}
  for name, count in pairs(more) do counts[name] = (counts[name] or 0) + count end
  redis.call('HSET', key, line, cjson.encode(counts))
end
local function eachLine(key, work)
  local flat = redis.call('HGETALL', key)
  for index = 1, #flat, 2 do work(flat[index], flat[index + 1]) end
end
local function fold(slots)
  local old = redis.call('ZRANGEBYSCORE', slots, '-inf', '(' .. text(now - input.slotsKeptMs), 'LIMIT', 0,
    input.foldedTogether)
  for _, start in ipairs(old) do
    local key = slotKey(slots, start)
    eachLine(key, function(line, counts) addTo(slotKey(slots, '0'), line, cjson.decode(counts)) end)
    redis.call('DEL', key)
    redis.call('ZREM', slots, start)
  end
end
local function addCounts(slots, lines)
  if next(lines) == nil then return end
  local start = text(slotOf(now))
  for line, more in pairs(lines) do addTo(slotKey(slots, start), line, more) end
  if redis.call('ZADD', slots, start, start) == 1 then fold(slots) end
end
`

/**
 * The slots of a day from `fromMs` on.
 *
 * KEYS: quota, slots.
 * Input: fromMs.
 * Answers a list of { startMs, lines }, lines as pairs of a line and its counters.
 */
export const seriesScript = /* lua */ `${window}${figures}
openWindow(KEYS[1])
local first = math.max(slotOf(input.fromMs), slotOf(now) - input.slotsShownMs)
local last = math.min(slotOf(now), first + input.seriesMs - input.slotMs)
local answer = {}
for _, start in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], text(first), text(last))) do
  local lines = {}
  eachLine(slotKey(KEYS[2], start), function(line, counts) lines[#lines + 1] = { line, cjson.decode(counts) } end)
  answer[#answer + 1] = { startMs = tonumber(start), lines = lines }
end
return cjson.encode(answer)
`
