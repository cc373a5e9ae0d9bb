/**
 * The rows of visitors and events on SQL.
 *
 * A Durable Object bills every row written, those of an index too. Hence one row a visitor, not one an attribute; and
 * the end of a row's life is rounded up, so that a settle finds it as the admission left it and its index is untouched.
 */
import { eventLifetimeMs, type LedgerSettings } from './port.ts'
import type { Backoff, EventRecord, Register } from './register.ts'
import type { Sql } from './sql.ts'

export const rowSchema = [
  'CREATE TABLE IF NOT EXISTS relay_visitor (hash TEXT PRIMARY KEY, registers TEXT NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE INDEX IF NOT EXISTS relay_visitor_until ON relay_visitor (until_ms)',
  'CREATE TABLE IF NOT EXISTS relay_event (event TEXT PRIMARY KEY, stamp TEXT NOT NULL, at_ms INTEGER NOT NULL, done INTEGER NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE INDEX IF NOT EXISTS relay_event_until ON relay_event (until_ms)',
]

/**
 * Rows whose time is over are removed a few at a time, so that no call pays for all of them; more of them than a request
 * can add, so that they never pile up.
 */
const sweptPerRequest = 2
/** Lives end on the hour. A row that lives longer than it must does no harm. */
const untilGrainMs = 3_600_000

export interface VisitorRow {
  readonly registers: Map<string, Register>
  readonly backoff?: Backoff
  readonly erasedMs?: number
  /** 0 where no row is kept. */
  readonly keptUntilMs: number
}

export type EventRow = EventRecord & { readonly keptUntilMs: number }

export interface SqlRows {
  /** Empty where there is no row, or none that lives. */
  readVisitor(hash: string, nowMs: number): VisitorRow
  /** @param untilMs how long it must live at least, epoch ms */
  writeVisitor(hash: string, row: VisitorRow, untilMs: number): void
  readEvent(event: string, nowMs: number): EventRow | undefined
  /** @param keptUntilMs of the row that is there, 0 where there is none */
  writeEvent(event: string, record: EventRecord, keptUntilMs: number, nowMs: number): void
  /** The hashes of visitors, or the events, behind `after`, in their order. */
  visitorsFrom(after: string, limit: number, nowMs: number): readonly string[]
  eventsFrom(after: string, limit: number, nowMs: number): readonly (EventRow & { readonly event: string })[]
  sweep(requests: number, nowMs: number): void
}

export function openRows(sql: Sql, settings: LedgerSettings): SqlRows {
  return { readVisitor, writeVisitor, readEvent, writeEvent, visitorsFrom, eventsFrom, sweep }

  function readVisitor(hash: string, nowMs: number): VisitorRow {
    const [row] = sql.exec('SELECT registers, until_ms FROM relay_visitor WHERE hash = ? AND until_ms >= ?', hash, nowMs)
    if (row === undefined) return { registers: new Map(), keptUntilMs: 0 }
    const kept = JSON.parse(String(row['registers'])) as { r: [string, Register][]; b?: Backoff; x?: number }
    return {
      registers: new Map(kept.r),
      keptUntilMs: Number(row['until_ms']),
      ...(kept.b === undefined ? {} : { backoff: kept.b }),
      ...(kept.x === undefined ? {} : { erasedMs: kept.x }),
    }
  }

  function writeVisitor(hash: string, { registers, backoff, erasedMs, keptUntilMs }: VisitorRow, untilMs: number): void {
    // What says nothing any more need not be kept.
    const telling = [...registers].filter(([, { done, open }]) => done !== undefined || open !== undefined)
    const kept = JSON.stringify({ r: telling, b: backoff, x: erasedMs })
    const until = Math.max(keptUntilMs, wholeHour(untilMs))
    if (until === keptUntilMs) sql.exec('UPDATE relay_visitor SET registers = ? WHERE hash = ?', kept, hash)
    else sql.exec('INSERT OR REPLACE INTO relay_visitor (hash, registers, until_ms) VALUES (?, ?, ?)', hash, kept, until)
  }

  function readEvent(event: string, nowMs: number): EventRow | undefined {
    const [row] = sql.exec('SELECT stamp, at_ms, done, until_ms FROM relay_event WHERE event = ? AND until_ms >= ?', event, nowMs)
    return row === undefined ? undefined : eventOf(row)
  }

  function writeEvent(event: string, { stamp, atMs, done }: EventRecord, keptUntilMs: number, nowMs: number): void {
    const flag = done ? 1 : 0
    const until = wholeHour(nowMs + eventLifetimeMs(settings))
    if (until === keptUntilMs) {
      sql.exec('UPDATE relay_event SET stamp = ?, at_ms = ?, done = ? WHERE event = ?', stamp, atMs, flag, event)
      return
    }
    sql.exec(
      'INSERT OR REPLACE INTO relay_event (event, stamp, at_ms, done, until_ms) VALUES (?, ?, ?, ?, ?)',
      event,
      stamp,
      atMs,
      flag,
      until,
    )
  }

  function sweep(requests: number, nowMs: number): void {
    for (const [table, key] of [
      ['relay_visitor', 'hash'],
      ['relay_event', 'event'],
    ])
      sql.exec(
        `DELETE FROM ${table} WHERE ${key} IN (SELECT ${key} FROM ${table} WHERE until_ms < ? LIMIT ?)`,
        nowMs,
        sweptPerRequest * requests,
      )
  }

  function visitorsFrom(after: string, limit: number, nowMs: number): readonly string[] {
    return sql
      .exec('SELECT hash FROM relay_visitor WHERE hash > ? AND until_ms >= ? ORDER BY hash LIMIT ?', after, nowMs, limit)
      .map((row) => String(row['hash']))
  }

  function eventsFrom(after: string, limit: number, nowMs: number): readonly (EventRow & { readonly event: string })[] {
    return sql
      .exec(
        'SELECT event, stamp, at_ms, done, until_ms FROM relay_event WHERE event > ? AND until_ms >= ? ORDER BY event LIMIT ?',
        after,
        nowMs,
        limit,
      )
      .map((row) => ({ event: String(row['event']), ...eventOf(row) }))
  }
}

function eventOf(row: Record<string, unknown>): EventRow {
  return { stamp: String(row['stamp']), atMs: Number(row['at_ms']), done: row['done'] === 1, keptUntilMs: Number(row['until_ms']) }
}

function wholeHour(ms: number): number {
  return Math.ceil(ms / untilGrainMs) * untilGrainMs
}
