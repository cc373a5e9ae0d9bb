/**
 * The registers' half of an admission. KEYS: quota, grant, health, then for each request a visitor, an event and a source's
 * quota key (the visitor's key again where there is no event or no source). Opens the grant and takes from the window what each request in its turn
 * really needs, so that a request that sends nothing costs nothing.
 * Answers, having touched nothing, false where the grant is missing, { cancelled } where it was cancelled, null where the
 * ledger lives in another epoch, and { jumpedBy } while the clock is off.
 */
import { health, prelude, registers } from './prelude.ts'

export const admitScript = `${prelude}${registers}${health}
local window = openWindow(KEYS[1])
if window.epoch ~= input.epoch then return 'null' end
if window.jumpedBy then return cjson.encode({ jumpedBy = window.jumpedBy }) end
local grant = redis.call('GET', KEYS[2])
if not grant then return 'false' end
if grant == 'cancelled' then return cjson.encode({ cancelled = true }) end
redis.call('DEL', KEYS[2])
local grantBucket, granted, unknown = string.match(grant, '^(%d+)|(%d+)|(%d+)$')
granted, unknown = tonumber(granted), tonumber(unknown)
if granted > 0 then window:giveBack(tonumber(grantBucket), granted) end
local h = readHealth(KEYS[3])
local sources = {}
local function gate(traits, failedBefore, lastResort)
  if h.paused then return 'paused' end
  if not h.breaker or not hasAll(traits, h.breaker.traits) then return 'go' end
  if now >= h.breaker.untilMs and (not failedBefore or lastResort) then return 'probe' end
  return 'shut'
end

-- One of a future that the clock has left is not under way any more: its jump was waited out.
local function isInFlight(at, life) return now - at <= life and at - now <= input.toleranceMs end

local function judge(r, stamp, backoff, erased)
  if stampTime(stamp) < now - window:retentionAt(stampTime(stamp)) then
    if r.open and r.open > stamp then return 'overtaken' end
    return 'expired'
  end
  if r.done and r.done >= stamp then
    if r.done == stamp then return 'delivered' end
    return 'superseded'
  end
  if stampTime(stamp) > now + input.futureMs or erased > now + input.toleranceMs then return 'ahead' end
  if stampArrival(stamp) <= erased then return 'erased' end
  if stampTime(stamp) <= window.lost then return 'lost' end
  if r.open and r.open > stamp then return 'waits' end
  if r.open and isInFlight(r.at, r.life or input.inFlightMs) then return 'contended' end
  if input.lane == 'replay' and backoff and backoff.notBefore > now then return 'backoff' end
  return 'send'
end

local function admitted(r, stamp, token, bucket)
  local again = r.open == stamp
  local below = again and r.below or (r.open and with(r.open, r.below) or {})
  return { done = r.done, open = stamp, at = now, life = input.inFlightMs, token = token, bucket = bucket, again = again, below = openBelow(below, r.done) }
end

local function isLastTry(visitor, hash)
  local denials = input.lane == 'replay' and readDenials(visitor)
  if not denials or denials.count + 1 < input.denialsThatJudge or now - denials.since < input.denialsLastMs then return false end
  return othersAreDelivered(h, hash)
end

local answers = {}
for index, request in ipairs(input.requests) do
  local visitor, event, source = KEYS[1 + 3 * index], KEYS[2 + 3 * index], KEYS[3 + 3 * index]
  local answer = { event = 'open' }
  local first = nil
  if request.event then
    local own = request.attributes[1].stamp
    local seen = readEvent(event)
    local another = seen and isAnother(seen, event, own)
    if another and seen.rejected then seen, another = nil, false end
    if another then
      answer.event = 'id_reused'
    elseif seen and seen.done then
      answer.event = seen.rejected and 'rejected' or 'duplicate'
    elseif seen and isInFlight(seen.at, input.inFlightMs) then
      answer.event = 'in_flight'
    else
      first = seen and seen.stamp or own
      writeEvent(event, { stamp = first, at = now, done = false })
      if first ~= own then answer.firstStamp = first end
    end
  end
  if answer.event == 'open' then
    local backoff = readBackoff(visitor)
    local erased = tonumber(redis.call('HGET', visitor, 'x')) or 0
    answer.attempts = backoff and backoff.attempts or 0
    answer.verdicts = {}
    local wanted, names = false, {}
    for position, attribute in ipairs(request.attributes) do
      local verdict = judge(readRegister(visitor, attribute.name), first or attribute.stamp, backoff, erased)
      answer.verdicts[position] = verdict
      if verdict == 'send' then wanted, names[#names + 1] = true, attribute.name end
    end
    if wanted then
      local instead, bucket, retryAt = nil, nil, nil
      if request.hold then
        instead = 'held'
      elseif request.firstTry and answer.attempts > 0 then
        instead, answer.failedBefore = 'backoff', true
      else
        instead = gate(traitsOf(request.visitorHash, request.sources, names), answer.attempts > 0, request.lastResort)
        if instead == 'shut' then answer.shutTraits = h.breaker.traits end
      end
      if instead == 'go' or instead == 'probe' then
        local own, ceiling = nil, input.ceiling
        if request.source then
          sources[source] = sources[source] or openSource(source)
          own = sources[source]
          if own.total + request.units > request.source.units then ceiling = math.min(ceiling, input.bulkCeiling) end
        end
        bucket, retryAt = window:take(request.units, ceiling)
        -- A refused reservation stays refused, whatever freed itself in between.
        if bucket and granted == 0 then
          window:giveBack(bucket, request.units)
          bucket = nil
        end
        if bucket then
          window:grant(request.units)
          if own then own:charge(request.units) end
          if not h.saidYes or (h.breaker and h.breaker.cause == 'systemic') then answer.systemic = true end
          if isLastTry(visitor, request.visitorHash) then answer.lastTry = true end
          if instead == 'probe' then
            answer.probe = h.breaker.cause
            h.breaker.untilMs = now + input.probeLivesMs
            writeHealth(KEYS[3], h)
          end
        else
          instead = 'quota'
        end
      end
      answer.bucket, answer.retryAtMs = bucket, retryAt
      for position, attribute in ipairs(request.attributes) do
        if answer.verdicts[position] == 'send' then
          if bucket then
            local stamp = first or attribute.stamp
            writeRegister(visitor, attribute.name, admitted(readRegister(visitor, attribute.name), stamp, request.token, bucket), livesFor(stamp))
          else
            answer.verdicts[position] = instead
          end
        end
      end
    end
  end
  answers[index] = answer
end
for _, own in pairs(sources) do
  own:forget()
  own:save()
  own:extend()
end
window:forget()
window:save()
return cjson.encode({ granted = window.granted, admissions = answers, unknown = unknown > 0 and unknown or nil })
`
