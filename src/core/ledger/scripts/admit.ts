/**
 * The registers' half of an admission. KEYS: quota, grant, then a visitor and an event key for each request (the
 * visitor's key again where there is no event). Opens the grant and takes from the window what each request in its turn
 * really needs, so that a request that sends nothing costs nothing.
 * Answers false, having touched nothing, where the grant is missing.
 */
import { prelude, registers } from './prelude.ts'

export const admitScript = `${prelude}${registers}
local grant = redis.call('GET', KEYS[2])
if not grant then return 'false' end
redis.call('DEL', KEYS[2])
window.open(KEYS[1])
local grantBucket, granted = string.match(grant, '^(%d+)|(%d+)$')
granted = tonumber(granted)
if granted > 0 then window.giveBack(tonumber(grantBucket), granted) end

local function judge(r, stamp, backoff)
  if stampTime(stamp) < now - input.retentionMs then
    if r.open and r.open > stamp then return 'overtaken' end
    return 'expired'
  end
  if r.done and r.done >= stamp then
    if r.done == stamp then return 'delivered' end
    return 'superseded'
  end
  if r.open and r.open > stamp then return 'waits' end
  if r.open and now - r.at <= input.youngMs then return 'contended' end
  if input.lane == 'replay' and backoff and backoff.notBefore > now then return 'backoff' end
  return 'send'
end

local function admitted(r, stamp, token)
  if r.open == stamp then
    return { done = r.done, open = stamp, at = now, token = token, was = stamp, below = r.below }
  end
  local before = nil
  if r.open and (not r.done or r.open > r.done) then before = r.open end
  return { done = r.done, open = stamp, at = now, token = token, was = before, below = before }
end

local answers = {}
for index, request in ipairs(input.requests) do
  local visitor, event = KEYS[1 + 2 * index], KEYS[2 + 2 * index]
  local answer = { event = 'open' }
  local first = nil
  if request.event then
    local own = request.attributes[1].stamp
    local seen = readEvent(event)
    if seen and seen.done then
      answer.event = 'duplicate'
    elseif seen and now - seen.at <= input.youngMs then
      answer.event = 'in_flight'
    else
      first = seen and seen.stamp or own
      writeEvent(event, { stamp = first, at = now, done = false })
      if first ~= own then answer.firstStamp = first end
    end
  end
  if answer.event == 'open' then
    local backoff = readBackoff(visitor)
    answer.attempts = backoff and backoff.attempts or 0
    answer.verdicts = {}
    local wanted = false
    for position, attribute in ipairs(request.attributes) do
      local verdict = judge(readRegister(visitor, attribute.name), first or attribute.stamp, backoff)
      answer.verdicts[position] = verdict
      wanted = wanted or verdict == 'send'
    end
    if wanted then
      local bucket, retryAt = window.take(request.units, input.ceiling)
      -- A refused reservation stays refused, whatever freed itself in between.
      if bucket and granted == 0 then
        window.giveBack(bucket, request.units)
        bucket = nil
      end
      answer.bucket, answer.retryAtMs = bucket, retryAt
      for position, attribute in ipairs(request.attributes) do
        if answer.verdicts[position] == 'send' then
          if bucket then
            local stamp = first or attribute.stamp
            writeRegister(visitor, attribute.name, admitted(readRegister(visitor, attribute.name), stamp, request.token))
            keepRegister(visitor, stamp)
          else
            answer.verdicts[position] = 'quota'
          end
        end
      end
    end
  end
  answers[index] = answer
end
window.save()
return cjson.encode(answers)
`
