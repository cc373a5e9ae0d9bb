/** What became of a source's updates, as bars in time. */
import { html } from 'hono/html'
import type { Markup } from '../page.ts'
import { niceMost, path, short } from './scale.ts'

/** From the bottom up, with what is counted of each. */
export const outcomes = [
  ['sent', 'sent at once', ['submitted']],
  ['waited', 'deferred', ['deferred']],
  ['known', 'known already', ['duplicate', 'superseded', 'unchanged']],
  ['refused', 'refused or set aside', ['rejected', 'set_aside', 'quarantined']],
  ['stranger', 'not authenticated', ['unauthenticated']],
] as const
export type OutcomeKind = (typeof outcomes)[number][0]
export type Outcomes = Readonly<Record<OutcomeKind, number>>

/** Counts by name, in which a reason may follow a name: `deferred_quota`. */
export function outcomesOf(counts: Readonly<Record<string, number>>): Outcomes {
  const of = (names: readonly string[]) =>
    Object.entries(counts)
      .filter(([name]) => names.some((one) => name === one || name.startsWith(`${one}_`)))
      .reduce((all, [, count]) => all + count, 0)
  return Object.fromEntries(outcomes.map(([kind, , names]) => [kind, of(names)])) as Record<OutcomeKind, number>
}

const top = 12
const small = { width: 240, height: 72 }
/** For a page that shows one source alone. */
export const large = { width: 720, height: 180 }

/** @param bars oldest first */
export function outcomeBars(label: string, bars: readonly Outcomes[], { width, height } = small): Markup {
  const totals = bars.map((bar) => outcomes.reduce((all, [kind]) => all + bar[kind], 0))
  const most = niceMost(Math.max(...totals, 1))
  const step = width / bars.length
  const scale = (count: number) => (count / most) * (height - top)
  const below = bars.map(() => 0)
  const layers = outcomes.map(([kind]) => {
    const d = bars.map((bar, index) => {
      const from = below[index] ?? 0
      below[index] = from + bar[kind]
      // What is there is seen, however little it is.
      const tall = bar[kind] === 0 ? 0 : Math.max(1, scale(bar[kind]))
      return tall === 0
        ? ''
        : `M${round(index * step + 1)} ${round(height - scale(from))}h${round(step - 2)}v${-round(tall)}h${-round(step - 2)}z`
    })
    return path(`outcome ${kind}`, d.join(''))
  })
  return html`<svg class="bars" viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}"><path class="grid" d="M0 ${top}H${width}M0 ${height - 0.5}H${width}"/><text x="0" y="${top - 3}">${short(most)}</text>${layers}</svg>`
}

function round(at: number): number {
  return Math.round(at * 10) / 10
}
