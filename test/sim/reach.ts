/**
 * Measures the generator: which rows of the admission table and which fates a night reached, on which lane, and what
 * interrupted the attempt that reached them.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Fate } from '../../src/core/delivery/fate.ts'
import type { Admission } from '../../src/core/ledger/port.ts'
import type { Verdict } from '../../src/core/ledger/rules/register.ts'
import { type Lane, lanes } from '../../src/core/update/update.ts'

/** The compiler checks that none is missing. */
const verdictSet = {
  duplicate: 0,
  rejected: 0,
  in_flight: 0,
  id_reused: 0,
  expired: 0,
  overtaken: 0,
  delivered: 0,
  superseded: 0,
  erased: 0,
  ahead: 0,
  lost: 0,
  waits: 0,
  contended: 0,
  backoff: 0,
  held: 0,
  paused: 0,
  shut: 0,
  quota: 0,
  unchanged: 0,
  send: 0,
} satisfies Record<Verdict | Exclude<Admission['event'], 'open'>, 0>
const fateSet = {
  sent_delivered: 0,
  sent_refused: 0,
  sent_turned_away: 0,
  sent_denied: 0,
  refused_together: 0,
  sent_unknown: 0,
  unsent: 0,
  unfit: 0,
} satisfies Record<Exclude<Fate, Exclude<Verdict, 'send'>>, 0>
export type VerdictRow = keyof typeof verdictSet
export type FateRow = keyof typeof fateSet

export const interruptions = [
  'none',
  'death before a ledger step',
  'death after a ledger step',
  'death before a KV step',
  'death after a KV step',
  'death before a call',
  'death after a call',
  'ledger outage',
  'ledger slow',
  'ledger answer lost',
  'ledger refused',
  'KV outage',
  'KV failed',
  'clock jump',
  'deploy',
  'suspended',
  'too many subrequests',
] as const
export type Interruption = (typeof interruptions)[number]

const rows = { verdict: Object.keys(verdictSet) as VerdictRow[], fate: Object.keys(fateSet) as FateRow[] }
const columns = { lane: lanes, interruption: interruptions }
const tables = (['lane', 'interruption'] as const).flatMap((across) =>
  (['verdict', 'fate'] as const).map((down) => ({ down, across })),
)

/** `verdict send | lane live` */
export type Cell = string
const cellOf = (down: string, row: string, across: string, column: string): Cell =>
  `${down} ${row} | ${across} ${column}`

/** One of several runs that share the ring: `visitors`, the same for all of them, says which one asked about whom. */
export interface RunPart {
  readonly index: number
  readonly visitors: Map<string, number>
}

/** One request or run of an isolate, and what it has met since it last asked for an admission. */
export class Invocation {
  readonly #reached: Set<Cell>
  #seen: (readonly [down: 'verdict' | 'fate', row: string])[] = []
  #met = new Set<Interruption>()
  /** The calls and KV operations that the platform has counted. */
  subrequests = 0
  /** Requests that wait for an answer. */
  readonly open = { call: 0, store: 0 }

  /** A run of the flush. */
  readonly isRun: boolean
  /** Which of several it is; the one that starts the others is known once it does. */
  part: RunPart | undefined

  constructor(reached: Set<Cell>, isRun: boolean, part?: RunPart) {
    this.#reached = reached
    this.isRun = isRun
    this.part = part
  }

  /** A new attempt: what interrupted the last one does not interrupt this one. */
  begin(): void {
    this.end()
    this.#seen = []
    this.#met = new Set()
  }

  saw(down: 'verdict' | 'fate', row: VerdictRow | FateRow, lane: Lane): void {
    this.#seen.push([down, row])
    this.#reached.add(cellOf(down, row, 'lane', lane))
    for (const by of this.#met) this.#reached.add(cellOf(down, row, 'interruption', by))
  }

  interrupted(by: Interruption): void {
    if (this.#met.has(by)) return
    this.#met.add(by)
    for (const [down, row] of this.#seen) this.#reached.add(cellOf(down, row, 'interruption', by))
  }

  end(): void {
    if (this.#met.size === 0)
      for (const [down, row] of this.#seen) this.#reached.add(cellOf(down, row, 'interruption', 'none'))
  }
}

/** The invocation to which the running code belongs. */
export const invocations = new AsyncLocalStorage<Invocation>()
export const interrupted = (by: Interruption): void => invocations.getStore()?.interrupted(by)

/** In how many of `seeds` nights each cell was reached. */
export interface Reached {
  readonly seeds: number
  readonly nights: Readonly<Record<Cell, number>>
}

export const allCells: readonly Cell[] = tables.flatMap(({ down, across }) =>
  rows[down].flatMap((row) => columns[across].map((column) => cellOf(down, row, across, column))),
)

/**
 * A cell that is expected in so many nights is never missing by chance: if the nights were independent, it would be in
 * one run of a million.
 */
const expectedNights = 15

/** Cells that these seeds did not reach, although they were reached often enough before. */
export function missing(before: Reached, now: Reached): readonly Cell[] {
  return Object.entries(before.nights)
    .filter(([cell, nights]) => (nights * now.seeds) / before.seeds >= expectedNights && (now.nights[cell] ?? 0) === 0)
    .map(([cell]) => cell)
}

const onlyLive = 'impossible: an entry of the backlog comes to the door without an event id'

/** Why a cell is impossible, in the order of the rules; undefined if it is possible. */
export function impossible(cell: Cell): string | undefined {
  const [, , row, across, column] = /^(\w+) (\S+) \| (\w+) (.*)$/.exec(cell) ?? []
  if (across === 'lane' && column === 'replay') {
    if (row === 'duplicate' || row === 'in_flight') return onlyLive
    if (row === 'held') return 'impossible: what is held back in the backlog is not due, and does not come to the door'
  }
  if (across === 'lane' && column !== 'replay') {
    if (row === 'backoff') return 'impossible: only replay keeps a distance'
    if (row === 'refused_together') return 'impossible: a live call carries one event'
    if (row === 'unfit') return 'impossible: live, what fits no call is refused before the door'
  }
  return undefined
}

/** The tables as text for a terminal: the nights in each cell; `.` never, `-` impossible. */
export function tablesAsText(reached: Reached): string {
  return tables.map(({ down, across }) => tableText(reached, down, across)).join('\n\n')
}

function tableText({ nights }: Reached, down: 'verdict' | 'fate', across: 'lane' | 'interruption'): string {
  const heads = columns[across].map((column) => abbreviated(column))
  const width = Math.max(7, ...heads.map((head) => head.length + 1))
  const lines = rows[down].map((row) => [
    row,
    ...columns[across].map((column) => {
      const cell = cellOf(down, row, across, column)
      return nights[cell] === undefined ? (impossible(cell) === undefined ? '.' : '-') : String(nights[cell])
    }),
  ])
  return [[`${down} x ${across}`, ...heads], ...lines]
    .map(([head = '', ...cells]) => head.padEnd(22) + cells.map((text) => text.padStart(width)).join(''))
    .join('\n')
}

function abbreviated(column: string): string {
  return column
    .replace('death before a ', '-x ')
    .replace('death after a ', 'x- ')
    .replace(' step', '')
    .replace('subrequests', 'subreq.')
}

/** For `docs/guarantees.md`: how often each cell was reached, and why the rest was not. */
export function tablesAsMarkdown(reached: Reached): string {
  const { seeds, nights } = reached
  const part = tables.map(({ down, across }) => {
    const head = `| ${down} | ${columns[across].join(' | ')} |\n|---|${columns[across].map(() => '---:').join('|')}|`
    const lines = rows[down].map((row) => {
      const cells = columns[across].map((column) => {
        const cell = cellOf(down, row, across, column)
        return nights[cell] === undefined ? (impossible(cell) === undefined ? '**0**' : '—') : String(nights[cell])
      })
      return `| \`${row}\` | ${cells.join(' | ')} |`
    })
    return `${head}\n${lines.join('\n')}`
  })
  const reasons = new Map<string, Cell[]>()
  for (const cell of allCells) {
    if (nights[cell] !== undefined) continue
    const why = impossible(cell) ?? 'possible, and too rare for this many nights'
    reasons.set(why, [...(reasons.get(why) ?? []), cell])
  }
  const unreached = [...reasons].map(
    ([why, cells]) => `| ${cells.map((cell) => cell.replace(' | ', ' × ')).join('; ')} | ${why} |`,
  )
  return `In how many of ${seeds} nights each cell was reached; a dash is impossible.

${part.join('\n\n')}

| never reached | why |
|---|---|
${unreached.join('\n')}
`
}
