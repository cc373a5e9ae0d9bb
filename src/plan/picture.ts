/** A plan as one page of SVG: no script, the fonts of the system, light and dark. */
import { figure, span } from '../core/words.ts'
import type { Hour } from './engine.ts'
import type { Report } from './report.ts'
import { verdictOf } from './words.ts'

const [width, height] = [960, 760]
const [left, right] = [80, 940]
const dayMs = 86_400_000
const panels = [
  { title: 'Calls in the last 24 hours', top: 110, bottom: 290 },
  { title: 'Visitors that wait', top: 340, bottom: 500 },
  { title: 'Longest delay of a profile that had all again, in hours', top: 550, bottom: 710 },
] as const

const style = `:root{color-scheme:light dark}
.page{fill:light-dark(#fff,#15181d)}text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:light-dark(#1a1f26,#e6e9ee)}
.verdict{font-size:15px;font-weight:600}.muted{fill:light-dark(#5a6472,#9aa5b4)}.axis{text-anchor:end}.day{text-anchor:middle}
.grid{stroke:light-dark(#dfe3e8,#2a313a);fill:none}.limit{stroke:light-dark(#b42318,#ff8a7a);fill:none;stroke-dasharray:5 4}
.quota,.waits,.late{fill-opacity:.25;stroke-width:1.5}.quota{fill:light-dark(#2f6fd0,#5b96ee);stroke:light-dark(#2f6fd0,#5b96ee)}
.waits{fill:light-dark(#e0892b,#e39a4a);stroke:light-dark(#e0892b,#e39a4a)}.late{fill:light-dark(#7a52c7,#a98aec);stroke:light-dark(#7a52c7,#a98aec)}`

export function pictureOf(report: Report): string {
  const { hours, quota, outcome, updates } = report
  const [first, last] = [hours[0]?.startMs ?? 0, hours.at(-1)?.startMs ?? 0]
  const toMs = Math.max(last, first + 3_600_000)
  const drawn = [
    drawing(panels[0], hours, ({ used }) => used, {
      fromMs: first,
      toMs,
      least: quota.limit,
      kind: 'quota',
      limit: quota.limit,
    }),
    drawing(panels[1], hours, ({ visitorsWaiting }) => visitorsWaiting, {
      fromMs: first,
      toMs,
      least: 1,
      kind: 'waits',
    }),
    drawing(panels[2], hours, ({ longestMs }) => longestMs / 3_600_000, {
      fromMs: first,
      toMs,
      least: 1,
      kind: 'late',
    }),
  ]
  const facts = `${figure(updates)} updates, ${figure(outcome.calls)} calls, ${figure(outcome.savedByMerging)} saved by merging; 99% of the profiles that waited had all within ${span(outcome.delayMs.p99)}`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="t d"><title id="t">${escaped(verdictOf(report))}</title><desc id="d">${escaped(facts)}</desc><style>${style}</style><rect class="page" width="${width}" height="${height}"/>
${linesOf(verdictOf(report))
  .map((line, at) => `<text class="verdict" x="24" y="${36 + at * 24}">${escaped(line)}</text>`)
  .join('')}<text class="muted" x="24" y="74">${escaped(facts)}</text>
${drawn.join('\n')}
</svg>
`
}

interface Scale {
  readonly fromMs: number
  readonly toMs: number
  /** The top is no lower. */
  readonly least: number
  readonly kind: string
  readonly limit?: number
}

function drawing(
  { title, top, bottom }: (typeof panels)[number],
  hours: readonly Hour[],
  amountOf: (hour: Hour) => number,
  { fromMs, toMs, least, kind, limit }: Scale,
): string {
  const most = Math.max(least, ...hours.map(amountOf)) * 1.05
  const x = (ms: number) => rounded(left + ((ms - fromMs) / (toMs - fromMs)) * (right - left))
  const y = (value: number) => rounded(bottom - (value / most) * (bottom - top))
  const line = hours.map((hour) => `L${x(hour.startMs)} ${y(amountOf(hour))}`).join('')
  const grid = [0, 0.5, 1].map((share) => {
    const at = y((most / 1.05) * share)
    return `<path class="grid" d="M${left} ${at}H${right}"/><text class="muted axis" x="${left - 8}" y="${at + 4}">${figure((most / 1.05) * share)}</text>`
  })
  const everyDays = Math.max(1, Math.ceil((toMs - fromMs) / dayMs / 10))
  const days: string[] = []
  for (let ms = Math.ceil(fromMs / dayMs) * dayMs; ms <= toMs; ms += everyDays * dayMs)
    days.push(
      `<text class="muted day" x="${x(ms)}" y="${bottom + 18}">${new Date(ms).toISOString().slice(5, 10)}</text>`,
    )
  const ceiling = limit === undefined ? '' : `<path class="limit" d="M${left} ${y(limit)}H${right}"/>`
  return `<text x="${left}" y="${top - 10}">${escaped(title)}</text>${grid.join('')}<path class="${kind}" d="M${left} ${bottom}${line}L${right} ${bottom}Z"/>${ceiling}${days.join('')}`
}

const lineChars = 100

function linesOf(text: string): readonly string[] {
  if (text.length <= lineChars) return [text]
  const at = text.lastIndexOf(' ', lineChars)
  return [text.slice(0, at), text.slice(at + 1)]
}

function rounded(at: number): number {
  return Math.round(at * 10) / 10
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
