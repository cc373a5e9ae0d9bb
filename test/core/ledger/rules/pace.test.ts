import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lackingByPace, spanAllows, spanMs, spanNow } from '../../../../src/core/ledger/rules/pace.ts'

describe('a span', () => {
  it.each([
    // The day, by minutes.
    [86_400_000, 60_000, 3_600_000],
    // 4.17 buckets of a hundredth of the window: 24 spans of five would be longer than it.
    [10_000, 100, 400],
    [1_000, 10, 40],
    // Never less than a bucket.
    [24, 2, 2],
  ])('of a window of %i ms in buckets of %i ms is %i ms', (quotaWindowMs, quotaBucketMs, ms) => {
    expect(spanMs({ quotaWindowMs, quotaBucketMs })).toBe(ms)
  })

  it('may have a sixth of what is free, and a 24th of the quota at least; a lane its part of that', () => {
    expect(spanAllows(2_400, 0, 2_400)).toBe(400)
    expect(spanAllows(2_400, 1_200, 2_400)).toBe(200)
    expect(spanAllows(2_400, 2_000, 2_400)).toBe(100)
    expect(spanAllows(2_400, 2_600, 2_400)).toBe(100)
    expect(spanAllows(1_200, 0, 2_400)).toBe(200)
  })

  it('what must leave it before there is room is exactly as much as is needed', () => {
    const units = fc.integer({ min: 1, max: 3_000 })
    fc.assert(
      fc.property(
        units,
        units,
        fc.nat({ max: 3_000 }),
        fc.nat({ max: 3_000 }),
        units,
        (limit, part, recent, before, wanted) => {
          const ceiling = Math.min(part, limit)
          const lacking = lackingByPace({ recent, before }, wanted, ceiling, limit)
          const passes = (left: number) =>
            recent === left || recent - left + wanted <= spanAllows(ceiling, before + left, limit)
          expect(passes(lacking)).toBe(true)
          for (let left = 0; left < lacking; left++)
            if (passes(left)) throw new Error(`${left} of ${lacking} are enough`)
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('as an operator sees it: what it has used, and what a ceiling lets it have', () => {
    const settings = { quotaLimit: 2_400, quotaWindowMs: 24_000, quotaBucketMs: 100 }
    // At 5,050 ms the bucket that began at 4,100 ms is the oldest of ten.
    const usage = {
      used: 600,
      buckets: [
        [4_000, 200],
        [4_100, 300],
        [5_000, 100],
      ] as const,
    }
    const { recent, allows } = spanNow(usage, settings, 5_050)
    expect([recent, allows(2_400), allows(1_200)]).toEqual([400, 366, 183])
  })

  it('is exact up to the largest quota', () => {
    expect(spanAllows(999_000, 0, 999_000)).toBe(166_500)
    expect(lackingByPace({ recent: 166_500, before: 0 }, 1, 999_000, 999_000)).toBe(2)
    expect(lackingByPace({ recent: 41_625, before: 957_375 }, 1, 999_000, 999_000)).toBe(1)
  })
})
