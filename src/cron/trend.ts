/**
 * How much waited behind the runs of the last 72 h, kept in the ledger: one point a slot of the figures, of its first
 * run that found anything.
 *
 * Guarantee: a run that found nothing asks for nothing. What is kept is bounded.
 * Known hole: a slot without a point is one in which nothing waited, or in which no run ended.
 */
import type { Clock } from '../core/clock.ts'
import { given } from '../core/given.ts'
import type { Ledger } from '../core/ledger/port.ts'
import { slotOf, slotsShownMs } from '../core/ledger/rules/figures.ts'
import { readTrend, type TrendPoint, trendMemo, writeTrend } from '../core/operator/trend.ts'
import { foundNothing } from './census.ts'
import type { Duty } from './duties.ts'

/** What a process or an isolate remembers. */
export interface TrendMemory {
  /** The slot whose point is kept, epoch ms. */
  trendSlotMs?: number
}

export interface TrendParts {
  readonly ledger: Pick<Ledger, 'recall' | 'remember'>
  readonly clock: Pick<Clock, 'now'>
  readonly memory: TrendMemory
  /** What waits now. Rejects where the ledger or the store does not answer. */
  readonly waits: () => Promise<Pick<TrendPoint, 'waiting' | 'oldestMs'>>
}

export function keepTrend({ ledger, clock, memory, waits }: TrendParts): Duty {
  return {
    name: 'trend',
    async work(_, report) {
      const slotMs = slotOf(clock.now())
      if (foundNothing(report) || memory.trendSlotMs === slotMs) return
      const kept = readTrend(await ledger.recall(trendMemo)).filter(({ atMs }) => slotMs - atMs <= slotsShownMs)
      if (kept.at(-1)?.atMs !== slotMs) {
        const { waiting, oldestMs } = await waits()
        await ledger.remember(trendMemo, writeTrend([...kept, { atMs: slotMs, waiting, ...given({ oldestMs }) }]))
      }
      memory.trendSlotMs = slotMs
    },
  }
}
