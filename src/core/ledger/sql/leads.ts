/** How far sources' clocks are ahead: the largest of about the last day, a row a source. Within a transaction. */

import type { Sql } from '../../store/sql.ts'
import type { Leads } from '../port.ts'
import { leadLivesMs } from '../rules/settings.ts'

export const leadSchema = [
  'CREATE TABLE IF NOT EXISTS relay_lead (source TEXT PRIMARY KEY, ms INTEGER NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID',
]

export function keepLeads(sql: Sql, leads: Leads, nowMs: number): void {
  for (const [source, ms] of Object.entries(leads))
    sql.exec(
      'INSERT INTO relay_lead (source, ms, at_ms) VALUES (?, ?, ?) ON CONFLICT (source) DO UPDATE SET ms = excluded.ms, at_ms = excluded.at_ms WHERE excluded.ms > ms OR ABS(excluded.at_ms - at_ms) > ?',
      source,
      ms,
      nowMs,
      leadLivesMs,
    )
}

export function readLeads(sql: Sql, nowMs: number): Leads {
  const rows = sql.exec('SELECT source, ms FROM relay_lead WHERE ABS(? - at_ms) <= ?', nowMs, leadLivesMs)
  return Object.fromEntries(rows.map((row) => [String(row['source']), Number(row['ms'])]))
}
