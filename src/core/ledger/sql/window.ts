/**
 * The exact rolling window on SQL: one row a bucket, and one with the total, how far it has been counted, the newest
 * bucket and all units ever granted. One account is everybody's; a source with a share of its own has one besides.
 *
 * A bucket is named by the last millisecond at which a unit of it may have been granted, so that it means the same
 * under any width. It counts until that moment is older than window plus slack, so that no rolling window holds more
 * than the limit. It is removed one window later: a clock that was ahead for a moment, or a longer window, finds it
 * again.
 */

import type { Sql } from '../../store/sql.ts'
import { jumpToleranceMs } from '../rules/clock-watch.ts'
import { lackingByPace, leavesSpanAtMs, spanMs } from '../rules/pace.ts'
import type { LedgerSettings } from '../rules/settings.ts'
import { wholeAccount } from '../rules/settings.ts'

/** `bucket`: the last millisecond at which a unit of it may have been granted, epoch ms. */
export type Taken = { readonly ok: true; readonly bucket: number } | { readonly ok: false; readonly retryAtMs?: number }

export interface SqlWindow {
  /** All or nothing, paced; a refusal spends nothing and says when `units` will be free under `ceiling`. */
  take(units: number, ceiling: number): Taken
  /** Counts units as spent now, or at an earlier time (epoch ms), whatever the limit. */
  charge(units: number, atMs?: number): void
  giveBack(bucket: number, units: number): void
  /** Units that count no more had been granted too. */
  grantedAtLeast(granted: number): void
  /** Forgets all units that count, and counts these as spent now. */
  restate(units: number): void
  /**
   * Where more of the past counts than is still known (a longer window, a clock set back), up to `limit` units count as
   * spent now. How many were added.
   */
  reckon(limit: number): number
  /** Removes what has long ceased to count. */
  forget(): void
  /** What was dated in the future was granted by now: the time was confirmed. */
  redate(): void
  readonly total: number
  /** All units ever granted; what was given back included. */
  readonly granted: number
  /** Writes what changed. Call last, in the transaction. */
  save(): void
  /** When the oldest unit is free again, epoch ms. */
  nextFreeAtMs(): number | undefined
  /** By the last moment of each bucket, oldest first. */
  buckets(): readonly (readonly [lastMs: number, units: number])[]
}

export type WindowSettings = Pick<
  LedgerSettings,
  'quotaLimit' | 'quotaBucketMs' | 'quotaWindowMs' | 'quotaSlackMs' | 'pace'
>

/** An account as it is kept. Times in epoch ms. */
export interface Account {
  /** Units from `frontierMs` on. */
  readonly total: number
  readonly frontierMs: number
  readonly newestMs: number
  /** The latest time that anything was granted at. */
  readonly seenMs: number
  /** Units before it may have been removed. */
  readonly forgottenMs: number
  readonly granted: number
  /** No bucket is older; infinite without any. */
  readonly oldestMs: number
}

const accountColumns =
  'total, frontier_ms, newest_ms, seen_ms, forgotten_ms, granted, (SELECT MIN(last_ms) FROM relay_unit WHERE relay_unit.account = relay_window.account) AS oldest_ms'

/** The account of all units as a query of one row; without columns that are null where nothing was granted yet. */
export const wholeAccountQuery = `SELECT ${accountColumns} FROM relay_window WHERE account = '${wholeAccount}'`

export const windowSchema = [
  'CREATE TABLE IF NOT EXISTS relay_unit (account TEXT NOT NULL, last_ms INTEGER NOT NULL, units INTEGER NOT NULL, PRIMARY KEY (account, last_ms)) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS relay_window (account TEXT PRIMARY KEY, total INTEGER NOT NULL, frontier_ms INTEGER NOT NULL, newest_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL, forgotten_ms INTEGER NOT NULL, granted INTEGER NOT NULL) WITHOUT ROWID',
]

/** The last millisecond of the bucket that holds `ms`. */
export function lastOf(ms: number, bucketMs: number): number {
  return (Math.floor(ms / bucketMs) + 1) * bucketMs - 1
}

/** From a row of `accountColumns`; undefined where there is none. */
export function accountOf(row: Record<string, unknown> | undefined): Account | undefined {
  if (row === undefined || row['total'] === null) return undefined
  return {
    total: Number(row['total']),
    frontierMs: Number(row['frontier_ms']),
    newestMs: Number(row['newest_ms']),
    seenMs: Number(row['seen_ms']),
    forgottenMs: Number(row['forgotten_ms']),
    granted: Number(row['granted']),
    oldestMs: Number(row['oldest_ms'] ?? Number.POSITIVE_INFINITY),
  }
}

/** As it is kept; undefined where nothing of it was. */
export function readAccount(sql: Sql, account: string): Account | undefined {
  const [row] = sql.exec(`SELECT ${accountColumns} FROM relay_window WHERE account = ?`, account)
  return accountOf(row)
}

/**
 * Opens an account, in a transaction, and counts it as of `nowMs`.
 *
 * @param kept the account as it is kept, where it was read already
 */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a table of small methods that share one account.
export function openWindow(
  sql: Sql,
  settings: WindowSettings,
  account: string,
  nowMs: number,
  kept = readAccount(sql, account),
): SqlWindow {
  const { quotaBucketMs, quotaWindowMs } = settings
  const keptMs = quotaWindowMs + settings.quotaSlackMs
  const frontierMs = nowMs - keptMs
  // Also with a small window, later than a clock may be set back unnoticed.
  const removedMs = frontierMs - Math.max(quotaWindowMs, jumpToleranceMs)
  const nowLastMs = lastOf(nowMs, quotaBucketMs)
  const spanFromMs = nowLastMs - spanMs(settings) + 1
  /** Units of the span that ends now, once they were asked for. */
  let recent: number | undefined
  const saved = kept ?? { total: 0, frontierMs, newestMs: 0, seenMs: 0, forgottenMs: 0, granted: 0, oldestMs: 0 }
  const state = { ...saved }

  const passed = unitsWithin(Math.min(saved.frontierMs, frontierMs), Math.max(saved.frontierMs, frontierMs))
  state.total += saved.frontierMs <= frontierMs ? -passed : passed
  /** Whether the row no longer says what the buckets do. Where only time has passed, it does. */
  let changed = passed > 0
  if (account !== wholeAccount && state.seenMs > nowMs + jumpToleranceMs) redate()

  return {
    get total() {
      return state.total
    },
    get granted() {
      return state.granted
    },

    take(units, ceiling) {
      if (state.total + units > ceiling) {
        const retryAtMs = freeAtMs(state.total + units - ceiling)
        return { ok: false, ...(retryAtMs === undefined ? {} : { retryAtMs }) }
      }
      if (settings.pace === 'even') {
        recent ??= unitsWithin(spanFromMs, Number.MAX_SAFE_INTEGER)
        const lacking = lackingByPace({ recent, before: state.total - recent }, units, ceiling, settings.quotaLimit)
        const lastMs = lacking === 0 ? undefined : (bucketWith(lacking, spanFromMs) ?? state.newestMs)
        if (lastMs !== undefined) return { ok: false, retryAtMs: leavesSpanAtMs(lastMs, settings) }
      }
      state.granted += units
      return { ok: true, bucket: add(units) }
    },

    charge(units, atMs) {
      state.granted += units
      if (atMs === undefined || atMs >= nowLastMs) add(units)
      else if (atMs >= removedMs) put(atMs, units)
      else state.forgottenMs = Math.max(state.forgottenMs, atMs + 1)
      changed = true
    },

    giveBack(bucket, units) {
      const [row] = sql.exec('SELECT units FROM relay_unit WHERE account = ? AND last_ms = ?', account, bucket)
      const back = Math.min(units, Number(row?.['units'] ?? 0))
      if (back > 0) put(bucket, -back)
    },

    grantedAtLeast(granted) {
      changed ||= granted > state.granted
      state.granted = Math.max(state.granted, granted)
    },

    restate(units) {
      sql.exec('DELETE FROM relay_unit WHERE account = ? AND last_ms >= ?', account, frontierMs)
      state.total = 0
      changed = true
      if (units > 0) add(units)
    },

    reckon(limit) {
      if (frontierMs >= state.forgottenMs) return 0
      const unknown = Math.max(0, limit - state.total)
      state.granted += unknown
      if (unknown > 0) add(unknown)
      state.forgottenMs = frontierMs
      changed = true
      return unknown
    },

    forget() {
      if (saved.oldestMs >= removedMs) return
      const [row] = sql.exec(
        'SELECT last_ms FROM relay_unit WHERE account = ? AND last_ms < ? AND units > 0 ORDER BY last_ms DESC LIMIT 1',
        account,
        removedMs,
      )
      if (row === undefined) return
      sql.exec('DELETE FROM relay_unit WHERE account = ? AND last_ms < ?', account, removedMs)
      state.forgottenMs = Math.max(state.forgottenMs, Number(row['last_ms']) + 1)
      changed = true
    },

    redate,

    save() {
      if (!changed) return
      sql.exec(
        'INSERT OR REPLACE INTO relay_window (account, total, frontier_ms, newest_ms, seen_ms, forgotten_ms, granted) VALUES (?, ?, ?, ?, ?, ?, ?)',
        account,
        state.total,
        frontierMs,
        state.newestMs,
        state.seenMs,
        state.forgottenMs,
        state.granted,
      )
    },

    nextFreeAtMs: () => freeAtMs(1),

    buckets: () =>
      sql
        .exec(
          'SELECT last_ms, units FROM relay_unit WHERE account = ? AND last_ms >= ? AND units > 0 ORDER BY last_ms',
          account,
          frontierMs,
        )
        .map((row) => [Number(row['last_ms']), Number(row['units'])] as const),
  }

  function unitsWithin(fromMs: number, toMs: number): number {
    if (fromMs === toMs || saved.oldestMs >= toMs) return 0
    const [row] = sql.exec(
      'SELECT SUM(units) AS units FROM relay_unit WHERE account = ? AND last_ms >= ? AND last_ms < ?',
      account,
      fromMs,
      toMs,
    )
    return Number(row?.['units'] ?? 0)
  }

  /** In the bucket of now, by a clock that never steps back. */
  function add(units: number): number {
    state.newestMs = Math.max(state.newestMs, nowLastMs)
    state.seenMs = Math.max(state.seenMs, nowMs)
    put(state.newestMs, units)
    return state.newestMs
  }

  function put(lastMs: number, units: number): void {
    sql.exec(
      'INSERT INTO relay_unit (account, last_ms, units) VALUES (?, ?, ?) ON CONFLICT (account, last_ms) DO UPDATE SET units = units + excluded.units',
      account,
      lastMs,
      units,
    )
    if (lastMs >= frontierMs) state.total += units
    if (recent !== undefined && lastMs >= spanFromMs) recent += units
    changed = true
  }

  function redate(): void {
    const future = unitsWithin(nowLastMs + 1, Number.MAX_SAFE_INTEGER)
    if (future > 0) {
      sql.exec('DELETE FROM relay_unit WHERE account = ? AND last_ms > ?', account, nowLastMs)
      state.total -= future
      put(nowLastMs, future)
    }
    state.newestMs = Math.min(state.newestMs, nowLastMs)
    state.seenMs = nowMs
    changed = true
  }

  /** When `needed` units will have left the window, counted from the oldest, if there are as many. */
  function freeAtMs(needed: number): number | undefined {
    const lastMs = bucketWith(needed, frontierMs)
    return lastMs === undefined ? undefined : lastMs + 1 + keptMs
  }

  /** The bucket that holds the last of the oldest `needed` units from `fromMs` on. The running sum ends at it. */
  function bucketWith(needed: number, fromMs: number): number | undefined {
    const [row] = sql.exec(
      'SELECT last_ms FROM (SELECT last_ms, SUM(units) OVER (ORDER BY last_ms) AS freed FROM relay_unit WHERE account = ? AND last_ms >= ?) WHERE freed >= ? LIMIT 1',
      account,
      fromMs,
      needed,
    )
    return row === undefined ? undefined : Number(row['last_ms'])
  }
}
