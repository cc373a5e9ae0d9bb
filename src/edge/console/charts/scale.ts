/** What charts have in common: scales, ticks, axes. Pure functions of numbers; nothing in them knows the DOM. */
import { html, raw } from 'hono/html'
import { figure } from '../../../core/words.ts'
import type { Markup } from '../page.ts'

/** A panel of a chart, in units of its view box. */
export interface Panel {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
  readonly fromMs: number
  readonly toMs: number
  /** What the top stands for; the bottom is 0. */
  readonly most: number
}

export const viewWidth = 720
export const hourMs = 3_600_000

export function xOf({ left, right, fromMs, toMs }: Panel, atMs: number): number {
  return rounded(left + ((atMs - fromMs) / (toMs - fromMs)) * (right - left))
}

export function yOf({ top, bottom, most }: Panel, value: number): number {
  return rounded(bottom - (Math.min(value, most) / most) * (bottom - top))
}

function rounded(at: number): number {
  return Math.round(at * 10) / 10
}

/** The least of 1, 2, 4, 6 and 8 times a power of ten that is not below it, so that its half is round; 1 at least. */
export function niceMost(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)))
  return power * ([1, 2, 4, 6, 8].find((step) => step * power >= value) ?? 10)
}

/** A line through points. */
export function lineOf(panel: Panel, points: readonly (readonly [atMs: number, value: number])[]): string {
  return points
    .map(([atMs, value], index) => `${index === 0 ? 'M' : 'L'}${xOf(panel, atMs)} ${yOf(panel, value)}`)
    .join('')
}

/** What lies between two lines over the same times. */
export function bandOf(
  panel: Panel,
  points: readonly { readonly atMs: number; readonly from: number; readonly to: number }[],
): string {
  if (points.length === 0) return ''
  const upper = lineOf(
    panel,
    points.map(({ atMs, to }) => [atMs, to]),
  )
  const lower = points.toReversed().map(({ atMs, from }) => `L${xOf(panel, atMs)} ${yOf(panel, from)}`)
  return `${upper}${lower.join('')}Z`
}

/** @param kind names its colour in the style sheet */
export function path(kind: string, d: string): Markup {
  return d === '' ? raw('') : html`<path class="${kind}" d="${raw(d)}"/>`
}

/** Lines across and their figures, at a half of `top` and at it. */
export function valueAxis(panel: Panel, { unit = '', top = panel.most } = {}): Markup {
  const { left, right } = panel
  const ticks = [0, top / 2, top].map((value) => {
    const y = yOf(panel, value)
    return html`<path class="grid" d="M${left} ${y}H${right}"/><text class="y" x="${left - 6}" y="${y + 4}">${short(value)}${value > 0 && unit}</text>`
  })
  return html`${ticks}`
}

/** Times below, a step apart, by the clock in UTC; where a day begins its date. */
export function timeAxis(panel: Panel, stepMs: number): Markup {
  const { bottom, fromMs, toMs } = panel
  const first = Math.ceil(fromMs / stepMs) * stepMs
  const count = Math.floor((toMs - first) / stepMs) + 1
  const ticks = Array.from({ length: Math.max(0, count) }, (_, index) => first + index * stepMs)
  return html`${ticks.map(
    (atMs, index) =>
      html`<path class="tick" d="M${xOf(panel, atMs)} ${bottom}v4"/><text class="x${index % 2 === 1 && ' odd'}" x="${xOf(panel, atMs)}" y="${bottom + 17}">${clockOf(atMs)}</text>`,
  )}`
}

function clockOf(atMs: number): string {
  const iso = new Date(atMs).toISOString()
  return iso.slice(11, 16) === '00:00' ? iso.slice(5, 10) : iso.slice(11, 16)
}

/** `950`, `12.5k`, `1M`. */
export function short(value: number): string {
  if (value >= 1_000_000) return `${trimmed(value / 1_000_000)}M`
  if (value >= 10_000) return `${trimmed(value / 1_000)}k`
  return value < 10 ? trimmed(value) : figure(value)
}

function trimmed(value: number): string {
  return String(Math.round(value * 10) / 10)
}

/** @param label says in words what it shows */
export function svg(height: number, label: string, ...body: readonly Markup[]): Markup {
  return html`<svg viewBox="0 0 ${viewWidth} ${height}" role="img" aria-label="${label}">${body}</svg>`
}

/** What each colour means. */
export function legend(items: readonly (readonly [kind: string, text: string])[]): Markup {
  return html`<ul class="legend">${items.map(
    ([kind, text]) =>
      html`<li><svg viewBox="0 0 12 12" aria-hidden="true"><path class="${kind}" d="M0 6h12v6H0z"/></svg>${text}</li>`,
  )}</ul>`
}
