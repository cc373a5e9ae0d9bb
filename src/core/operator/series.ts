/** Figures as operators see them: by time and source, from the slots of the ledger (`core/ledger/rules/figures.ts`). */
import type { Clock } from '../clock.ts'
import type { Ledger } from '../ledger/port.ts'
import { added, type Counters, type Lines, type Slot, seriesMs, slotMs, slotsShownMs } from '../ledger/rules/figures.ts'
import { isoTime } from '../time.ts'

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
  }[]
}

const dayMs = 24 * 3_600_000

export type SeriesOf = (options?: { readonly fromMs?: number; readonly stepMs?: number }) => Promise<Series>

export interface SeriesParts {
  readonly ledger: Pick<Ledger, 'series'>
  readonly clock: Pick<Clock, 'now'>
}

/**
 * `fromMs`: epoch ms; default: a day ago; at most 72 h ago. `stepMs`: a multiple of `slotMs`, the default. Rejects where
 * the ledger does not answer.
 */
export function createSeries(parts: SeriesParts): SeriesOf {
  return async ({ fromMs = parts.clock.now() - dayMs, stepMs = slotMs } = {}) => {
    const steps = new Map<number, Slot[]>()
    for (const slot of await slotsFrom(parts, fromMs)) {
      const atMs = Math.floor(slot.startMs / stepMs) * stepMs
      steps.set(atMs, [...(steps.get(atMs) ?? []), slot])
    }
    return {
      step: stepMs / 1_000,
      slots: [...steps].map(([atMs, some]) => ({
        at: isoTime(atMs),
        counts: summedBy(some, sourceOf),
        byLane: summedBy(some, laneOf),
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
