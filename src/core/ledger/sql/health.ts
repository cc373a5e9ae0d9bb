/** Where the pause and the breaker are kept on SQL: one row. Within a transaction. */
import type { Sql } from '../../store/sql.ts'
import { type Health, healthy } from '../rules/health.ts'

export const healthSchema = ['CREATE TABLE IF NOT EXISTS relay_health (id INTEGER PRIMARY KEY, health TEXT NOT NULL)']

/** @param text the row's; null without one */
export function healthOf(text: unknown): Health {
  if (text === null) return healthy
  const kept = JSON.parse(String(text)) as Health
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
