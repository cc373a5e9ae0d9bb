/** Leases, memos, and what was cancelled, on SQL. Within a transaction. */

import type { Sql } from '../../store/sql.ts'
import { jumpToleranceMs } from '../rules/clock-watch.ts'
import { cancelledLivesMs } from '../rules/settings.ts'

export const memoSchema = [
  'CREATE TABLE IF NOT EXISTS relay_lease (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS relay_memo (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS relay_cancelled (grant_id TEXT PRIMARY KEY, until_ms INTEGER NOT NULL) WITHOUT ROWID',
]

export interface SqlMemos {
  lease(name: string, holder: string, ttlMs: number, nowMs: number): boolean
  release(name: string, holder: string): void
  recall(name: string): string | undefined
  remember(name: string, value: string): void
  /** An admission that comes later is void. */
  cancel(grant: string, nowMs: number): void
  isCancelled(grant: string, nowMs: number): boolean
  rememberFirst(name: string, value: string): string
}

export function openMemos(sql: Sql): SqlMemos {
  const recall = (name: string): string | undefined => {
    const [memo] = sql.exec('SELECT value FROM relay_memo WHERE name = ?', name)
    return memo === undefined ? undefined : String(memo['value'])
  }
  return {
    lease(name, holder, ttlMs, nowMs) {
      const [held] = sql.exec('SELECT holder, until_ms FROM relay_lease WHERE name = ?', name)
      const untilMs = Number(held?.['until_ms'] ?? 0)
      // One that would live longer than a lease does was taken by a clock that was ahead.
      if (
        held !== undefined &&
        held['holder'] !== holder &&
        untilMs > nowMs &&
        untilMs <= nowMs + ttlMs + jumpToleranceMs
      )
        return false
      sql.exec(
        'INSERT OR REPLACE INTO relay_lease (name, holder, until_ms) VALUES (?, ?, ?)',
        name,
        holder,
        nowMs + ttlMs,
      )
      return true
    },
    release(name, holder) {
      sql.exec('DELETE FROM relay_lease WHERE name = ? AND holder = ?', name, holder)
    },
    recall,
    remember(name, value) {
      sql.exec('INSERT OR REPLACE INTO relay_memo (name, value) VALUES (?, ?)', name, value)
    },
    cancel(grant, nowMs) {
      sql.exec('DELETE FROM relay_cancelled WHERE until_ms < ?', nowMs)
      sql.exec(
        'INSERT OR REPLACE INTO relay_cancelled (grant_id, until_ms) VALUES (?, ?)',
        grant,
        nowMs + cancelledLivesMs,
      )
    },
    isCancelled(grant, nowMs) {
      return sql.exec('SELECT 1 FROM relay_cancelled WHERE grant_id = ? AND until_ms >= ?', grant, nowMs).length > 0
    },
    rememberFirst(name, value) {
      sql.exec('INSERT OR IGNORE INTO relay_memo (name, value) VALUES (?, ?)', name, value)
      return recall(name) ?? value
    },
  }
}
