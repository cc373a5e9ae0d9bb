/**
 * Judges a load by Target's own record, by what senders were told, and by what the stores hold at the end.
 *
 * It checks: G1, no window has more calls than the quota; G2, each acknowledged value is at Target, or a newer one of its
 * attribute is, or it is in a backlog or a dead letter; G3, no older value is taken after a newer one of its attribute; G4,
 * an event that was submitted, and whose repeat was then answered `duplicate` (so it is settled), is not sent again. A
 * value is `gone` instead of lost only if a file that was taken away held it and no later answer said that it is kept: its
 * acknowledged try began before the file was taken, or it was answered `duplicate`, which refers to that earlier try.
 *
 * An entry may still wait at the end if a newer value of its attribute was begun, the relay need not know that it arrived,
 * and nobody tries it any longer: it was never acknowledged, or is a dead letter, or went with a file, or its process died
 * between answer and settle (docs/adr/0004). Target may have it, so the older one waits until it expires.
 */
import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { entryPrefix, isDeadKey, parseJson, unpackDead, unpackEntry } from '../../src/core/backlog/entry-format.ts'
import { createSeal, type RingKey } from '../../src/core/backlog/seal.ts'
import { randomBytes } from '../../src/relay/runtime.ts'
import type { SentEvent } from './senders.ts'

/** What Target's stand-in recorded (`target-process.ts`). */
export interface TargetRecord {
  /** When calls arrived, epoch ms, earliest first. */
  readonly arrivals: readonly number[]
  /** What it accepted, in order. */
  readonly taken: readonly {
    readonly visitor: string
    readonly pairs: readonly (readonly [string, string])[]
    readonly atMs: number
  }[]
}

/** What one store holds. */
export interface Held {
  readonly values: ReadonlySet<string>
  /** The values of each waiting entry. */
  readonly waiting: readonly (readonly string[])[]
  /** Dead letters by reason; those that can't be read are `unreadable`. */
  readonly dead: Readonly<Record<string, number>>
}

/** A file that was taken away from the running relay, and what it held. */
export interface GoneFile {
  readonly held: Held
  /** The turn (`Load.turn`) at which it was away. */
  readonly of: number
}

export interface Evidence {
  readonly events: ReadonlyMap<string, SentEvent>
  readonly record: TargetRecord
  readonly held: readonly Held[]
  readonly gone?: readonly GoneFile[]
  readonly windowMs: number
  readonly quotaLimit: number
}

export interface Verdict {
  readonly calls: number
  readonly mostInWindow: number
  /** How often each guarantee was broken. */
  readonly windowsOver: number
  readonly stale: number
  readonly sentAgain: number
  readonly lost: number
  /** Values that no sender sent: from a body that was cut, mixed up or made up. */
  readonly strange: number
  /** Values that are gone with a file that was taken away. They break no guarantee. */
  readonly gone: number
  readonly leftInBacklog: number
  readonly deadLetters: Readonly<Record<string, number>>
}

export function judge({ events, record, held, gone = [], windowMs, quotaLimit }: Evidence): Verdict {
  const newest = new Map<string, number>()
  let stale = 0
  let sentAgain = 0
  let strange = 0
  for (const { visitor, pairs, atMs } of record.taken)
    for (const [name, value] of pairs) {
      const event = events.get(value)
      if (event === undefined || event.key !== `${visitor} ${name}`) {
        strange++
        continue
      }
      const before = newest.get(event.key) ?? Number.NEGATIVE_INFINITY
      if (event.rank < before) stale++
      newest.set(event.key, Math.max(event.rank, before))
      if (atMs > (event.repeatedMs ?? Number.POSITIVE_INFINITY)) sentAgain++
    }

  let lost = 0
  let wentAlong = 0
  for (const [value, event] of events) {
    const { acknowledgedOf } = event
    if (acknowledgedOf === undefined || held.some(({ values }) => values.has(value))) continue
    if ((newest.get(event.key) ?? Number.NEGATIVE_INFINITY) >= event.rank) continue
    const saidBefore = ({ of }: GoneFile) => (event.toldAs === 'duplicate' ? event.begunOf : acknowledgedOf) < of
    if (gone.some((file) => file.held.values.has(value) && saidBefore(file))) wentAlong++
    else lost++
  }

  const dead: Record<string, number> = {}
  for (const one of held)
    for (const [reason, count] of Object.entries(one.dead)) dead[reason] = (dead[reason] ?? 0) + count
  return {
    calls: record.arrivals.length,
    ...windowsOf(record.arrivals, windowMs, quotaLimit),
    stale,
    sentAgain,
    lost,
    strange,
    gone: wentAlong,
    leftInBacklog: leftInBacklog({ events, record, held, gone }),
    deadLetters: dead,
  }
}

type LeftEvidence = Pick<Evidence, 'events' | 'record' | 'held' | 'gone'>

/** How many entries wait without a reason. */
export function leftInBacklog({ events, record, held, gone = [] }: LeftEvidence): number {
  const taken = new Set(record.taken.flatMap(({ pairs }) => pairs.map(([, value]) => value)))
  const entries = held.flatMap(({ waiting }) => waiting)
  const tried = new Set(entries.flat())
  const kept = [...held, ...gone.map((file) => file.held)]
  /** Whether the relay must know that it arrived: all that was not `submitted` left a store only once it was settled. */
  const isKnown = (value: string, { acknowledgedOf, toldAs, repeatedMs }: SentEvent) =>
    acknowledgedOf !== undefined &&
    taken.has(value) &&
    !kept.some(({ values }) => values.has(value)) &&
    (toldAs !== 'submitted' || repeatedMs !== undefined)
  const hasExcuse = (value: string) => {
    const own = events.get(value)
    if (own === undefined) return false
    const newer = [...events].filter(([, { key, rank }]) => key === own.key && rank > own.rank)
    if (newer.some(([other, event]) => isKnown(other, event))) return false
    return newer.some(([other]) => !tried.has(other))
  }
  return entries.filter((values) => values.length === 0 || !values.every(hasExcuse)).length
}

/** Whether a guarantee was broken or work was left over. A load without any acknowledgement proves nothing. */
export function isBroken(verdict: Verdict, acknowledged: number): boolean {
  const { windowsOver, stale, sentAgain, lost, strange, leftInBacklog } = verdict
  return windowsOver + stale + sentAgain + lost + strange + leftInBacklog > 0 || acknowledged === 0
}

/** A window of length W contains the arrivals in (end - W, end]. */
function windowsOf(
  arrivals: readonly number[],
  windowMs: number,
  quotaLimit: number,
): Pick<Verdict, 'mostInWindow' | 'windowsOver'> {
  let windowsOver = 0
  let mostInWindow = 0
  for (let first = 0, last = 0; last < arrivals.length; last++) {
    while ((arrivals[first] ?? 0) <= (arrivals[last] ?? 0) - windowMs) first++
    mostInWindow = Math.max(mostInWindow, last - first + 1)
    if (last - first + 1 > quotaLimit) windowsOver++
  }
  return { mostInWindow, windowsOver }
}

/** If a kill cut the last line short, that call was not answered either. */
export function readRecord(file: string): TargetRecord {
  const arrivals: number[] = []
  const taken: TargetRecord['taken'][number][] = []
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const one = parseJson(line) as ({ arrivedMs?: number } & Partial<TargetRecord['taken'][number]>) | undefined
    if (one?.arrivedMs !== undefined) arrivals.push(one.arrivedMs)
    const { visitor, pairs, atMs } = one ?? {}
    if (visitor !== undefined && pairs !== undefined && atMs !== undefined) taken.push({ visitor, pairs, atMs })
  }
  return { arrivals: arrivals.sort((one, other) => one - other), taken }
}

/** The content of a store by key, as it was stored. */
export async function readHeld(rows: Iterable<readonly [key: string, stored: unknown]>, key: RingKey): Promise<Held> {
  const seal = await createSeal([key], randomBytes)
  const values = new Set<string>()
  const dead: Record<string, number> = {}
  const waiting: string[][] = []
  for (const [name, stored] of rows) {
    if (!name.startsWith(entryPrefix) && !isDeadKey(name)) continue
    const packed = await seal.open(stored, name)
    const letter = isDeadKey(name) ? unpackDead(packed) : undefined
    const entry = name.startsWith(entryPrefix) ? unpackEntry(packed) : letter?.entry
    const own = (entry?.attributes ?? []).map(({ value }) => value)
    if (name.startsWith(entryPrefix)) waiting.push(own)
    if (isDeadKey(name)) {
      const reason = letter?.reason ?? 'unreadable'
      dead[reason] = (dead[reason] ?? 0) + 1
    }
    for (const value of own) values.add(value)
  }
  return { values, waiting, dead }
}

/** The content of the backlog in a server's file; nothing if it has none yet. */
export async function readHeldFile(file: string, key: RingKey): Promise<Held> {
  return readHeld(backlogRows(file), key)
}

/** Servers may be using the file at the same time. */
function backlogRows(file: string): [string, unknown][] {
  const database = new DatabaseSync(file)
  try {
    database.exec('PRAGMA busy_timeout = 10000')
    const [table] = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'relay_backlog'").all()
    if (table === undefined) return []
    return database
      .prepare('SELECT key, value FROM relay_backlog')
      .all()
      .map(({ key, value }) => [String(key), parseJson(String(value))])
  } finally {
    database.close()
  }
}
