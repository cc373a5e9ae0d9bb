/** From rounds to figures: medians, and the ratio to the floor of the same round. Pure. */

export interface Measured {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** User and system time of the process tree for one update. */
  readonly cpuMs: number
}

export interface Round extends Measured {
  readonly variant: string
  readonly senders: number
  readonly round: number
}

export interface Row {
  readonly variant: string
  readonly median: Measured
  /** Median of the rounds' ratios to the floor; undefined if the floor was not measured. */
  readonly ratio: Measured | undefined
}

const figures = ['perSecond', 'p50Ms', 'p99Ms', 'cpuMs'] as const

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const [high = Number.NaN, low = Number.NaN] = [sorted[middle], sorted[middle - 1]]
  return sorted.length % 2 === 1 ? high : (low + high) / 2
}

/** A row for each variant, in the order of their first rounds. */
export function summarize(rounds: readonly Round[], floor: string): readonly Row[] {
  const floors = new Map(rounds.filter(({ variant }) => variant === floor).map((one) => [one.round, one]))
  return [...new Set(rounds.map(({ variant }) => variant))].map((variant) => {
    const own = rounds.filter((one) => one.variant === variant)
    const paired = own.flatMap((one) => {
      const least = floors.get(one.round)
      return least === undefined ? [] : [measured((figure) => one[figure] / least[figure])]
    })
    return {
      variant,
      median: measured((figure) => median(own.map((one) => one[figure]))),
      ratio: paired.length === 0 ? undefined : measured((figure) => median(paired.map((one) => one[figure]))),
    }
  })
}

/** The rows as a table, with a heading. */
export function tableOf(rows: readonly Row[]): string {
  const lines = [
    [
      'variant',
      'updates/s',
      'p50 ms',
      'p99 ms',
      'CPU ms/update',
      'updates/s : floor',
      'p50 : floor',
      'p99 : floor',
      'CPU : floor',
    ],
    ...rows.map(({ variant, median: { perSecond, p50Ms, p99Ms, cpuMs }, ratio }) => [
      variant,
      perSecond.toFixed(0),
      p50Ms.toFixed(1),
      p99Ms.toFixed(1),
      cpuMs.toFixed(2),
      ...figures.map((figure) => (ratio === undefined ? '' : ratio[figure].toFixed(2))),
    ]),
  ]
  return markdownTable(lines)
}

/** A table in Markdown, its columns aligned so that it can be read on a terminal too. The first line is its heading. */
export function markdownTable(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  const [head = '', ...body] = lines.map(
    (line) =>
      `| ${line.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`,
  )
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  return [head, rule, ...body].join('\n')
}

function measured(of: (figure: (typeof figures)[number]) => number): Measured {
  return { perSecond: of('perSecond'), p50Ms: of('p50Ms'), p99Ms: of('p99Ms'), cpuMs: of('cpuMs') }
}
