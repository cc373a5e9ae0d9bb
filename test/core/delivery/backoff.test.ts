/** How long a visitor is left alone after failed tries (G7). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoffMs, maxBackoffMs } from '../../../src/core/delivery/backoff.ts'

const baseMs = 5_000
const most = 1 - Number.EPSILON

describe('the wait after a failed try', () => {
  it.each([
    [1, 5_000],
    [2, 10_000],
    [3, 20_000],
    [8, 640_000],
    [9, 900_000],
    [10_000, 900_000],
  ])('after %i failed tries is at most %i ms: it doubles, up to a quarter of an hour', (attempts, longestMs) => {
    expect(backoffMs(attempts, baseMs, undefined, most)).toBe(longestMs)
    expect(longestMs).toBeLessThanOrEqual(maxBackoffMs)
  })

  it('is random between zero and its maximum, so that visitors that failed together do not retry together', () => {
    expect(backoffMs(2, baseMs, undefined, 0)).toBe(0)
    expect(backoffMs(2, baseMs, undefined, 0.25)).toBe(2_500)
    expect(backoffMs(2, baseMs, undefined, 0.5)).toBe(5_000)
  })

  it('is at least what Target asks for, even beyond its maximum', () => {
    expect(backoffMs(1, baseMs, 30_000, 0.5)).toBe(30_000)
    expect(backoffMs(1, baseMs, 1_000, 0.5)).toBe(2_500)
    expect(backoffMs(1, baseMs, 3_600_000, 0.5)).toBe(3_600_000)
    expect(backoffMs(1, baseMs, 0, 0.5)).toBe(2_500)
  })

  it('is a whole number of milliseconds, whatever the random fraction', () => {
    const fractions = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2_000 }), fractions, (attempts, fraction) => {
        const waitMs = backoffMs(attempts, baseMs, undefined, fraction)
        expect(Number.isInteger(waitMs) && waitMs >= 0 && waitMs <= maxBackoffMs).toBe(true)
      }),
    )
  })
})
