/** Figures as operators see them: by time and source, from the slots of the ledger (`core/ledger/rules/figures.ts`). */
import type { Clock } from '../clock.ts'
import { given } from '../given.ts'
import type { Ledger } from '../ledger/port.ts'
import {
  added,
  type Counters,
  type Lines,
  type Slot,
  seriesMs,
  slotMs,
  slotOf,
  slotsShownMs,
} from '../ledger/rules/figures.ts'
import { isoTime } from '../time.ts'
import { readTrend, type TrendPoint, trendMemo } from './trend.ts'

export interface Series {
  /** Width of a slot, s. */
  readonly step: number
  /** Oldest first; those without counts are left out. */
  readonly slots: readonly {
    /** Where it begins, ISO 8601. */
    readonly at: string
    /** By source and name. */
    readonly counts: Lines
    /** By lane and name. */
    readonly byLane: Lines
    /** The most that waited when a run ended, and since when the oldest of it did, ISO 8601. */
    readonly waiting?: number
    readonly oldestAt?: string
  }[]
}

const dayMs = 24 * 3_600_000

export type SeriesOf = (options?: { readonly fromMs?: number; readonly stepMs?: number }) => Promise<Series>

export interface SeriesParts {
  readonly ledger: Pick<Ledger, 'series' | 'recall'>
  readonly clock: Pick<Clock, 'now'>
}

/**
 * `fromMs`: epoch ms; default: a day ago; at most 72 h ago. `stepMs`: a multiple of `slotMs`, the default. Rejects where
 * the ledger does not answer.
 */
export function createSeries(parts: SeriesParts): SeriesOf {
  return async ({ fromMs = parts.clock.now() - dayMs, stepMs = slotMs } = {}) => {
    const steps = new Map<number, { slots: Slot[]; most?: TrendPoint }>()
    const stepOf = (ms: number) => {
      const atMs = Math.floor(ms / stepMs) * stepMs
      const step = steps.get(atMs) ?? { slots: [] }
      steps.set(atMs, step)
      return step
    }
    const [slots, trend] = await Promise.all([slotsFrom(parts, fromMs), parts.ledger.recall(trendMemo)])
    for (const slot of slots) stepOf(slot.startMs).slots.push(slot)
    for (const point of readTrend(trend)) {
      if (point.atMs < slotOf(fromMs) || point.atMs > parts.clock.now()) continue
      const step = stepOf(point.atMs)
      if (point.waiting >= (step.most?.waiting ?? 0)) step.most = point
    }
    return {
      step: stepMs / 1_000,
      slots: [...steps]
        .sort(([a], [b]) => a - b)
        .map(([atMs, { slots: some, most }]) => ({
          at: isoTime(atMs),
          counts: summedBy(some, sourceOf),
          byLane: summedBy(some, laneOf),
          ...given({
            waiting: most?.waiting,
            oldestAt: most?.oldestMs === undefined ? undefined : isoTime(most.oldestMs),
          }),
        })),
    }
  }
}

async function slotsFrom({ ledger, clock }: SeriesParts, fromMs: number): Promise<readonly Slot[]> {
  const slots: Slot[] = []
  const nowMs = clock.now()
  for (let askedMs = Math.max(fromMs, nowMs - slotsShownMs); askedMs <= nowMs; askedMs += seriesMs)
    slots.push(...(await ledger.series(askedMs)))
  return slots
}

export function sourceOf(line: string): string {
  return line.slice(0, Math.max(0, line.indexOf('/')))
}

export function laneOf(line: string): string {
  return line.slice(line.indexOf('/') + 1)
}

/** What these slots counted, by what `keyOf` names of each line. */
export function summedBy(slots: readonly Pick<Slot, 'lines'>[], keyOf: (line: string) => string): Lines {
  const sums = new Map<string, Counters>()
  for (const [line, counters] of slots.flatMap(({ lines }) => Object.entries(lines)))
    sums.set(keyOf(line), added(sums.get(keyOf(line)) ?? {}, counters))
  return Object.fromEntries(sums)
}
