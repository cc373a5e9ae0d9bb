/** The rules of `rules/denials.ts` in Lua, under the same names. */
export const denials = /* lua */ `
local function othersAreDelivered(h, hash)
  if h.breaker then return false end
  for _, one in ipairs(h.denied) do
    if one == hash then return false end
  end
  return true
end
local function afterTry(denials, signal, hash, judged, h)
  if signal ~= 'wrong' or judged then return nil end
  if not othersAreDelivered(h, hash) then return denials end
  return { count = (denials and denials.count or 0) + 1, since = denials and denials.since or now }
end
local function isLastTry(denials, h, hash)
  if not denials or denials.count + 1 < input.denialsThatJudge or now - denials.since < input.denialsLastMs then
    return false
  end
  return othersAreDelivered(h, hash)
end
`
