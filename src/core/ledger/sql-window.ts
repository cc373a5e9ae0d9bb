/**
 * The exact rolling window on SQL: one row a bucket, and one with the total, the oldest live bucket and the newest seen.
 *
 * A bucket lives until its newest possible unit is older than window plus slack, so that no rolling window holds more
 * than the limit; a clock that steps back can't reopen the past.
 */
import type { LedgerSettings } from './port.ts'
import type { Sql } from './sql.ts'

export type Taken = { readonly ok: true; readonly bucket: number } | { readonly ok: false; readonly retryAtMs?: number }

export interface SqlWindow {
  /** Forgets what no window can count any more, and notes the time. Call first, in the transaction. */
  evict(nowMs: number): void
  /** All or nothing; a refusal spends nothing and says when `units` will be free under `ceiling`. */
  take(units: number, ceiling: number, nowMs: number): Taken
  giveBack(bucket: number, units: number): void
  /** Writes what changed. Call last, in the transaction. */
  save(): void
  read(): { readonly used: number; readonly nextFreeAtMs?: number; readonly buckets: readonly (readonly [number, number])[] }
}

export function sqlWindow(sql: Sql, settings: Pick<LedgerSettings, 'quotaBucketMs' | 'quotaWindowMs' | 'quotaSlackMs'>): SqlWindow {
  const { quotaBucketMs: bucketMs } = settings
  const keptMs = settings.quotaWindowMs + settings.quotaSlackMs
  sql.exec('CREATE TABLE IF NOT EXISTS relay_bucket (bucket INTEGER PRIMARY KEY, units INTEGER NOT NULL)')
  sql.exec('CREATE TABLE IF NOT EXISTS relay_window (id INTEGER PRIMARY KEY, total INTEGER NOT NULL, newest INTEGER NOT NULL)')
  let state = { total: 0, newest: 0 }
  let saved = state

  /** When the last unit a bucket may hold leaves the window, epoch ms. */
  const leavesAtMs = (bucket: number) => (bucket + 1) * bucketMs + keptMs

  return {
    evict(nowMs) {
      const [row] = sql.exec('SELECT total, newest FROM relay_window WHERE id = 1')
      saved = row === undefined ? { total: 0, newest: 0 } : { total: Number(row['total']), newest: Number(row['newest']) }
      state = { ...saved }
      const oldestLive = Math.floor((nowMs - keptMs) / bucketMs)
      const [gone] = sql.exec('SELECT SUM(units) AS units FROM relay_bucket WHERE bucket < ?', oldestLive)
      const units = Number(gone?.['units'] ?? 0)
      if (gone?.['units'] === null || gone === undefined) return
      sql.exec('DELETE FROM relay_bucket WHERE bucket < ?', oldestLive)
      state.total -= units
    },

    take(units, ceiling, nowMs) {
      if (state.total + units > ceiling) {
        const retryAtMs = units > ceiling ? undefined : freeAtMs(state.total + units - ceiling)
        return { ok: false, ...(retryAtMs === undefined ? {} : { retryAtMs }) }
      }
      const bucket = Math.max(state.newest, Math.floor(nowMs / bucketMs))
      state = { total: state.total + units, newest: bucket }
      sql.exec(
        'INSERT INTO relay_bucket (bucket, units) VALUES (?, ?) ON CONFLICT (bucket) DO UPDATE SET units = units + excluded.units',
        bucket,
        units,
      )
      return { ok: true, bucket }
    },

    giveBack(bucket, units) {
      const [row] = sql.exec('SELECT units FROM relay_bucket WHERE bucket = ?', bucket)
      const back = Math.min(units, Number(row?.['units'] ?? 0))
      if (back <= 0) return
      sql.exec('UPDATE relay_bucket SET units = units - ? WHERE bucket = ?', back, bucket)
      state.total -= back
    },

    save() {
      if (state.total === saved.total && state.newest === saved.newest) return
      sql.exec('INSERT OR REPLACE INTO relay_window (id, total, newest) VALUES (1, ?, ?)', state.total, state.newest)
      saved = { ...state }
    },

    read() {
      const rows = sql.exec('SELECT bucket, units FROM relay_bucket WHERE units > 0 ORDER BY bucket')
      const buckets = rows.map((row) => [Number(row['bucket']) * bucketMs, Number(row['units'])] as const)
      const [oldest] = rows
      return { used: state.total, buckets, ...(oldest === undefined ? {} : { nextFreeAtMs: leavesAtMs(Number(oldest['bucket'])) }) }
    },
  }

  /** When `needed` units will have left, counted from the oldest. The running sum ends at the first bucket that does. */
  function freeAtMs(needed: number): number | undefined {
    const [row] = sql.exec(
      'SELECT bucket FROM (SELECT bucket, SUM(units) OVER (ORDER BY bucket) AS freed FROM relay_bucket) WHERE freed >= ? LIMIT 1',
      needed,
    )
    return row === undefined ? undefined : leavesAtMs(Number(row['bucket']))
  }
}
