/**
 * The table of a SQL backlog as its backlog asks for it (`sqlite.ts`): rows whose values are texts that only the caller
 * can open. All of it is plain data, so that the table may lie in another process or in a Durable Object.
 *
 * Every method is one step of the store, and one transaction where it writes.
 */
import type { DeadCounts, DeadHead, Tally } from './port.ts'

/** A row to be written. What is null is unknown. */
export interface NewRow {
  readonly key: string
  readonly value: string
  readonly source: string | null
  readonly reason: string | null
  /** Of an entry: its size in a POST, and how many attributes it has. */
  readonly bytes: number | null
  readonly attributes: number | null
}

export interface Row {
  readonly key: string
  readonly value: string
}

/** A dead letter without its value. */
export interface LetterRow {
  readonly key: string
  /** Of the value. */
  readonly bytes: number
  /** Absent in what an older version wrote, until it was read once. */
  readonly head?: DeadHead
  /** Only where it was asked for, and there is one. */
  readonly detail?: string
}

/** What is kept beside a letter that had no head. */
export interface NewHead {
  readonly key: string
  readonly head: DeadHead
  readonly detail: string | null
}

export interface Rows<T> {
  readonly rows: readonly T[]
  /** The key to go on from; absent behind the last row. */
  readonly next?: string
}

/** What is stored sealed under one key: a value, and of a dead letter perhaps a detail beside it. */
export interface SealedRow {
  readonly value: string
  readonly detail: string | null
}

export interface BacklogRows {
  /** Writes what is not there yet, and removes keys. */
  exchange(rows: readonly NewRow[], removed: readonly string[]): Promise<void>
  /** As `exchange` of one row, with its head. */
  bury(row: NewRow, head: DeadHead, detail: string | null): Promise<void>
  /** Writes a text that is neither entry nor letter; one that is there is replaced. */
  writeText(key: string, value: string): Promise<void>
  /** Those that are there, in the order of `keys`. */
  read(keys: readonly string[]): Promise<readonly Row[]>
  /** Rows under a prefix behind a key, in key order: as many as `bytes` of values hold, and at least one. */
  page(prefix: string, after: string, limit: number, bytes: number): Promise<Rows<Row>>
  /** Dead letters before a key, newest first. */
  letters(before: string, limit: number, details: boolean): Promise<Rows<LetterRow>>
  /** Gives letters of an older version their heads. */
  setHeads(heads: readonly NewHead[]): Promise<void>
  /** In a few rows, however much there is; absent where writing those costs more than reading them all. */
  counts?(): Promise<{ readonly waiting: Tally; readonly dead: DeadCounts }>
  /** Rows of entries without their values, as `page`. */
  heads(prefix: string, after: string, limit: number): Promise<Rows<Omit<NewRow, 'value'>>>
  keys(after: string, before: string, limit: number): Promise<readonly string[]>
  readSealed(key: string): Promise<SealedRow | undefined>
  /** Replaces each part only where it is still what was read. */
  renew(key: string, was: SealedRow, renewed: SealedRow): Promise<void>
  /** Rejects where the store can't be used. */
  check(): Promise<void>
  /** Removes from the disk what was deleted. */
  purge?(): Promise<void>
}
