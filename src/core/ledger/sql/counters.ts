/** Counters on SQL, a row each. Within a transaction. */
import type { Sql } from '../../store/sql.ts'
import type { Counters } from '../port.ts'

export const counterSchema = [
  'CREATE TABLE IF NOT EXISTS relay_counter (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID',
]

export function addCounts(sql: Sql, counts: Counters): void {
  for (const [name, add] of Object.entries(counts))
    sql.exec(
      'INSERT INTO relay_counter (name, count) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET count = count + excluded.count',
      name,
      add,
    )
}

export function readCounters(sql: Sql): Counters {
  const rows = sql.exec('SELECT name, count FROM relay_counter')
  return Object.fromEntries(rows.map((row) => [String(row['name']), Number(row['count'])]))
}
