import { denials } from './denials.ts'
import { events } from './events.ts'
import { figures } from './figures.ts'
import { health } from './health.ts'
import { history } from './history.ts'
import { registers } from './registers.ts'
import { rows } from './rows.ts'
import { window } from './window.ts'

/**
 * Settles attempts (`sql/settle.ts` on SQL).
 *
 * KEYS: quota, slots, health, then for each settlement a visitor, an event and a source's quota (the visitor again
 * where there is no event or no source); at the end the leads.
 * Input: settlements, lines, leads.
 * Answers null.
 */
export const settleScript = /* lua */ `${window}${registers}${rows}${events}${health}${denials}${figures}${history}
local window = openWindow(KEYS[1])
local h = readHealth(KEYS[3])
-- What a signal can change. The health of a steady day is never rewritten.
local function fingerprint()
  local b = h.breaker
  return table.concat({ text(h.failures), #h.failedTraits, text(h.refusals), #h.refused, #h.refusedTraits, #h.denied,
    #h.deniedTraits, h.saidYes and 1 or 0,
    b and b.cause or '', b and text(b.untilMs) or '', b and #b.traits or '' }, ' ')
end
local healthBefore = fingerprint()

-- Whether it closed an open attempt of its token.
local function settleVisitor(settlement, visitor)
  local closed, delivered = false, false
  for _, one in ipairs(settlement.attributes) do
    delivered = delivered or one.outcome == 'delivered'
    if settleRegister(visitor, one.name, one.stamp, one.outcome, settlement.token, one.hash) then closed = true end
  end
  if delivered then
    redis.call('HDEL', visitor, 'b')
  elseif settlement.backoff then
    writeBackoff(visitor, settlement.backoff)
  end
  if settlement.signal then
    local before = readDenials(visitor)
    local after = afterTry(before, settlement.signal, settlement.visitorHash, settlement.judged, h)
    if after ~= before then writeDenials(visitor, after) end
  end
  if settlement.note then writeNote(visitor, settlement.note) end
  return closed
end
local function settleOne(settlement, visitor, event, source)
  local backoff = readBackoff(visitor)
  local failedBefore = backoff ~= nil and backoff.attempts > 0
  local closed, back = settleVisitor(settlement, visitor), settlement.giveBack
  if closed and back then
    window:giveBack(back.bucket, back.units)
    if back.source then
      openSource(source):giveBack(back.bucket, back.units)
    end
  end
  if settlement.signal then
    local traits = traitsOf(settlement.visitorHash, settlement.sources, settlement.attributes)
    afterSignal(h, settlement.signal, settlement.visitorHash, traits, failedBefore, settlement.probe)
  end
  if settlement.eventDone then
    local first = settlement.attributes[1]
    writeEvent(event, settledEvent(readEvent(event), first and first.stamp or '', settlement.eventRejected))
  end
end
local function keepLead(source, lead)
  local ms, at = string.match(redis.call('HGET', KEYS[#KEYS], source) or '', '^(%d+)|(%d+)$')
  if not ms or lead > tonumber(ms) or math.abs(now - tonumber(at)) > input.leadLivesMs then
    redis.call('HSET', KEYS[#KEYS], source, text(lead) .. '|' .. text(now))
  end
end

for index, settlement in ipairs(input.settlements) do
  settleOne(settlement, KEYS[1 + 3 * index], KEYS[2 + 3 * index], KEYS[3 + 3 * index])
end
if fingerprint() ~= healthBefore then writeHealth(KEYS[3], h) end
for source, lead in pairs(input.leads) do keepLead(source, lead) end
addCounts(KEYS[2], input.lines)
return 'null'
`
