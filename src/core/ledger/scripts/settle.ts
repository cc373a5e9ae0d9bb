/**
 * Settles attempts. KEYS: quota, counters, health, then for each settlement a visitor, an event and a source's quota key
 * (the visitor's key again where there is no event or no source); at the end that of the leads.
 */
import { health, prelude, registers } from './prelude.ts'

export const settleScript = `${prelude}${registers}${health}
local window = openWindow(KEYS[1])
local h, healthBefore = readHealth(KEYS[3]), nil

local function open(cause, wait)
  local before = h.breaker
  h.breaker = { cause = cause, since = before and before.since or now, untilMs = now + wait, probes = before and before.probes + 1 or 0 }
end
local function hear(signal, visitor, probe)
  if signal == 'up' then
    h.failures, h.refusals, h.refused, h.breaker = 0, 0, {}, nil
  elseif h.breaker and not probe then
    return
  elseif signal == 'wrong' then
    h.failures = 0
    open('misconfigured', input.lastProbeMs)
  elseif signal == 'down' then
    h.failures = h.failures + 1
    if h.breaker or h.failures >= input.failuresThatOpen then
      local probes = h.breaker and h.breaker.probes + 1 or 0
      open(h.breaker and h.breaker.cause or 'unavailable', math.min(input.lastProbeMs, input.firstProbeMs * 2 ^ math.min(probes, 10)))
    end
  else
    h.failures, h.refusals = 0, h.refusals + 1
    local known = #h.refused >= input.visitorsThatOpen
    for _, other in ipairs(h.refused) do known = known or other == visitor end
    if not known then h.refused[#h.refused + 1] = visitor end
    if (h.breaker and h.breaker.cause == 'systemic') or (h.refusals >= input.refusalsThatOpen and #h.refused >= input.visitorsThatOpen) then
      open('systemic', input.lastProbeMs)
    else
      h.breaker = nil
    end
  end
end
local function summary()
  local b = h.breaker
  return table.concat({ text(h.failures), text(h.refusals), #h.refused, b and b.cause or '', b and text(b.untilMs) or '' }, ' ')
end
healthBefore = summary()

for index, settlement in ipairs(input.settlements) do
  local visitor, event, source = KEYS[1 + 3 * index], KEYS[2 + 3 * index], KEYS[3 + 3 * index]
  local closed, delivered, firstStamp = false, false, ''
  for position, attribute in ipairs(settlement.attributes) do
    if position == 1 then firstStamp = attribute.stamp end
    local r, outcome = readRegister(visitor, attribute.name), attribute.outcome
    local mine = outcome ~= 'unknown' and r.open and r.token and r.token == settlement.token
    if outcome == 'delivered' then
      delivered = true
      if not r.done or attribute.stamp > r.done then r.done = attribute.stamp end
    end
    if mine then
      closed = true
      local back = {}
      if outcome ~= 'delivered' then back = (outcome == 'unsent' and r.again) and with(r.open, r.below) or r.below end
      local open = table.remove(back, 1)
      r = { done = r.done, open = open, at = open and 0 or nil, below = open and openBelow(back, r.done) or {} }
    end
    writeRegister(visitor, attribute.name, r, livesFor(attribute.stamp))
  end
  if delivered then
    redis.call('HDEL', visitor, 'b')
  elseif settlement.backoff then
    redis.call('HSET', visitor, 'b', text(settlement.backoff.attempts) .. '|' .. text(settlement.backoff.notBeforeMs))
    extend(visitor, input.retentionMs)
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
  if settlement.signal then hear(settlement.signal, settlement.visitorHash, settlement.probe) end
  if settlement.eventDone then
    local seen = readEvent(event)
    writeEvent(event, { stamp = seen and seen.stamp or firstStamp, at = seen and seen.at or now, done = true })
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
