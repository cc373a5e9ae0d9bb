/**
 * The rules of `rules/register.ts`, `rules/unchanged.ts` and `rules/in-flight.ts` in Lua, under the same names.
 * `rows.ts` reads a register into a table { done, open, at, life, bucket, token, again, below, value }. Only `below` is
 * always present.
 */
export const registers = /* lua */ `
local lifeMs = input.retentionMs + input.slackMs + input.inFlightMs
local function stampTime(stamp) return tonumber(string.sub(stamp, 2, 14)) end
local function stampArrival(stamp) return tonumber(string.sub(stamp, 15, 27)) end
local function registerLivesFor(stamp) return math.max(now, stampTime(stamp)) - now + lifeMs end
local function isInFlight(at, life) return now - at <= life and at - now <= input.toleranceMs end
local function with(first, rest)
  local all = { first }
  for _, stamp in ipairs(rest or {}) do all[#all + 1] = stamp end
  return all
end
local function openStamps(r) return r.open and with(r.open, r.below) or {} end
local function newerThan(done, stamps)
  local newer = {}
  for _, stamp in ipairs(stamps) do
    if not done or stamp > done then newer[#newer + 1] = stamp end
  end
  return newer
end
local function openBelow(stamps, done)
  local below = newerThan(done, stamps)
  if #below <= input.maxBelow then return below end
  local few = {}
  for place = 1, input.maxBelow - 1 do few[place] = below[place] end
  -- The oldest twice.
  few[input.maxBelow] = below[input.maxBelow - 1]
  return few
end
-- What was delivered then or before counts no more.
local function isUnchanged(r, hash, forgotten)
  local value = r.value
  if not value or r.open or value.stamp ~= r.done or value.hash ~= hash then return false end
  return value.at > forgotten and value.at <= now + input.toleranceMs
end
local function skipped(r, stamp)
  return { done = stamp, value = { stamp = stamp, hash = r.value.hash, at = r.value.at }, below = {} }
end
local function judge(r, stamp, around, retentionMs, hash)
  if stampTime(stamp) < now - retentionMs then
    if r.open and r.open > stamp then return 'overtaken' end
    return 'expired'
  end
  if r.done and r.done >= stamp then
    if r.done == stamp then return 'delivered' end
    return 'superseded'
  end
  if stampTime(stamp) > now + input.futureMs or around.erased > now + input.toleranceMs then return 'ahead' end
  if stampArrival(stamp) <= around.erased then return 'erased' end
  if stampTime(stamp) <= around.lost then return 'lost' end
  if r.open and r.open > stamp then return 'waits' end
  if r.open and isInFlight(r.at, r.life or input.inFlightMs) then return 'contended' end
  if input.lane == 'replay' and around.backoff and around.backoff.notBefore > now then return 'backoff' end
  local forgotten = math.max(around.erased, around.lost, now - retentionMs - 1)
  return isUnchanged(r, hash, forgotten) and 'unchanged' or 'send'
end
local function admitted(r, stamp, token, bucket)
  local again = r.open == stamp
  return { done = r.done, open = stamp, at = now, life = input.inFlightMs, token = token, bucket = bucket,
    again = again, below = openBelow(again and r.below or openStamps(r), r.done) }
end
local function reopened(r, outcome, done)
  local left = {}
  if outcome ~= 'delivered' then left = (outcome == 'unsent' and r.again) and with(r.open, r.below) or r.below end
  local open = table.remove(left, 1)
  return { done = done, open = open, at = open and 0 or nil, below = open and openBelow(left, done) or {} }
end
-- The register, and whether this closed an attempt of the token.
local function settled(r, stamp, outcome, token, hash)
  local mine = outcome ~= 'unknown' and r.open and r.token and r.token == token
  if outcome == 'delivered' and (not r.done or stamp > r.done) then r.done = stamp end
  if mine then
    local after = reopened(r, outcome, r.done)
    if outcome == 'delivered' and hash and after.done == stamp then
      after.value = { stamp = stamp, hash = hash, at = r.at }
    end
    return after, true
  end
  if r.value and r.value.stamp ~= r.done then r.value = nil end
  return r, false
end
local function movedIn(r, moved)
  local done = r.done
  if moved.done and (not done or moved.done > done) then done = moved.done end
  local all = openStamps(r)
  for _, stamp in ipairs(moved.open) do all[#all + 1] = stamp end
  table.sort(all, function(one, other) return one > other end)
  local left = newerThan(done, all)
  local newest = table.remove(left, 1)
  if not newest then return { done = done, below = {} } end
  local attempt = newest == r.open and r or { at = 0 }
  return { done = done, open = newest, at = attempt.at, life = attempt.life, token = attempt.token,
    bucket = attempt.bucket, again = attempt.again,
    below = openBelow(left, done) }
end
`
