import { window } from './window.ts'

/**
 * The rules of `rules/health.ts` in Lua, under the same names, and how the pause and the breaker are kept on Redis
 * (`sql/health.ts` on SQL). A health is a table, which `probed` and `afterSignal` change.
 *
 * Fields of the hash, lists with a line for each: `p` paused, `f` and `ft` failures, `r`, `v` and `rt` refusals, `d`
 * and `dt` denials, `y` whether Target ever said yes, and of the breaker `c` cause, `s` since, `u` until, `n` probes,
 * `bt` traits.
 */
export const health = /* lua */ `
local function listed(text)
  local list = {}
  for one in string.gmatch(text or '', '[^\\n]+') do list[#list + 1] = one end
  return list
end
local function readHealth(key)
  local kept = redis.call('HMGET', key, 'p', 'f', 'ft', 'r', 'v', 'rt', 'd', 'dt', 'c', 's', 'u', 'n', 'bt', 'y')
  local h = { paused = kept[1] == '1', failures = tonumber(kept[2]) or 0, failedTraits = listed(kept[3]),
    refusals = tonumber(kept[4]) or 0, refused = listed(kept[5] and string.gsub(kept[5], ',', '\\n')),
    refusedTraits = listed(kept[6]), denied = listed(kept[7]), deniedTraits = listed(kept[8]),
    saidYes = kept[14] == '1' }
  if kept[9] and kept[9] ~= '' then
    h.breaker = { cause = kept[9], since = tonumber(kept[10]), untilMs = tonumber(kept[11]),
      probes = tonumber(kept[12]), traits = listed(kept[13]) }
  end
  return h
end
local function writeHealth(key, h)
  local b = h.breaker
  local function lines(list) return table.concat(list, '\\n') end
  redis.call('HSET', key, 'p', h.paused and '1' or '0', 'f', text(h.failures), 'ft', lines(h.failedTraits),
    'r', text(h.refusals), 'v', lines(h.refused), 'rt', lines(h.refusedTraits), 'd', lines(h.denied),
    'dt', lines(h.deniedTraits), 'c', b and b.cause or '', 's', b and text(b.since) or '',
    'u', b and text(b.untilMs) or '', 'n', b and text(b.probes) or '', 'bt', b and lines(b.traits) or '',
    'y', h.saidYes and '1' or '0')
end
local function setOf(list)
  local set = {}
  for _, one in ipairs(list) do set[one] = true end
  return set
end
local function hasAll(traits, wanted)
  local known = setOf(traits)
  for _, one in ipairs(wanted) do
    if not known[one] then return false end
  end
  return true
end
local function shared(some, others)
  local known, both = setOf(others), {}
  for _, one in ipairs(some) do
    if known[one] then both[#both + 1] = one end
  end
  return both
end
local function common(any, known, traits) return any and shared(known, traits) or traits end
local function withOne(list, one, most)
  for _, known in ipairs(list) do
    if known == one then return end
  end
  if #list < most then list[#list + 1] = one end
end
local function traitsOf(visitor, sources, attributes)
  local traits = { 'v:' .. visitor }
  for _, source in ipairs(sources or {}) do traits[#traits + 1] = 's:' .. source end
  for _, attribute in ipairs(attributes) do traits[#traits + 1] = 'a:' .. attribute.name end
  return traits
end
local function gateOf(h, traits, failedBefore, lastResort)
  if h.paused then return 'paused' end
  if not h.breaker or not hasAll(traits, h.breaker.traits) then return 'go' end
  if now >= h.breaker.untilMs and (not failedBefore or lastResort) then return 'probe' end
  return 'shut'
end
local function isDoubtful(h) return not h.saidYes or (h.breaker and h.breaker.cause == 'systemic') end
local function probed(h) h.breaker.untilMs = now + input.probeLivesMs end
local function waitMs(cause, probes)
  if cause ~= 'unavailable' then return input.lastProbeMs end
  return math.min(input.lastProbeMs, input.firstProbeMs * 2 ^ math.min(probes, 10))
end
local function withEvidence(h, signal, visitor, traits)
  if signal == 'down' then
    h.failedTraits = common(h.failures > 0, h.failedTraits, traits)
    h.failures = h.failures + 1
    return
  end
  h.failures, h.failedTraits = 0, {}
  if signal == 'wrong' then
    h.deniedTraits = common(#h.denied > 0, h.deniedTraits, traits)
    withOne(h.denied, visitor, input.deniedThatOpen)
  else
    h.refusedTraits = common(h.refusals > 0, h.refusedTraits, traits)
    h.refusals = h.refusals + 1
    withOne(h.refused, visitor, input.visitorsThatOpen)
  end
end
local function evidenceOf(h, signal)
  if signal == 'down' then
    return { cause = 'unavailable', traits = h.failedTraits, opens = h.failures >= input.failuresThatOpen }
  end
  if signal == 'wrong' then
    local enough = h.saidYes and input.deniedThatOpen or 1
    return { cause = 'misconfigured', traits = h.deniedTraits, opens = #h.denied >= enough }
  end
  local opens = not h.saidYes or (h.refusals >= input.refusalsThatOpen and #h.refused >= input.visitorsThatOpen)
  return { cause = 'systemic', traits = h.refusedTraits, opens = opens }
end
local function forget(h)
  h.failures, h.failedTraits, h.refusals, h.refused, h.refusedTraits = 0, {}, 0, {}, {}
  h.denied, h.deniedTraits, h.breaker = {}, {}, nil
end
local function opened(evidence)
  return { cause = evidence.cause, since = now, untilMs = now + waitMs(evidence.cause, 0),
    probes = 0, traits = evidence.traits }
end
local function afterSignal(h, signal, visitor, traits, failedBefore, probe)
  if signal == 'up' then
    forget(h)
    h.saidYes = true
    return
  end
  if signal == 'down' and failedBefore and not probe then return end
  withEvidence(h, signal, visitor, traits)
  local evidence, b = evidenceOf(h, signal), h.breaker
  if not b then
    if evidence.opens then h.breaker = opened(evidence) end
  elseif probe then
    if signal == 'refused' and b.cause ~= 'systemic' and not evidence.opens then
      h.breaker, h.denied, h.deniedTraits = nil, {}, {}
      return
    end
    b.probes = b.probes + 1
    if signal ~= 'down' and evidence.opens then b.cause = evidence.cause end
    b.untilMs, b.traits = now + waitMs(b.cause, b.probes), shared(b.traits, traits)
  elseif evidence.cause == b.cause then
    b.traits = shared(b.traits, traits)
  elseif evidence.opens and not hasAll(evidence.traits, b.traits) then
    b.traits = shared(b.traits, evidence.traits)
  end
end
`

/** As `closedByOperator`. KEYS: the health. Answers whether the breaker was open. */
export const closeBreakerScript = /* lua */ `${window}${health}
local h = readHealth(KEYS[1])
local open = h.breaker ~= nil
forget(h)
writeHealth(KEYS[1], h)
return open and 'true' or 'false'
`
