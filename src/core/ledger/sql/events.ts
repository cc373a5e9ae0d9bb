/** The rows of events on SQL. Within a transaction. */
import type { Sql } from '../../store/sql.ts'
import type { EventRecord } from '../rules/event.ts'
import { eventLifetimeMs, type LedgerSettings } from '../rules/settings.ts'
import { sweepTable, sweptPerRequest, wholeHour } from './lifetimes.ts'

export const eventSchema = [
  'CREATE TABLE IF NOT EXISTS relay_event (event TEXT PRIMARY KEY, stamp TEXT NOT NULL, at_ms INTEGER NOT NULL, done INTEGER NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE INDEX IF NOT EXISTS relay_event_until ON relay_event (until_ms)',
]

/** In the column `done`: 0 is open, 1 done. */
const rejectedFlag = 2

export type EventRow = EventRecord & { readonly keptUntilMs: number }

export interface SqlEvents {
  readEvent(event: string, nowMs: number): EventRow | undefined
  /** @param seen the row that is there */
  writeEvent(event: string, record: EventRecord, seen: EventRow | undefined, nowMs: number): void
  /** The events behind `after`, in their order. */
  eventsFrom(after: string, limit: number, nowMs: number): readonly (EventRow & { readonly event: string })[]
  /** Removes rows whose life is over, a few for each request. */
  sweepEvents(requests: number, nowMs: number): void
}

export function openEvents(sql: Sql, settings: LedgerSettings): SqlEvents {
  return { readEvent, writeEvent, eventsFrom, sweepEvents }

  function readEvent(event: string, nowMs: number): EventRow | undefined {
    const [row] = sql.exec(
      'SELECT stamp, at_ms, done, until_ms FROM relay_event WHERE event = ? AND until_ms >= ?',
      event,
      nowMs,
    )
    return row === undefined ? undefined : eventOf(row)
  }

  function writeEvent(
    event: string,
    { stamp, atMs, done, rejected }: EventRecord,
    seen: EventRow | undefined,
    nowMs: number,
  ): void {
    const flag = rejected === true ? rejectedFlag : done ? 1 : 0
    const until = wholeHour(nowMs + eventLifetimeMs(settings))
    if (until === seen?.keptUntilMs) {
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

  function sweepEvents(requests: number, nowMs: number): void {
    sweepTable(sql, 'relay_event', 'event', nowMs - eventLifetimeMs(settings), sweptPerRequest * requests)
  }
}

function eventOf(row: Record<string, unknown>): EventRow {
  const flag = Number(row['done'])
  return {
    stamp: String(row['stamp']),
    atMs: Number(row['at_ms']),
    done: flag > 0,
    ...(flag === rejectedFlag ? { rejected: true } : {}),
    keptUntilMs: Number(row['until_ms']),
  }
}
