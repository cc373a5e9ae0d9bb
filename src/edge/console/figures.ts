/** From the hourly figures of the API to what charts and tables show: pure functions. */
import type * as z from 'zod'
import type { series as seriesSchema } from '../contract/status.ts'
import type { BacklogPoint } from './charts/backlog-chart.ts'
import { outcomesOf } from './charts/outcome-bars.ts'
import { type QuotaPicture, sumOf } from './charts/quota-chart.ts'
import { hourMs } from './charts/scale.ts'
import type { Desk } from './desk.ts'
import type { Status } from './headline.ts'

export type Series = z.output<typeof seriesSchema>

export const shownHours = 72
/** Of the bars of the overview. */
export const barHours = 6

/** The hours of the last 72 that counted anything. */
export async function hourly(desk: Desk): Promise<Series['slots']> {
  const from = new Date(desk.nowMs - shownHours * hourMs).toISOString()
  const told = await desk.ask<Series>(`/series?from=${from}&step=3600`)
  return told.ok ? told.body.slots : []
}

/**
 * Calls within the 24 h that end at each hour of the last day, and now.
 *
 * @param today calls by lane of the last 24 h
 */
export function pastOf(
  series: Series['slots'],
  today: Readonly<Record<string, number>>,
  nowMs: number,
): QuotaPicture['past'] {
  const byHour = new Map(series.map(({ at, byLane }) => [Date.parse(at), byLane]))
  const lastHour = Math.floor(nowMs / hourMs) * hourMs
  const hours = Array.from({ length: 25 }, (_, index) => {
    const startMs = lastHour - (25 - index) * hourMs
    const byLane: Record<string, number> = {}
    for (let hour = 0; hour < 24; hour++)
      for (const [lane, { calls = 0 }] of Object.entries(byHour.get(startMs - hour * hourMs) ?? {}))
        if (calls > 0) byLane[lane] = (byLane[lane] ?? 0) + calls
    return { atMs: Math.max(nowMs - 24 * hourMs, startMs + hourMs), byLane }
  })
  return [...hours, { atMs: nowMs, byLane: today }]
}

export function trendOf(series: Series['slots'], backlog: Status['backlog'], nowMs: number): readonly BacklogPoint[] {
  const byHour = new Map(series.map((slot) => [Date.parse(slot.at), slot]))
  const firstHour = Math.floor(nowMs / hourMs) * hourMs - shownHours * hourMs
  const points = Array.from({ length: shownHours + 1 }, (_, index) => {
    const atMs = firstHour + index * hourMs
    const { waiting = 0, oldestAt } = byHour.get(atMs) ?? {}
    // Its run ended some time within the hour.
    return { atMs, waiting, ageMs: oldestAt === undefined ? 0 : Math.max(0, atMs + hourMs / 2 - Date.parse(oldestAt)) }
  })
  const oldest = backlog?.oldestAt
  const now = {
    atMs: nowMs,
    waiting: backlog?.waiting ?? 0,
    ageMs: oldest === undefined ? 0 : nowMs - Date.parse(oldest),
  }
  return [...points, now]
}

/** Those that counted anything, by how much came in. */
export function busiest(series: Series['slots']): readonly string[] {
  const sums = new Map<string, number>()
  for (const { counts } of series)
    for (const [name, some] of Object.entries(counts))
      if (name !== '' && name !== 'admin') sums.set(name, (sums.get(name) ?? 0) + sumOf(outcomesOf(some)))
  return [...sums]
    .filter(([, sum]) => sum > 0)
    .sort(([a, most], [b, less]) => less - most || (a < b ? -1 : 1))
    .map(([name]) => name)
}

export function sumOfSource(series: Series['slots'], source: string): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {}
  for (const { counts } of series)
    for (const [name, count] of Object.entries(counts[source] ?? {})) sums[name] = (sums[name] ?? 0) + count
  return sums
}

/** Oldest first: where each begins, and what became of a source's updates in it. */
export function barsOf(series: Series['slots'], source: string, nowMs: number, hours = barHours) {
  const widthMs = hours * hourMs
  const lastMs = Math.floor(nowMs / widthMs) * widthMs
  return Array.from({ length: shownHours / hours }, (_, index) => {
    const fromMs = lastMs - (shownHours / hours - 1 - index) * widthMs
    const within = series.filter(({ at }) => Date.parse(at) >= fromMs && Date.parse(at) < fromMs + widthMs)
    return [fromMs, outcomesOf(sumOfSource(within, source))] as const
  })
}
