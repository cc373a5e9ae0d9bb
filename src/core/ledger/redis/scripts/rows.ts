/**
 * How a visitor is kept on Redis (`sql/rows.ts` on SQL): its head is a hash, and the keys of its pages are made from
 * the head's, since only the head tells whether there are any (field `p`). No hash holds more than `perPage` registers,
 * but for a page of a visitor with about a million (`rules/pages.ts`); a head of an older version that does gives them
 * to its pages, some at each write.
 *
 * A register is `done|open|at|token~life~bucket|again|below,below`. Life and bucket stand behind the token because an
 * older version takes all three for the token, and keeps what it does not know. Where nothing is open, `=stamp=hash=at`
 * may stand there, the value that was delivered last (rules/unchanged.ts): an older version reads a token of nothing.
 *
 * After `registers.ts`.
 */
export const rows = /* lua */ `
local function pageKey(visitor, name)
  local page = 0
  for place = 1, #name do page = (page * 31 + string.byte(name, place)) % input.pages end
  return visitor .. ':' .. text(page)
end
-- Whether the newest stamp of a register, as it is kept, is at most so many lifetimes old.
local function isWithin(kept, lives)
  local done, open = string.match(kept, '^([^|]*)|([^|]*)|')
  local newest = done > open and done or open
  return newest ~= '' and stampTime(newest) >= now - lives * lifeMs
end
-- Nil once it no longer counts.
local function parseRegister(kept)
  if not isWithin(kept, input.livesCounted) then return nil end
  local done, open, at, token, again, rest = string.match(kept, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)$')
  local function some(part) if part ~= '' then return part end end
  local below = {}
  for stamp in string.gmatch(rest, '[^,]+') do below[#below + 1] = stamp end
  local life, bucket, value
  local of, hash, deliveredAt = string.match(token, '^=([^=]*)=([^=]*)=(%d+)$')
  if of and open == '' then value = { stamp = of, hash = hash, at = tonumber(deliveredAt) } end
  token, life, bucket = string.match(of and '' or token, '^([^~]*)~?(%d*)~?(%d*)$')
  return { done = some(done), open = some(open), at = tonumber(at), token = some(token), life = tonumber(life),
    bucket = tonumber(bucket), again = again == '1', below = below, value = value }
end
-- The registers among the fields of a hash, each with its name.
local function eachRegister(fields, work)
  for index = 1, #fields, 2 do
    local r = string.sub(fields[index], 1, 2) == 'a:' and parseRegister(fields[index + 1])
    if r then work(string.sub(fields[index], 3), r) end
  end
end
-- The hash that holds a name's register, and its text; nil where there is none.
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
-- Tidies a full hash, some fields at a time: drops what is over, and moves to the pages what a head cannot hold.
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
  if r.value and not r.open then return table.concat({ '', r.value.stamp, r.value.hash, text(r.value.at) }, '=') end
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
    local parts = { r.done or '', r.open or '', r.at and text(r.at) or '', attemptText(r), r.again and '1' or '',
      table.concat(r.below or {}, ',') }
    redis.call('HSET', key, field, table.concat(parts, '|'))
    if key ~= visitor then extend(key, ttl) end
  elseif key then
    -- It holds neither stamp.
    redis.call('HDEL', key, field)
  end
  extend(visitor, ttl)
end
-- Whether it closed an attempt of the token, and the bucket of its units.
local function settleRegister(visitor, name, stamp, outcome, token, hash)
  local r = readRegister(visitor, name)
  local bucket = r.bucket
  local after, closed = settled(r, stamp, outcome, token, hash)
  writeRegister(visitor, name, after, registerLivesFor(stamp))
  return closed, bucket
end
local function readBackoff(visitor)
  local attempts, notBefore = string.match(redis.call('HGET', visitor, 'b') or '', '^(%d+)|(%d+)$')
  return attempts and { attempts = tonumber(attempts), notBefore = tonumber(notBefore) }
end
local function writeBackoff(visitor, backoff)
  redis.call('HSET', visitor, 'b', text(backoff.attempts) .. '|' .. text(now + backoff.waitMs))
  extend(visitor, input.retentionMs)
end
local function readDenials(visitor)
  local count, since = string.match(redis.call('HGET', visitor, 'd') or '', '^(%d+)|(%d+)$')
  return count and { count = tonumber(count), since = tonumber(since) }
end
local function writeDenials(visitor, denials)
  if not denials then return redis.call('HDEL', visitor, 'd') end
  redis.call('HSET', visitor, 'd', text(denials.count) .. '|' .. text(denials.since))
  extend(visitor, input.retentionMs)
end
local function readErased(visitor) return tonumber(redis.call('HGET', visitor, 'x')) end
`
