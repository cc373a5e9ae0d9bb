/**
 * Pacing of the window (`rules/pace.ts`), where the input has a `spanMs`: methods of `Window`, as `window.ts` has it.
 */
export const pace = /* lua */ `-- Reads the units of the span that ends now.
function Window:readSpan()
  if self.recent then return end
  self.spanFrom = lastOf(now) - input.spanMs + 1
  self.recent = self:unitsWithin(text(self.spanFrom), '+inf')
end
function Window:spanAllows(ceiling)
  local free = input.limit - (self.total - self.recent)
  return math.floor(ceiling * math.max(input.limit, input.burstSpans * free) / (input.spansAWindow * input.limit))
end
-- When there will be room in the span; nil where there is now.
function Window:pacedUntil(units, ceiling)
  self:readSpan()
  local recent, wanted = self.recent, self.recent + units
  if recent == 0 or wanted <= self:spanAllows(ceiling) then return nil end
  local whole, burst = input.spansAWindow * input.limit, input.burstSpans * ceiling
  local byBurst = math.ceil((whole * wanted - burst * (input.limit - (self.total - recent))) / (whole - burst))
  local lacking = math.min(recent, wanted - math.floor(ceiling / input.spansAWindow), byBurst)
  local last = self:bucketWith(lacking, text(self.spanFrom)) or self.newest
  return math.ceil((last + 1 + input.spanMs) / input.bucketMs) * input.bucketMs - input.bucketMs
end
-- How much of 'want' may be taken at once, where 'least' may be.
function Window:paced(want, least, ceiling)
  if not input.spanMs then return want end
  self:readSpan()
  local room = self:spanAllows(ceiling) - self.recent
  return math.min(want, self.recent == 0 and math.max(room, least) or room)
end
`
