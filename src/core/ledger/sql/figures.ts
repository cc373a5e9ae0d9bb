/** Figures on SQL, a row for each slot and line (`redis/scripts/figures.ts` on Redis). Within a transaction. */
import type { Sql } from '../../store/sql.ts'
import {
  added,
  addedLines,
  type Counters,
  foldedTogether,
  type Lines,
  linesOf,
  type Slot,
  slotOf,
  slotsKeptMs,
  slotsShown,
} from '../rules/figures.ts'

/** `relay_counter` is an older version's: it is only read. */
export const figureSchema = [
  'CREATE TABLE IF NOT EXISTS relay_counter (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS relay_slot (start_ms INTEGER NOT NULL, line TEXT NOT NULL, counts TEXT NOT NULL, PRIMARY KEY (start_ms, line)) WITHOUT ROWID',
]

/** What of a line has left its slots. */
const totalsMs = 0

/** One row a line: an update that is sent has one. */
export function addCounts(sql: Sql, counts: Counters, nowMs: number): void {
  for (const [line, more] of Object.entries(linesOf(counts))) {
    if (addTo(sql, slotOf(nowMs), line, more)) fold(sql, nowMs)
  }
}

/** The slots of a day from `fromMs` on, oldest first; those without counts are left out. */
export function readSeries(sql: Sql, fromMs: number, nowMs: number): readonly Slot[] {
  const shown = slotsShown(fromMs, nowMs)
  const slots = new Map<number, [string, Counters][]>()
  for (const { start_ms, line, counts } of sql.exec(
    'SELECT start_ms, line, counts FROM relay_slot WHERE start_ms BETWEEN ? AND ? ORDER BY start_ms, line',
    shown.fromMs,
    shown.toMs,
  ))
    slots.set(Number(start_ms), [...(slots.get(Number(start_ms)) ?? []), [String(line), countersOf(counts)]])
  return [...slots].map(([startMs, lines]) => ({ startMs, lines: Object.fromEntries(lines) }))
}

/** All that was ever counted; what an older version counted under the line ``. */
export function readTotals(sql: Sql): Lines {
  const older = sql.exec('SELECT name, count FROM relay_counter').map((row) => [row['name'], Number(row['count'])])
  const lines = sql
    .exec('SELECT line, counts FROM relay_slot')
    .map(({ line, counts }): Lines => Object.fromEntries([[String(line), countersOf(counts)]]))
  return addedLines(...lines, older.length === 0 ? {} : { '': Object.fromEntries(older) as Counters })
}

/** @returns whether the row is new */
function addTo(sql: Sql, startMs: number, line: string, more: Counters): boolean {
  const [row] = sql.exec('SELECT counts FROM relay_slot WHERE start_ms = ? AND line = ?', startMs, line)
  const text = JSON.stringify(row === undefined ? more : added(countersOf(row['counts']), more))
  if (row === undefined)
    sql.exec('INSERT INTO relay_slot (start_ms, line, counts) VALUES (?, ?, ?)', startMs, line, text)
  else sql.exec('UPDATE relay_slot SET counts = ? WHERE start_ms = ? AND line = ?', text, startMs, line)
  return row === undefined
}

/** Moves some of what is shown no longer into the totals. */
function fold(sql: Sql, nowMs: number): void {
  const old = sql.exec(
    'SELECT start_ms, line, counts FROM relay_slot WHERE start_ms > ? AND start_ms < ? ORDER BY start_ms LIMIT ?',
    totalsMs,
    nowMs - slotsKeptMs,
    foldedTogether,
  )
  for (const { start_ms, line, counts } of old) {
    addTo(sql, totalsMs, String(line), countersOf(counts))
    sql.exec('DELETE FROM relay_slot WHERE start_ms = ? AND line = ?', Number(start_ms), String(line))
  }
}

function countersOf(text: unknown): Counters {
  return JSON.parse(String(text)) as Counters
}
