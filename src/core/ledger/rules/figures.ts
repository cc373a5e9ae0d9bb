/**
 * Figures: what was counted, by line (a source and a lane) in slots of ten minutes. The SQL ledger runs these rules as
 * they stand here; `redis/scripts/figures.ts` says the same in Lua, under the same names.
 *
 * A slot is shown for 72 h. Later it is folded into the totals, so that those are right for ever and cost a settle
 * nothing.
 */

/** By name, how many. For a settle each name is `<source>/<lane>/<name>` (`figure`). */
export type Counters = Readonly<Record<string, number>>
/** By line, `<source>/<lane>`, its counters by name. */
export type Lines = Readonly<Record<string, Counters>>

/** What was counted in the ten minutes from `startMs` on, epoch ms. */
export interface Slot {
  readonly startMs: number
  readonly lines: Lines
}

export const slotMs = 600_000
export const slotsShownMs = 72 * 3_600_000
/** What one answer of a ledger spans. */
export const seriesMs = 24 * 3_600_000
/** Later than a clock may be set back unnoticed. */
export const slotsKeptMs = slotsShownMs + 3_600_000
/** Lines (on Redis: slots) that are folded for each one that begins: more than begin, so that they never pile up. */
export const foldedTogether = 2
/** What has no source, or a source that is not configured. No source can have these names. */
export const otherSource = '_other'
/** For what has updates of several sources: a merged call. */
export const severalSources = '_several'
/** For what has no lane, since it asked nothing of the quota. */
export const noLane = '-'

/** The name under which a settle counts it. */
export function figure(source: string, lane: string, name: string): string {
  return `${source}/${lane}/${name}`
}

export function slotOf(ms: number): number {
  return Math.floor(ms / slotMs) * slotMs
}

/** From where to where the slots begin that are shown, of those from `fromMs` on; both ends included. */
export function slotsShown(fromMs: number, nowMs: number): { readonly fromMs: number; readonly toMs: number } {
  const first = Math.max(slotOf(fromMs), slotOf(nowMs) - slotsShownMs)
  return { fromMs: first, toMs: Math.min(slotOf(nowMs), first + seriesMs - slotMs) }
}

/** The counts of a settle by line; what an older version counts has no line. */
export function linesOf(counts: Counters): Lines {
  const lines = new Map<string, [string, number][]>()
  for (const [key, count] of Object.entries(counts)) {
    const end = key.lastIndexOf('/')
    const line = key.slice(0, Math.max(0, end))
    lines.set(line, [...(lines.get(line) ?? []), [key.slice(end + 1), count]])
  }
  return Object.fromEntries([...lines].map(([line, some]) => [line, Object.fromEntries(some)]))
}

export function added(...all: readonly Counters[]): Counters {
  const sums = new Map<string, number>()
  for (const counters of all)
    for (const [name, count] of Object.entries(counters)) sums.set(name, (sums.get(name) ?? 0) + count)
  return Object.fromEntries(sums)
}

export function addedLines(...all: readonly Lines[]): Lines {
  const lines = new Map<string, Counters>()
  for (const some of all)
    for (const [line, counters] of Object.entries(some)) lines.set(line, added(lines.get(line) ?? {}, counters))
  return Object.fromEntries(lines)
}
