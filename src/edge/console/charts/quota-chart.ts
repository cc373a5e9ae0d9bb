/** The quota as a picture: a day back, by lane, and a day ahead, with the ceilings. */
import { html } from 'hono/html'
import { figure } from '../../../core/words.ts'
import type { Markup } from '../page.ts'
import {
  bandOf,
  hourMs,
  lineOf,
  niceMost,
  type Panel,
  path,
  svg,
  timeAxis,
  valueAxis,
  viewWidth,
  xOf,
  yOf,
} from './scale.ts'

export interface QuotaPicture {
  readonly nowMs: number
  readonly used: number
  readonly limit: number
  /** The reserve lies between it and the limit. */
  readonly liveCeiling: number
  /** Oldest first: calls within the 24 h that end then, by lane. */
  readonly past: readonly { readonly atMs: number; readonly byLane: Readonly<Record<string, number>> }[]
  /** Now first: what still counts of the units of now, and what counts by the forecast. */
  readonly ahead: readonly { readonly atMs: number; readonly counted: number; readonly used?: number | undefined }[]
}

/** From the bottom up. */
export const chartLanes = ['live', 'high', 'bulk', 'replay'] as const

const height = 250
/** Where the ceilings are far above, they are named at the top instead of drawn. */
const farAbove = 2.5

export function quotaChart(picture: QuotaPicture): Markup {
  const { nowMs, used, limit, liveCeiling, past, ahead } = picture
  const peak = Math.max(
    used,
    ...past.map(({ byLane }) => sumOf(byLane)),
    ...ahead.map((one) => one.used ?? one.counted),
  )
  const far = peak * farAbove < limit
  const panel: Panel = {
    ...{ left: 52, right: viewWidth - 12, top: 22, bottom: height - 26 },
    ...{ fromMs: nowMs - 24 * hourMs, toMs: nowMs + 24 * hourMs },
    most: far ? niceMost(peak * 1.1) : limit * 1.08,
  }
  const below = past.map(() => 0)
  const bands = chartLanes.map((lane) => {
    const points = past.map(({ atMs, byLane }, index) => {
      const from = below[index] ?? 0
      below[index] = from + (byLane[lane] ?? 0)
      return { atMs, from, to: below[index] }
    })
    return points.some(({ from, to }) => to > from) ? path(`lane ${lane}`, bandOf(panel, points)) : html``
  })
  const frees = bandOf(
    panel,
    ahead.map(({ atMs, counted }) => ({ atMs, from: 0, to: counted })),
  )
  const foretold = ahead.flatMap((one) => (one.used === undefined ? [] : [[one.atMs, one.used] as const]))
  const label = `${figure(used)} of ${figure(limit)} calls of the last 24 hours are used; live traffic may use ${figure(liveCeiling)}.`
  return svg(
    height,
    label,
    far ? valueAxis(panel) : ceilings(panel, limit, liveCeiling),
    html`${bands}`,
    path('frees', frees),
    path('foretold', lineOf(panel, foretold)),
    html`<path class="now" d="M${xOf(panel, nowMs)} ${panel.top - 6}V${panel.bottom}"/><text class="nowtext" x="${xOf(panel, nowMs) + 5}" y="${panel.top - 8}">now</text>`,
    far
      ? html`<text class="far" x="${panel.right}" y="${panel.top - 8}">limit ${figure(limit)}, far above</text>`
      : html``,
    timeAxis(panel, 6 * hourMs),
  )
}

/** The limit, the reserve under it, and the ground. */
function ceilings(panel: Panel, limit: number, liveCeiling: number): Markup {
  const { left, right } = panel
  const [y, yLive] = [yOf(panel, limit), yOf(panel, liveCeiling)]
  return html`${valueAxis(panel, { top: limit })}<path class="reserve" d="M${left} ${y}H${right}V${yLive}H${left}Z"/><path class="limit" d="M${left} ${y}H${right}"/><path class="live-ceiling" d="M${left} ${yLive}H${right}"/><text class="far" x="${right - 4}" y="${y - 5}">limit ${figure(limit)}</text>`
}

export function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((all, one) => all + one, 0)
}
