/** What waited in the last 72 h, and how old its oldest was. */
import { counted } from '../../../core/words.ts'
import type { Markup } from '../page.ts'
import { bandOf, hourMs, lineOf, niceMost, type Panel, path, svg, timeAxis, valueAxis, viewWidth } from './scale.ts'

export interface BacklogPoint {
  readonly atMs: number
  readonly waiting: number
  /** How long the oldest had waited, ms; 0 where nothing did. */
  readonly ageMs: number
}

const height = 230

/** @param points oldest first; the last is now */
export function backlogChart(points: readonly BacklogPoint[]): Markup {
  const toMs = points.at(-1)?.atMs ?? 0
  const fromMs = Math.min(points[0]?.atMs ?? 0, toMs - hourMs)
  const sides = { left: 52, right: viewWidth - 12, fromMs, toMs }
  const waiting = Math.max(...points.map((point) => point.waiting))
  const oldestHours = Math.max(...points.map(({ ageMs }) => ageMs)) / hourMs
  const upper: Panel = { ...sides, top: 10, bottom: 116, most: niceMost(Math.max(waiting, 4)) }
  const lower: Panel = { ...sides, top: 138, bottom: height - 26, most: niceMost(Math.max(oldestHours, 1)) }
  return svg(
    height,
    `${counted(points.at(-1)?.waiting ?? 0, 'update')} wait now; the most in the time shown was ${counted(waiting, 'update')}.`,
    valueAxis(upper),
    path(
      'waits',
      bandOf(
        upper,
        points.map((point) => ({ atMs: point.atMs, from: 0, to: point.waiting })),
      ),
    ),
    valueAxis(lower, { unit: ' h' }),
    path(
      'age',
      lineOf(
        lower,
        points.map(({ atMs, ageMs }) => [atMs, ageMs / hourMs]),
      ),
    ),
    timeAxis(lower, 12 * hourMs),
  )
}
