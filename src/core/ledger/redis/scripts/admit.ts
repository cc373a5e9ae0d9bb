import { denials } from './denials.ts'
import { events } from './events.ts'
import { health } from './health.ts'
import { registers } from './registers.ts'
import { rows } from './rows.ts'
import { window } from './window.ts'

/**
 * The registers' half of an admission (`sql/admit.ts` on SQL): opens the grant that `reserve.ts` has left, and takes
 * from the window what each request in its turn really needs, so that one that sends nothing costs nothing.
 *
 * KEYS: quota, grant, health, then for each request a visitor, an event and a source's quota (the visitor again where
 * there is no event or no source).
 * Input: epoch, requests, ceiling, lane.
 * Answers { granted, admissions, unknown? }, `granted` of the epoch; or, having touched nothing, false where the grant
 * is missing, { cancelled } where it was cancelled, null where the ledger lives in another epoch, and { jumpedBy }
 * while the clock is off.
 */
export const admitScript = /* lua */ `${window}${registers}${rows}${events}${health}${denials}
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

-- Records the event of a request that has one. The first stamp where it differs from the request's.
local function openEvent(request, key)
  if not request.event then return 'open' end
  local own = request.attributes[1].stamp
  local verdict, record = judgeEvent(readEvent(key), key, own)
  if not record then return verdict end
  writeEvent(key, record)
  return verdict, record.stamp ~= own and record.stamp or nil
end
-- All verdicts, and the attributes that may go. What is unchanged is skipped.
local function judgeEach(wanted, visitor, backoff)
  local around = { backoff = backoff, erased = readErased(visitor) or 0, lost = window.lost }
  local verdicts, going = {}, {}
  for place, one in ipairs(wanted) do
    local r = readRegister(visitor, one.name)
    verdicts[place] = judge(r, one.stamp, around, window:retentionAt(stampTime(one.stamp)), one.hash)
    if verdicts[place] == 'unchanged' then
      writeRegister(visitor, one.name, skipped(r, one.stamp), registerLivesFor(one.stamp))
    end
    if verdicts[place] == 'send' then going[#going + 1] = one end
  end
  return verdicts, going
end
-- The bucket; or nil, and the time when there will be room.
local function takeUnits(request, source)
  local own, ceiling = nil, input.ceiling
  if request.source then
    sources[source] = sources[source] or openSource(source)
    own = sources[source]
    if own.total + request.units > request.source.units then ceiling = math.min(ceiling, input.bulkCeiling) end
  end
  local isFull, retryAt = window:isFull(request.units, ceiling)
  if isFull then return nil, retryAt end
  -- A refused reservation stays refused, whatever freed itself in between.
  if granted == 0 then return nil end
  if own then own:charge(request.units) end
  return window:charge(request.units)
end
local function openRegisters(going, visitor, token, bucket)
  for _, one in ipairs(going) do
    local r = admitted(readRegister(visitor, one.name), one.stamp, token, bucket)
    writeRegister(visitor, one.name, r, registerLivesFor(one.stamp))
  end
end
local function admitOne(request, visitor, event, source)
  local verdict, firstStamp = openEvent(request, event)
  if verdict ~= 'open' then return { event = verdict } end
  local wanted = {}
  for place, one in ipairs(request.attributes) do
    wanted[place] = { name = one.name, stamp = firstStamp or one.stamp, hash = one.hash }
  end
  local backoff = readBackoff(visitor)
  local attempts = backoff and backoff.attempts or 0
  local verdicts, going = judgeEach(wanted, visitor, backoff)
  local answer = { event = 'open', firstStamp = firstStamp, attempts = attempts, verdicts = verdicts }
  if #going == 0 then return answer end
  local function stopped(by)
    for place, verdict in ipairs(verdicts) do
      if verdict == 'send' then verdicts[place] = by end
    end
    return answer
  end

  if request.hold then return stopped('held') end
  if request.firstTry and attempts > 0 then
    answer.failedBefore = true
    return stopped('backoff')
  end
  local gate = gateOf(h, traitsOf(request.visitorHash, request.sources, going), attempts > 0, request.lastResort)
  if gate == 'paused' then return stopped(gate) end
  if gate == 'shut' then
    answer.shutTraits = h.breaker.traits
    return stopped(gate)
  end
  answer.bucket, answer.retryAtMs = takeUnits(request, source)
  if not answer.bucket then return stopped('quota') end

  if isDoubtful(h) then answer.systemic = true end
  if input.lane == 'replay' and isLastTry(readDenials(visitor), h, request.visitorHash) then answer.lastTry = true end
  if gate == 'probe' then
    answer.probe = h.breaker.cause
    probed(h)
    writeHealth(KEYS[3], h)
  end
  openRegisters(going, visitor, request.token, answer.bucket)
  return answer
end

local admissions = {}
for index, request in ipairs(input.requests) do
  admissions[index] = admitOne(request, KEYS[1 + 3 * index], KEYS[2 + 3 * index], KEYS[3 + 3 * index])
end
for _, own in pairs(sources) do
  own:forget()
  own:extend()
end
window:forget()
return cjson.encode({ granted = window.granted, admissions = admissions, unknown = unknown > 0 and unknown or nil })
`
