/**
 * Settles attempts. KEYS: quota, counters, health, then for each settlement a visitor, an event and a source's quota key
 * (the visitor's key again where there is no event or no source); at the end that of the leads.
 */
import { health, prelude, registers } from './prelude.ts'

export const settleScript = `${prelude}${registers}${health}
local window = openWindow(KEYS[1])
local h, healthBefore = readHealth(KEYS[3]), nil

-- afterSignal of health.ts, line by line.
local function withOne(list, one, most)
  for _, known in ipairs(list) do
    if known == one then return end
  end
  if #list < most then list[#list + 1] = one end
end
local function evidenceOf(signal)
  if signal == 'down' then return { cause = 'unavailable', traits = h.failedTraits, opens = h.failures >= input.failuresThatOpen } end
  if signal == 'wrong' then return { cause = 'misconfigured', traits = h.deniedTraits, opens = #h.denied >= (h.saidYes and input.deniedThatOpen or 1) } end
  return { cause = 'systemic', traits = h.refusedTraits, opens = not h.saidYes or (h.refusals >= input.refusalsThatOpen and #h.refused >= input.visitorsThatOpen) }
end
local function waitFor(cause, probes)
  if cause ~= 'unavailable' then return input.lastProbeMs end
  return math.min(input.lastProbeMs, input.firstProbeMs * 2 ^ math.min(probes, 10))
end
local function gather(signal, visitor, traits)
  if signal == 'down' then
    h.failedTraits = h.failures > 0 and sharedTraits(h.failedTraits, traits) or traits
    h.failures = h.failures + 1
    return
  end
  h.failures, h.failedTraits = 0, {}
  if signal == 'wrong' then
    h.deniedTraits = #h.denied > 0 and sharedTraits(h.deniedTraits, traits) or traits
    withOne(h.denied, visitor, input.deniedThatOpen)
  else
    h.refusedTraits = h.refusals > 0 and sharedTraits(h.refusedTraits, traits) or traits
    h.refusals = h.refusals + 1
    withOne(h.refused, visitor, input.visitorsThatOpen)
  end
end
local function hear(signal, visitor, traits, failedBefore, probe)
  if signal == 'up' then
    h.failures, h.failedTraits, h.refusals, h.refused, h.refusedTraits = 0, {}, 0, {}, {}
    h.denied, h.deniedTraits, h.breaker, h.saidYes = {}, {}, nil, true
    return
  end
  if signal == 'down' and failedBefore and not probe then return end
  gather(signal, visitor, traits)
  local evidence, b = evidenceOf(signal), h.breaker
  if not b then
    if evidence.opens then
      h.breaker = { cause = evidence.cause, since = now, untilMs = now + waitFor(evidence.cause, 0), probes = 0, traits = evidence.traits }
    end
  elseif probe then
    if signal == 'refused' and b.cause ~= 'systemic' and not evidence.opens then
      h.breaker, h.denied, h.deniedTraits = nil, {}, {}
      return
    end
    b.probes = b.probes + 1
    if signal ~= 'down' and evidence.opens then b.cause = evidence.cause end
    b.untilMs, b.traits = now + waitFor(b.cause, b.probes), sharedTraits(b.traits, traits)
  elseif evidence.cause == b.cause then
    b.traits = sharedTraits(b.traits, traits)
  elseif evidence.opens and not hasAll(evidence.traits, b.traits) then
    b.traits = sharedTraits(b.traits, evidence.traits)
  end
end
local function summary()
  local b = h.breaker
  return table.concat({ text(h.failures), #h.failedTraits, text(h.refusals), #h.refused, #h.refusedTraits, #h.denied, #h.deniedTraits, h.saidYes and 1 or 0,
    b and b.cause or '', b and text(b.untilMs) or '', b and #b.traits or '' }, ' ')
end
healthBefore = summary()

for index, settlement in ipairs(input.settlements) do
  local visitor, event, source = KEYS[1 + 3 * index], KEYS[2 + 3 * index], KEYS[3 + 3 * index]
  local closed, delivered, firstStamp = false, false, ''
  local failures, names = readBackoff(visitor), {}
  for position, attribute in ipairs(settlement.attributes) do names[position] = attribute.name end
  for position, attribute in ipairs(settlement.attributes) do
    if position == 1 then firstStamp = attribute.stamp end
    delivered = delivered or attribute.outcome == 'delivered'
    if settleRegister(visitor, attribute.name, attribute.stamp, attribute.outcome, settlement.token) then closed = true end
  end
  if delivered then
    redis.call('HDEL', visitor, 'b')
  elseif settlement.backoff then
    redis.call('HSET', visitor, 'b', text(settlement.backoff.attempts) .. '|' .. text(now + settlement.backoff.waitMs))
    extend(visitor, input.retentionMs)
  end
  if settlement.signal then
    local denials = readDenials(visitor)
    if settlement.signal == 'wrong' and not settlement.judged then
      if othersAreDelivered(h, settlement.visitorHash) then
        redis.call('HSET', visitor, 'd', text((denials and denials.count or 0) + 1) .. '|' .. text(denials and denials.since or now))
        extend(visitor, input.retentionMs)
      end
    elseif denials then
      redis.call('HDEL', visitor, 'd')
    end
  end
  local back = settlement.giveBack
  if closed and back then
    window:giveBack(back.bucket, back.units)
    if back.source then
      local own = openSource(source)
      own:giveBack(back.bucket, back.units)
      own:save()
    end
  end
  if settlement.signal then
    local traits = traitsOf(settlement.visitorHash, settlement.sources, names)
    hear(settlement.signal, settlement.visitorHash, traits, failures ~= nil and failures.attempts > 0, settlement.probe)
  end
  if settlement.eventDone then
    local seen = readEvent(event)
    writeEvent(event, { stamp = seen and seen.stamp or firstStamp, at = seen and seen.at or now, done = true, rejected = settlement.eventRejected })
  end
end
window:save()
if summary() ~= healthBefore then writeHealth(KEYS[3], h) end
for source, lead in pairs(input.leads) do
  local ms, at = string.match(redis.call('HGET', KEYS[#KEYS], source) or '', '^(%d+)|(%d+)$')
  if not ms or lead > tonumber(ms) or math.abs(now - tonumber(at)) > input.leadLivesMs then
    redis.call('HSET', KEYS[#KEYS], source, text(lead) .. '|' .. text(now))
  end
end
for name, count in pairs(input.counts) do redis.call('HINCRBY', KEYS[2], name, text(count)) end
return 'null'
`
