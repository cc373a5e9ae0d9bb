/**
 * The format of a SQL ledger's store, and the one row of what a ledger must know of itself besides the epoch: the
 * format, how often its time was confirmed, and the retentions that were set. (A Durable Object allows no
 * PRAGMA user_version.)
 *
 * A store of an older format is taken over on opening; a newer one is refused.
 */

import type { Sql } from '../../store/sql.ts'
import { NewerFormat } from '../errors.ts'
import { jumpToleranceMs } from '../rules/clock-watch.ts'
import { storeFormat } from '../rules/format.ts'
import type { Retentions } from '../rules/retention.ts'
import type { LedgerSettings } from '../rules/settings.ts'
import { lastOf } from './window.ts'

export interface OwnState {
  readonly confirms: number
  /** When the time was last confirmed, epoch ms; 0 where it never was. */
  readonly confirmedMs: number
  readonly retentions: Retentions
}

const ownSchema =
  'CREATE TABLE IF NOT EXISTS relay_ledger (id INTEGER PRIMARY KEY, format INTEGER NOT NULL, confirms INTEGER NOT NULL, confirmed_ms INTEGER NOT NULL, retentions TEXT NOT NULL)'

/** Stops a version of format 1 that is started on this store: it can write nothing, and so sends nothing. */
const barrier =
  'CREATE VIEW IF NOT EXISTS relay_units AS SELECT account, last_ms AS bucket, units FROM relay_unit WHERE 0'

/**
 * In a transaction, before anything else is written.
 *
 * @param schema the statements that make all other tables
 * @throws NewerFormat
 */
export function openFormat(sql: Sql, schema: readonly string[], settings: LedgerSettings, nowMs: number): void {
  sql.exec(ownSchema)
  for (const row of sql.exec('SELECT format, confirms, confirmed_ms, retentions FROM relay_ledger')) ownOf(row)
  for (const statement of schema) sql.exec(statement)
  const old = sql.exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'relay_units'").length > 0
  if (old) takeOver(sql, settings, nowMs)
  sql.exec(barrier)
}

/**
 * From a row of `relay_ledger`.
 *
 * @throws NewerFormat
 */
export function ownOf(row: Record<string, unknown>): OwnState {
  if (Number(row['format']) > storeFormat) throw new NewerFormat(Number(row['format']))
  return {
    confirms: Number(row['confirms']),
    confirmedMs: Number(row['confirmed_ms']),
    retentions: JSON.parse(String(row['retentions'])) as Retentions,
  }
}

export function writeOwn(sql: Sql, { confirms, confirmedMs, retentions }: OwnState): void {
  sql.exec(
    'INSERT OR REPLACE INTO relay_ledger (id, format, confirms, confirmed_ms, retentions) VALUES (1, ?, ?, ?, ?)',
    storeFormat,
    confirms,
    confirmedMs,
    JSON.stringify(retentions),
  )
}

/**
 * Buckets by number, of a width that is not written down: read by today's where that is plausible, else the whole total
 * counts as granted now.
 */
function takeOver(sql: Sql, settings: LedgerSettings, nowMs: number): void {
  const { quotaBucketMs: bucketMs } = settings
  const keptMs = settings.quotaWindowMs + settings.quotaSlackMs
  for (const row of sql.exec('SELECT account, total, newest, granted FROM relay_account')) {
    const [account, newest] = [String(row['account']), Number(row['newest'])]
    const plausible = newest * bucketMs <= nowMs + jumpToleranceMs && (newest + 1) * bucketMs > nowMs - 2 * keptMs
    const buckets = plausible
      ? sql
          .exec('SELECT bucket, units FROM relay_units WHERE account = ? AND units > 0', account)
          .map((bucket) => [lastOf(Number(bucket['bucket']) * bucketMs, bucketMs), Number(bucket['units'])] as const)
      : [[lastOf(nowMs, bucketMs), Number(row['total'])] as const]
    for (const [lastMs, units] of buckets)
      if (units > 0)
        sql.exec('INSERT INTO relay_unit (account, last_ms, units) VALUES (?, ?, ?)', account, lastMs, units)
    const frontierMs = nowMs - keptMs
    sql.exec(
      'INSERT INTO relay_window (account, total, frontier_ms, newest_ms, seen_ms, forgotten_ms, granted) VALUES (?, ?, ?, ?, ?, ?, ?)',
      account,
      buckets.reduce((sum, [lastMs, units]) => sum + (lastMs >= frontierMs ? units : 0), 0),
      frontierMs,
      Math.max(0, ...buckets.map(([lastMs]) => lastMs)),
      plausible ? newest * bucketMs : nowMs,
      // What had left its window then is gone.
      frontierMs - jumpToleranceMs,
      Number(row['granted']),
    )
  }
  sql.exec('DROP TABLE relay_units')
  sql.exec('DROP TABLE relay_account')
}
