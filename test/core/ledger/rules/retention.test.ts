/** A longer retention lets no old value overtake a newer one that is forgotten; a shorter one counts at once (G3). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  maxRetentions,
  type Retentions,
  retentionAt,
  retentionSet,
  retentionsConfirmed,
} from '../../../../src/core/ledger/rules/retention.ts'

const start: Retentions = [[0, 72]]

describe('the retention that a stamp is judged by', () => {
  it('a longer one applies from then on; what came before is judged by the former one', () => {
    const set = retentionSet(start, 96, 1_000)
    expect([0, 999, 1_000, 2_000].map((ms) => retentionAt(set, ms))).toEqual([72, 72, 96, 96])
  })

  it('a shorter one applies at once, and a longer one after it from then on', () => {
    const shorter = retentionSet(start, 24, 1_000)
    expect(retentionAt(shorter, 0)).toBe(24)
    const again = retentionSet(shorter, 72, 2_000)
    expect([0, 1_999, 2_000].map((ms) => retentionAt(again, ms))).toEqual([24, 24, 72])
  })

  it('one between two that were set before: each applies from its own time', () => {
    const set = retentionSet(retentionSet(start, 96, 1_000), 80, 2_000)
    expect([999, 1_000].map((ms) => retentionAt(set, ms))).toEqual([72, 80])
  })

  it('set unchanged it gives the same object: nothing to write', () => {
    expect(retentionSet(start, 72, 5)).toBe(start)
  })

  it('is never longer than the shortest that was set since the time of the stamp; the number kept is bounded', () => {
    const changes = fc.array(
      fc.record({ waitMs: fc.integer({ min: 0, max: 100 }), retentionMs: fc.integer({ min: 1, max: 40 }) }),
      {
        maxLength: 30,
      },
    )
    fc.assert(
      fc.property(changes, fc.integer({ min: 0, max: 3_000 }), (some, timeMs) => {
        let nowMs = 0
        let kept: Retentions = retentionSet([], 20, 0)
        const set = [{ sinceMs: 0, retentionMs: 20 }]
        let merged = false
        for (const { waitMs, retentionMs } of some) {
          nowMs += waitMs
          kept = retentionSet(kept, retentionMs, nowMs)
          set.push({ sinceMs: nowMs, retentionMs })
          merged ||= kept.length === maxRetentions
        }
        const safe = Math.min(
          ...set
            .filter((_, index) => (set[index + 1]?.sinceMs ?? Number.POSITIVE_INFINITY) > timeMs)
            .map((one) => one.retentionMs),
        )
        if (!merged) expect(retentionAt(kept, timeMs)).toBe(safe)
        expect(retentionAt(kept, timeMs)).toBeLessThanOrEqual(safe)
        expect(retentionAt(kept, nowMs)).toBe(set.at(-1)?.retentionMs)
        expect(kept.length).toBeLessThanOrEqual(maxRetentions)
      }),
      { numRuns: 2_000 },
    )
  })

  it('set in a future that the clock has left, it applies from the confirmed time', () => {
    const set = retentionsConfirmed(retentionSet(start, 96, 9_000), 500)
    expect([499, 500].map((ms) => retentionAt(set, ms))).toEqual([72, 96])
  })
})
