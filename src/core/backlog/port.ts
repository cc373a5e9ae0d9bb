/**
 * The backlog: the durable store of deferred updates and of dead letters. `kv.ts` (Workers KV) and `sqlite.ts`
 * implement this port; `test/contract/backlog.ts` tests both against it.
 *
 * The port promises no more than KV gives: a put that resolved is durable, but a list may miss it for a minute or more,
 * and may still show a key that was deleted. Entries are immutable; a key is never written twice.
 */
import type { WaitReason } from '../update/reasons.ts'
import type { Attribute, Stamp, Visitor } from '../update/update.ts'

/** One deferred update as it is kept. */
export interface Entry {
  readonly visitor: Visitor
  readonly visitorHash: string
  readonly attributes: readonly Attribute[]
  readonly stamp: Stamp
  readonly source: string
  readonly event?: string
  /** When the relay first took it in, epoch ms. */
  readonly firstSeenMs: number
  /** Not to be sent before, epoch ms. */
  readonly notBeforeMs?: number
  /** Deferred while the ledger was silent: its event's first stamp must be asked for before it is sent. */
  readonly blind?: true
  /** Why it was deferred, or put back; absent in what older versions wrote. */
  readonly reason?: WaitReason
}

/** What a list shows of an entry without reading or opening it. It names nobody. */
export interface EntryHead {
  readonly key: string
  readonly visitorHash: string
  /** When the relay first took it in, epoch ms: the arrival in the stamp of its key. */
  readonly firstSeenMs: number
  /** Absent where an older version wrote it. */
  readonly source?: string
  readonly reason?: WaitReason
  /** Of one POST that carries all of it, and how many attributes; never less than they are. */
  readonly bytes: number
  readonly attributes: number
}

export interface KeptEntry {
  readonly key: string
  readonly entry: Entry
}

export const deadReasons = [
  'rejected',
  'refused_repeatedly',
  'expired',
  'overtaken_unconfirmed',
  'unmappable',
  'unreadable',
  'ledger_lost',
  'confirmation',
] as const
export type DeadReason = (typeof deadReasons)[number]

/** How often something was counted, by name. */
export type Counts = Readonly<Record<string, number>>

export interface Tally {
  readonly waiting: number
  readonly visitors: number
  /** Calls at most: all by POST; all by GET; and visitors of whom one GET carries everything. */
  readonly posts: number
  readonly gets: number
  readonly small: number
  /** When the oldest was first seen, epoch ms; absent where nothing waits. */
  readonly oldestMs?: number
  readonly bySource: Counts
  readonly byReason: Counts
}

export interface DeadCounts {
  readonly byReason: Counts
  readonly bySource: Counts
}

/** An update or event set aside for a person. */
export interface DeadLetter {
  readonly reason: DeadReason
  readonly source: string
  /** What Target or the mapping said; never a value or an id. */
  readonly detail?: string
  /** When it was set aside, and when the relay first saw it, epoch ms. */
  readonly atMs: number
  readonly firstSeenMs: number
  readonly attempts: number
  /**
   * The update, or the raw body of an event that could not be read, with the id that its sender gave it outside of it.
   */
  readonly entry?: Entry
  readonly raw?: string
  readonly eventId?: string
  /** The request headers that its source's mapping reads, by lower-case name. */
  readonly headers?: Readonly<Record<string, string>>
  /** `raw` is one event (as JSON) of a body that its source took apart. */
  readonly part?: true
}

export interface KeptDead {
  readonly key: string
  readonly dead: DeadLetter
}

/**
 * What is known of a dead letter without reading it, where it was written with a head. It holds nothing personal, and
 * no secret.
 */
export interface DeadHead {
  readonly reason: DeadReason
  readonly source: string
  readonly atMs: number
  readonly firstSeenMs: number
  readonly attempts: number
  /** Whose update it is, as the keyed hash; absent where that can only be told from a raw body. */
  readonly visitorHash?: string
}

/** A dead letter as a list shows it, by its head alone. */
export interface HeadedDead {
  readonly key: string
  readonly head: DeadHead
  /** Its detail, shortened, where it was asked for. */
  readonly detail?: string
}

/**
 * A page is bounded three ways: by `limit`, by the bytes that it holds in memory, and by what could not be read; so it
 * may have fewer items than `limit`, or none, and a cursor all the same. Only a page without a cursor is the last one.
 */
export interface Page<T> {
  readonly items: readonly T[]
  /** Present where there may be more, even if `items` is empty. */
  readonly cursor?: string
}

/**
 * A listed key whose content can't be read (another format, a missing decryption key, a store that gives all but this
 * one): left alone and reported.
 */
export interface Unreadable {
  readonly key: string
  readonly unreadable: string
  /** Of a dead letter, where its head can be read. */
  readonly head?: DeadHead
}

export interface NamedEntry {
  readonly entry: Entry
  /** 16 hex digits. */
  readonly name: string
}

/** A list was asked to go on from a cursor that no page of it gave. */
export class UnknownCursor extends Error {
  override readonly name = 'UnknownCursor'
}

/** Keys of texts of plans. */
export const planPrefix = 'x1/'

export interface ListDeadOptions {
  cursor?: string
  /** Letters that are looked at, 1..1,000. */
  limit?: number
  /** Letters that are shown: the page ends behind them. */
  itemsAtMost?: number
  wanted?: (head: DeadHead) => boolean
}

export interface SealsAsked {
  readonly part: 'entries' | 'dead'
  /** Seals anew what another key than the first sealed. */
  readonly anew: boolean
  readonly cursor?: string
  /** Keys of the store. */
  readonly limit: number
}

export interface SealsPage {
  /** By the name of the key, afterwards; what is not sealed is counted under `plain`. */
  readonly byKey: Counts
  readonly resealed: number
  /** What the store does not give, or does not take now. */
  readonly failed: number
  readonly cursor?: string
}

/** One page of what is stored. Rejects where the store does not answer. */
export type Reseal = (asked: SealsAsked) => Promise<SealsPage>

export interface Backlog {
  /** Keeps an entry under a new key, and gives the key once it is durable. */
  put(entry: Entry): Promise<string>
  /**
   * One page in key order, so that the entries of one visitor are neighbours.
   * `prefix`: leading hex digits of the visitor hash; empty for all. `limit`: 1..1,000, default 1,000. `cursor`: of a
   * page with the same prefix and limit.
   */
  list(options?: { prefix?: string; cursor?: string; limit?: number }): Promise<Page<KeptEntry | Unreadable>>
  /** What waits and what is dead, counted by the store itself in bounded time. */
  tally?(): Promise<{ readonly waiting: Tally; readonly dead: DeadCounts }>
  /**
   * In place of `tally`: as `list`, without the content. A page holds no value, and is one operation (two while the
   * backlog moves between stores).
   */
  heads?(options?: { prefix?: string; cursor?: string; limit?: number }): Promise<Page<EntryHead>>
  /** Idempotent. */
  delete(key: string): Promise<void>
  /** @param name 16 hex digits, by which a letter that comes again is kept once; default: random ones */
  bury(dead: DeadLetter, name?: string): Promise<string>
  /**
   * One page, newest first; behind all others, oldest first, what an older version kept in a KV. `wanted`: decides by
   * the head; what it refuses is left out, and is not even read where its head is stored beside it. What has no
   * readable head is always shown.
   */
  listDead(options?: ListDeadOptions): Promise<Page<KeptDead | Unreadable>>
  /** The same by their heads: only what has none is read. `details`: the beginning of each detail too. */
  deadHeads(options?: ListDeadOptions & { details?: boolean }): Promise<Page<HeadedDead | Unreadable>>
  /** Those of them that are there, at most `keysPerRead` of `Limits`, in their order. */
  readDeads(keys: readonly string[]): Promise<readonly (KeptDead | Unreadable)[]>
  /**
   * Puts entries, and only once all of them are durable deletes keys. A store with transactions does it in one. Puts
   * under names of the caller's: an entry that is put again under its name is kept once.
   */
  exchange(puts: readonly NamedEntry[], deletes: readonly string[]): Promise<void>
  /** Whether `exchange` removes this key and others for which this holds by one request, and all of them or none. */
  removesTogether?(key: string): boolean
  /** Text of an operator's plan, under a key that begins with `planPrefix`. */
  putText(key: string, text: string): Promise<void>
  /** Undefined where there is none, or not yet. */
  readText(key: string): Promise<string | undefined>
  /** Undefined where there is none under this key (any more). */
  readDead(key: string): Promise<KeptDead | Unreadable | undefined>
  /** Rejects where it is known that nothing can be kept. Cheap: a store that bills each operation is not asked. */
  check(): Promise<void>
  /**
   * Removes from the disk what was deleted. Rejects where another process holds it there. Absent where the platform
   * does it.
   */
  purge?(): Promise<void>
  /** Which keys of the ring seal a page of what is stored; and sealing it anew. */
  readonly reseal: Reseal
  /** Operations that this instance has asked of its store so far: what a flush's budget counts. */
  readonly operations: number
}
