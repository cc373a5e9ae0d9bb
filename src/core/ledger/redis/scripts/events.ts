/**
 * The rules of `rules/event.ts` in Lua, under the same names, and how an event is kept on Redis (`sql/events.ts` on
 * SQL): a string `stamp|at|done`, of which `done` is 0 (open), 1 (done) or 2 (done and rejected).
 *
 * After `registers.ts`.
 */
export const events = /* lua */ `
local function readEvent(key)
  local kept = redis.call('GET', key)
  if not kept then return nil end
  local stamp, at, done = string.match(kept, '^([^|]*)|(%d+)|(%d)$')
  return { stamp = stamp, at = tonumber(at), done = done ~= '0', rejected = done == '2' }
end
local function writeEvent(key, e)
  local done = e.rejected and '2' or e.done and '1' or '0'
  redis.call('SET', key, e.stamp .. '|' .. text(e.at) .. '|' .. done, 'PX', text(input.eventMs))
end
local function stampName(stamp) return string.sub(stamp, -14) end
local function isAnother(seen, key, stamp)
  local name = stampName(seen.stamp)
  return name ~= '' and name ~= stampName(stamp) and name ~= stampName(key)
end
-- The verdict, and where it is 'open' the record.
local function judgeEvent(seen, key, stamp)
  local first = { stamp = stamp, at = now, done = false }
  if not seen then return 'open', first end
  if isAnother(seen, key, stamp) then
    if seen.rejected then return 'open', first end
    return 'id_reused'
  end
  if seen.done then return seen.rejected and 'rejected' or 'duplicate' end
  if isInFlight(seen.at, input.inFlightMs) then return 'in_flight' end
  return 'open', { stamp = seen.stamp, at = now, done = false }
end
-- Nil where its id was used for other content; the record where it must be written.
local function firstStampOf(seen, key, stamp)
  local another = seen and isAnother(seen, key, stamp)
  if another and not seen.rejected then return nil end
  if seen and not another then return seen.stamp end
  return stamp, { stamp = stamp, at = now, done = false }
end
local function settledEvent(seen, stamp, rejected)
  return { stamp = seen and seen.stamp or stamp, at = seen and seen.at or now, done = true, rejected = rejected }
end
local function movedInEvent(seen, moved)
  return { stamp = (seen and seen.stamp < moved.stamp) and seen.stamp or moved.stamp,
    at = seen and seen.at or moved.atMs,
    done = moved.done or (seen and seen.done), rejected = moved.rejected or (seen and seen.rejected) }
end
`
