/** Where the pause and the breaker are kept on SQL: one row. Within a transaction. */
import type { Sql } from '../../store/sql.ts'
import { type Health, healthy } from '../rules/health.ts'

export const healthSchema = ['CREATE TABLE IF NOT EXISTS relay_health (id INTEGER PRIMARY KEY, health TEXT NOT NULL)']

export function readHealth(sql: Sql): Health {
  const [row] = sql.exec('SELECT health FROM relay_health')
  if (row === undefined) return healthy
  const kept = JSON.parse(String(row['health'])) as Health
  // A row that an earlier version wrote knows no traits: its breaker is about everything.
  return {
    ...healthy,
    ...kept,
    ...(kept.breaker === undefined ? {} : { breaker: { ...kept.breaker, traits: kept.breaker.traits ?? [] } }),
  }
}

export function writeHealth(sql: Sql, health: Health): void {
  sql.exec('INSERT OR REPLACE INTO relay_health (id, health) VALUES (1, ?)', JSON.stringify(health))
}
