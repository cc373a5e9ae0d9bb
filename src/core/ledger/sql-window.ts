/**
 * The exact rolling window on SQL: one row a bucket, and one with the total, the newest bucket seen and all units ever
 * granted. One account is everybody's; a source with a share of its own has one besides.
 *
 * A bucket lives until its newest possible unit is older than window plus slack, so that no rolling window holds more
 * than the limit; a clock that steps back can't reopen the past.
 */
import type { LedgerSettings } from './port.ts'
import type { Sql } from './sql.ts'

export type Taken = { readonly ok: true; readonly bucket: number } | { readonly ok: false; readonly retryAtMs?: number }

export interface SqlWindow {
  /** All or nothing; a refusal spends nothing and says when `units` will be free under `ceiling`. */
  take(units: number, ceiling: number): Taken
  /** Counts units as spent now, or in the bucket of an earlier time (epoch ms), whatever the limit. */
  charge(units: number, atMs?: number): void
  giveBack(bucket: number, units: number): void
  /** Forgets all units, and counts these as spent now. */
  restate(units: number): void
  readonly total: number
  /** All units ever granted; what was given back included. */
  readonly granted: number
  /** Writes what changed. Call last, in the transaction. */
  save(): void
  read(): { readonly used: number; readonly nextFreeAtMs?: number; readonly buckets: readonly (readonly [number, number])[] }
}

export const windowSchema = [
  'CREATE TABLE IF NOT EXISTS relay_units (account TEXT NOT NULL, bucket INTEGER NOT NULL, units INTEGER NOT NULL, PRIMARY KEY (account, bucket)) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS relay_account (account TEXT PRIMARY KEY, total INTEGER NOT NULL, newest INTEGER NOT NULL, granted INTEGER NOT NULL) WITHOUT ROWID',
]

/** Opens an account, in a transaction: what no window can count any more is forgotten. */
export function openWindow(
  sql: Sql,
  settings: Pick<LedgerSettings, 'quotaBucketMs' | 'quotaWindowMs' | 'quotaSlackMs'>,
  account: string,
  nowMs: number,
): SqlWindow {
  const { quotaBucketMs: bucketMs } = settings
  const keptMs = settings.quotaWindowMs + settings.quotaSlackMs
  const [row] = sql.exec('SELECT total, newest, granted FROM relay_account WHERE account = ?', account)
  const saved = { total: Number(row?.['total'] ?? 0), newest: Number(row?.['newest'] ?? 0), granted: Number(row?.['granted'] ?? 0) }
  const state = { ...saved }

  const oldestLive = Math.floor((nowMs - keptMs) / bucketMs)
  const [gone] = sql.exec('SELECT SUM(units) AS units FROM relay_units WHERE account = ? AND bucket < ?', account, oldestLive)
  if (gone !== undefined && gone['units'] !== null) {
    sql.exec('DELETE FROM relay_units WHERE account = ? AND bucket < ?', account, oldestLive)
    state.total -= Number(gone['units'])
  }

  /** When the last unit a bucket may hold leaves the window, epoch ms. */
  const leavesAtMs = (bucket: number) => (bucket + 1) * bucketMs + keptMs
  const nowBucket = Math.floor(nowMs / bucketMs)
  /** Now, by a clock that never steps back; or earlier. */
  const add = (units: number, asked = nowBucket) => {
    const bucket = asked < nowBucket ? asked : Math.max(state.newest, asked)
    state.newest = Math.max(state.newest, bucket)
    state.total += units
    sql.exec(
      'INSERT INTO relay_units (account, bucket, units) VALUES (?, ?, ?) ON CONFLICT (account, bucket) DO UPDATE SET units = units + excluded.units',
      account,
      bucket,
      units,
    )
    return bucket
  }

  return {
    get total() {
      return state.total
    },
    get granted() {
      return state.granted
    },

    take(units, ceiling) {
      if (state.total + units > ceiling) {
        const retryAtMs = units > ceiling ? undefined : freeAtMs(state.total + units - ceiling)
        return { ok: false, ...(retryAtMs === undefined ? {} : { retryAtMs }) }
      }
      state.granted += units
      return { ok: true, bucket: add(units) }
    },

    charge(units, atMs = nowMs) {
      const bucket = Math.floor(atMs / bucketMs)
      // What no window can count any more.
      if (bucket < oldestLive) return
      state.granted += units
      add(units, bucket)
    },

    giveBack(bucket, units) {
      const [row] = sql.exec('SELECT units FROM relay_units WHERE account = ? AND bucket = ?', account, bucket)
      const back = Math.min(units, Number(row?.['units'] ?? 0))
      if (back <= 0) return
      sql.exec('UPDATE relay_units SET units = units - ? WHERE account = ? AND bucket = ?', back, account, bucket)
      state.total -= back
    },

    restate(units) {
      sql.exec('DELETE FROM relay_units WHERE account = ?', account)
      state.total = 0
      if (units > 0) add(units)
    },

    save() {
      if (state.total === saved.total && state.newest === saved.newest && state.granted === saved.granted) return
      sql.exec(
        'INSERT OR REPLACE INTO relay_account (account, total, newest, granted) VALUES (?, ?, ?, ?)',
        account,
        state.total,
        state.newest,
        state.granted,
      )
    },

    read() {
      const rows = sql.exec('SELECT bucket, units FROM relay_units WHERE account = ? AND units > 0 ORDER BY bucket', account)
      const buckets = rows.map((row) => [Number(row['bucket']) * bucketMs, Number(row['units'])] as const)
      const [oldest] = rows
      return { used: state.total, buckets, ...(oldest === undefined ? {} : { nextFreeAtMs: leavesAtMs(Number(oldest['bucket'])) }) }
    },
  }

  /** When `needed` units will have left, counted from the oldest. The running sum ends at the first bucket that does. */
  function freeAtMs(needed: number): number | undefined {
    const [row] = sql.exec(
      'SELECT bucket FROM (SELECT bucket, SUM(units) OVER (ORDER BY bucket) AS freed FROM relay_units WHERE account = ?) WHERE freed >= ? LIMIT 1',
      account,
      needed,
    )
    return row === undefined ? undefined : leavesAtMs(Number(row['bucket']))
  }
}
