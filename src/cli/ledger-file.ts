/**
 * The file of `target-relay ledger export`: a head, numbered parts, an end; one JSON object a line.
 *
 * Guarantee: what is read is what was written. Each line ends with a check over itself and all before it, and the end says
 * how many parts there are: a line that was changed, lost, repeated or put elsewhere is named by its number.
 * Known hole: the checksums are not a signature: whoever edits a file can edit them too. Files of format 1 have numbers
 * and an end, but no checks.
 */
import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import * as z from 'zod'
import type { MovedState } from '../core/ledger/moved.ts'
import { movedStateReader } from '../core/ledger/moved-state.ts'
import { wholeAccount } from '../core/ledger/rules/settings.ts'
import { Misuse } from './errors.ts'
import { linesOf, ownerOnly } from './files.ts'

const newest = 2
/** The first 64 bits of SHA-256, in hex. */
const checkChars = 16
const checked = /^(\{.*),"check":"([0-9a-f]{16})"\}$/s
/** What Upstash takes in one request of its smallest plan. */
const pieceBytes = 900_000

const headShape = z.strictObject({ targetRelayLedger: z.int(), exportedAt: z.string(), hashKey: z.string().min(1) })
const endShapes = {
  1: z.strictObject({ end: z.literal(true) }),
  2: z.strictObject({ end: z.literal(true), parts: z.int() }),
} as const

/** What a file holds, counted. */
export interface Counts {
  units: number
  visitors: number
  events: number
}

export const noCounts = (): Counts => ({ units: 0, visitors: 0, events: 0 })

export function count(counts: Counts, { units, visitors, events }: MovedState): void {
  counts.units += units.filter(({ account }) => account === wholeAccount).reduce((sum, one) => sum + one.units, 0)
  counts.visitors += visitors.length
  counts.events += events.length
}

export interface LedgerWriter {
  /** First. `hashKey` names the HASH_KEY of the relay. */
  head(hashKey: string): Promise<void>
  /** A part as the ledger gave it; it becomes as many lines as any ledger takes at once. */
  part(part: MovedState): Promise<void>
  /** Resolves once all of it is on disk. */
  end(): Promise<void>
  close(): Promise<void>
}

/**
 * @param file must not be there
 * @param exportId hex; names the export, and with a number each of its parts
 */
export async function writeLedgerFile(file: string, exportId: string): Promise<LedgerWriter> {
  const handle = await open(file, 'wx', ownerOnly).catch(() => {
    throw new Misuse(`${file} cannot be written`)
  })
  const chain = newChain()
  let number = 0
  const line = async (content: object) => {
    const text = JSON.stringify(content)
    await handle.write(`${text.slice(0, -1)},"check":"${chain(text)}"}\n`)
  }
  return {
    head: (hashKey) => line({ targetRelayLedger: newest, exportedAt: new Date().toISOString(), hashKey }),
    async part(part) {
      for (const piece of piecesOf(part)) await line({ id: `${exportId}:${number++}`, ...piece })
    },
    async end() {
      await line({ end: true, parts: number })
      await handle.sync()
    },
    // What was not synced is thrown away by the caller.
    close: () => handle.close().catch(() => undefined),
  }
}

export interface LedgerLine {
  /** From 1 on. */
  readonly line: number
  /** Names the HASH_KEY under which the file was written. */
  readonly hashKey: string
  readonly part: MovedState
}

/** @param nowMs epoch ms @throws Misuse with the number of the first line that can't be */
export async function* readLedgerFile(file: string, nowMs: number): AsyncGenerator<LedgerLine> {
  const readPart = movedStateReader(nowMs)
  const chain = newChain()
  let line = 0
  let head: z.output<typeof headShape> | undefined
  let exportId: string | undefined
  let parts = 0
  let ended = false
  const wrong = (what: string) => new Misuse(`${file}, line ${line}: ${what}. Nothing can be made of it: export again`)

  for await (const text of linesOf(file)) {
    line++
    if (text.trim() === '') continue
    if (ended) throw wrong('stands behind the end of the export; each export is imported from a file of its own')
    if (head === undefined) {
      head = headOf(file, text)
      if (head.targetRelayLedger === newest) contentOf(text)
      continue
    }
    const content = head.targetRelayLedger === newest ? contentOf(text) : parse(text)
    if (typeof content !== 'object' || content === null) throw wrong('is no JSON object')
    if ('targetRelayLedger' in content)
      throw wrong('begins another export; each export is imported from a file of its own')
    if ('end' in content) {
      const end = endShapes[head.targetRelayLedger === newest ? 2 : 1].safeParse(content)
      if (!end.success || parts === 0 || ('parts' in end.data && end.data.parts !== parts))
        throw wrong('is no end of what stands before it')
      ended = true
      continue
    }
    const read = readPart(content)
    if (!read.ok) throw wrong(read.problem)
    const [, id, number] = /^([0-9a-f]+):(\d+)$/.exec(read.state.id ?? '') ?? []
    if (id === undefined) throw wrong('has no number')
    exportId ??= id
    if (id !== exportId) throw wrong('is of another export')
    if (Number(number) !== parts)
      throw wrong(`is part ${number}, where part ${parts} belongs; lines are missing, repeated or moved`)
    parts++
    yield { line, hashKey: head.hashKey, part: read.state }
  }
  if (head === undefined) throw new Misuse(`${file} is no export of a ledger`)
  if (!ended) throw new Misuse(`${file} is not whole: it breaks off behind line ${line}. Export again`)

  /** What a line says, where its check fits. */
  function contentOf(text: string): unknown {
    const [, most, check] = checked.exec(text) ?? []
    if (most === undefined || chain(`${most}}`) !== check) throw wrong('was changed, or a line before it is missing')
    return parse(`${most}}`)
  }
}

function headOf(file: string, text: string): z.output<typeof headShape> {
  const [, most] = checked.exec(text) ?? []
  const head = headShape.safeParse(parse(most === undefined ? text : `${most}}`))
  if (!head.success) throw new Misuse(`${file} is no export of a ledger`)
  const { targetRelayLedger: version } = head.data
  if (version < 1 || version > newest)
    throw new Misuse(`${file} was written by another version of target-relay (format ${version})`)
  return head.data
}

/** Each check covers its own line and, by the one before it, all lines before. */
function newChain(): (text: string) => string {
  let last = ''
  return (text) => {
    last = createHash('sha256').update(`${last}\n${text}`).digest('hex').slice(0, checkChars)
    return last
  }
}

/** A part in pieces that any ledger takes at once. */
function* piecesOf({ units, visitors, events, ...rest }: MovedState): Generator<MovedState> {
  const none = { units: [], visitors: [], events: [] }
  if (units.length > 0 || Object.keys(rest).length > 0 || visitors.length + events.length === 0)
    yield { ...none, ...rest, units }
  for (const kind of ['visitors', 'events'] as const) {
    let rows: unknown[] = []
    let bytes = 0
    for (const row of { visitors, events }[kind]) {
      const size = Buffer.byteLength(JSON.stringify(row))
      if (rows.length > 0 && bytes + size > pieceBytes) {
        yield { ...none, [kind]: rows }
        rows = []
        bytes = 0
      }
      rows.push(row)
      bytes += size
    }
    if (rows.length > 0) yield { ...none, [kind]: rows }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
