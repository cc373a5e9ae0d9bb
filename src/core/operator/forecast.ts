/**
 * What will become of the quota and of what waits, if things go on as they do: the window is run ahead minute by minute
 * under the rules of admission (docs/rules.md, "Quota").
 *
 * Assumes that live traffic asks for as many units an hour as in the last one, spread evenly; that a run each minute
 * sends as much of what waits as it has room for, everything that waits being due; that what is deferred from now on
 * merges with nothing; and that Target takes each call.
 */
import { given } from '../given.ts'
import { spanAllows } from '../ledger/rules/pace.ts'

export interface ForecastParts {
  readonly nowMs: number
  /** Units by bucket: its start in epoch ms, and its units. */
  readonly buckets: readonly (readonly [startMs: number, units: number])[]
  readonly bucketMs: number
  /** How long after the end of its bucket a unit counts: window and slack. */
  readonly countsMs: number
  /** How many units may be spent in all when one of each is granted. */
  readonly ceilings: { readonly live: number; readonly replay: number }
  /** With pacing: how long a span is, and the quota. */
  readonly paced?: { readonly spanMs: number; readonly limit: number } | undefined
  /** What live traffic asked for in the last hour, granted or not. */
  readonly liveUnitsPerHour: number
  /** Units that what waits takes, and that one run can spend. */
  readonly waitingUnits: number
  readonly unitsPerRun: number
}

export interface Forecast {
  /** When the first live update finds no unit, epoch ms; absent where none does within `aheadMs`. */
  readonly firstDeferralMs?: number
  /** When nothing waits, epoch ms; absent where something still does then. */
  readonly doneMs?: number
}

/** How the window stands at a time to come. */
export interface Ahead {
  readonly atMs: number
  /** Of the units that count now, those that still do. */
  readonly counted: number
  /** Units that count, and that wait, if things go on as they do. */
  readonly used: number
  readonly waiting: number
}

/** How far ahead it looks: beyond that no pace goes on. */
export const aheadMs = 72 * 3_600_000
const minuteMs = 60_000
const minutesAnHour = 60
/** Beyond it no unit of now counts. */
const minutesShown = 24 * minutesAnHour

/** @param look called at each full hour of the next day, now included */
export function forecast(parts: ForecastParts, look?: (ahead: Ahead) => void): Forecast {
  const { nowMs, ceilings, paced, unitsPerRun } = parts
  const minuteOf = (ms: number) => Math.floor((ms - nowMs) / minuteMs)
  const minutes = aheadMs / minuteMs
  const freed = new Float64Array(minutes + 1)
  const leaves = new Float64Array(minutes + 1)
  let used = 0
  let recent = 0
  for (const [startMs, units] of parts.buckets) {
    const freeMinute = minuteOf(startMs + parts.bucketMs + parts.countsMs)
    if (freeMinute < 0) continue
    used += units
    freed[Math.min(freeMinute, minutes)] = (freed[Math.min(freeMinute, minutes)] ?? 0) + units
    const leavesMinute = paced === undefined ? -1 : minuteOf(startMs + paced.spanMs)
    if (leavesMinute < 0) continue
    recent += units
    leaves[Math.min(leavesMinute, minutes)] = (leaves[Math.min(leavesMinute, minutes)] ?? 0) + units
  }
  /** Units that there is room for, where as many have just gone. */
  const room = (ceiling: number, gone: number) => {
    const inSpan =
      paced === undefined ? Number.POSITIVE_INFINITY : spanAllows(ceiling, used - recent, paced.limit) - recent
    return Math.max(0, Math.min(ceiling - used, inSpan) - gone)
  }
  const countsMinutes = Math.ceil(parts.countsMs / minuteMs) + 1
  const livePerMinute = parts.liveUnitsPerHour / minutesAnHour
  let counted = used
  const freedOfNow = Float64Array.from(freed)
  let waiting = parts.waitingUnits
  /** Fractions of a unit add up: the first update that is deferred is a whole one. */
  let deferred = 0
  // Whatever the pace: one that arrives now finds no unit.
  let firstDeferralMs = used >= ceilings.live ? nowMs : undefined
  let doneMs = waiting > 0 ? undefined : nowMs

  for (let minute = 0; minute < minutes; minute++) {
    used -= freed[minute] ?? 0
    recent -= leaves[minute] ?? 0
    counted -= freedOfNow[minute] ?? 0
    if (minute <= minutesShown && minute % minutesAnHour === 0)
      look?.({ atMs: nowMs + minute * minuteMs, counted, used: Math.round(used), waiting: Math.round(waiting) })
    const live = Math.min(livePerMinute, room(ceilings.live, 0))
    deferred += livePerMinute - live
    waiting += livePerMinute - live
    if (deferred >= 1) firstDeferralMs ??= nowMs + minute * minuteMs
    const replayed = Math.min(waiting, unitsPerRun, room(ceilings.replay, live))
    waiting -= replayed
    used += live + replayed
    if (paced !== undefined) {
      recent += live + replayed
      const leavesMinute = Math.min(minute + Math.max(1, Math.round(paced.spanMs / minuteMs)), minutes)
      leaves[leavesMinute] = (leaves[leavesMinute] ?? 0) + live + replayed
    }
    freed[Math.min(minute + countsMinutes, minutes)] =
      (freed[Math.min(minute + countsMinutes, minutes)] ?? 0) + live + replayed
    if (waiting < 1) doneMs ??= nowMs + (minute + 1) * minuteMs
    if (firstDeferralMs !== undefined && doneMs !== undefined && (look === undefined || minute >= minutesShown)) break
  }
  return given({ firstDeferralMs, doneMs })
}
