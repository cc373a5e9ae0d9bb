/** Settles attempts. KEYS: quota, counters, then a visitor and an event key for each settlement. */
import { prelude, registers } from './prelude.ts'

export const settleScript = `${prelude}${registers}
window.open(KEYS[1])
for index, settlement in ipairs(input.settlements) do
  local visitor, event = KEYS[1 + 2 * index], KEYS[2 + 2 * index]
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
      local back = nil
      if outcome == 'unsent' then back = r.was elseif outcome == 'refused' then back = r.below end
      r = { done = r.done, open = back, at = back and 0 or nil }
    end
    writeRegister(visitor, attribute.name, r)
    keepRegister(visitor, attribute.stamp)
  end
  if delivered then
    redis.call('HDEL', visitor, 'b')
  elseif settlement.backoff then
    redis.call('HSET', visitor, 'b', text(settlement.backoff.attempts) .. '|' .. text(settlement.backoff.notBeforeMs))
    extend(visitor, input.retentionMs)
  end
  if closed and settlement.giveBack then window.giveBack(settlement.giveBack.bucket, settlement.giveBack.units) end
  if settlement.eventDone then
    local seen = readEvent(event)
    writeEvent(event, { stamp = seen and seen.stamp or firstStamp, at = seen and seen.at or now, done = true })
  end
end
window.save()
for name, count in pairs(input.counts) do redis.call('HINCRBY', KEYS[2], name, text(count)) end
return 'null'
`
