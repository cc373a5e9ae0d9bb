import { describe, expect, it } from 'vitest'
import { median, type Round, summarize, tableOf } from './summary.ts'

const round = (variant: string, round: number, perSecond: number): Round => ({
  variant,
  senders: 8,
  round,
  perSecond,
  p50Ms: 1_000 / perSecond,
  p99Ms: 4_000 / perSecond,
  cpuMs: 500 / perSecond,
})

describe('the figures of bench:compare', () => {
  it('the median of an even number of values lies between the two in the middle', () => {
    expect([median([3, 1, 2]), median([4, 1, 3, 2])]).toEqual([2, 2.5])
  })

  it('a ratio is taken within a round, so a machine that slows down does not change it', () => {
    const rounds = [1_000, 800, 100].flatMap((perSecond, n) => [
      round('floor', n, perSecond),
      round('relay', n, perSecond / 2),
    ])
    const [floor, relay] = summarize(rounds, 'floor')
    expect(floor?.ratio).toEqual({ perSecond: 1, p50Ms: 1, p99Ms: 1, cpuMs: 1 })
    expect(relay?.ratio).toEqual({ perSecond: 0.5, p50Ms: 2, p99Ms: 2, cpuMs: 2 })
    expect(relay?.median.perSecond).toBe(400)
  })

  it('without the floor there are figures but no ratios', () => {
    const rows = summarize([round('relay', 0, 500)], 'floor')
    expect(rows[0]?.ratio).toBeUndefined()
    expect(tableOf(rows).split('\n').at(-1)).toMatch(/^\| relay {3,}\| +500 \| +2\.0 \| +8\.0 \| +1\.00 \|( +\|){4}$/)
  })
})
