/**
 * What every step of the ledger on SQL begins with: one row of what the ledger knows of itself. One query, since a
 * query costs more than its rows.
 */
import type { Sql } from '../../store/sql.ts'
import type { Health } from '../rules/health.ts'
import { type OwnState, ownOf } from './format.ts'
import { healthOf } from './health.ts'
import { type Account, accountOf, wholeAccountQuery } from './window.ts'

export interface KeptState {
  /** Undefined before it was first written. */
  readonly own: OwnState | undefined
  readonly health: Health
  /** Undefined where nothing was granted yet. */
  readonly whole: Account | undefined
  /** Undefined where no epoch was begun. */
  readonly epoch: string | undefined
  /** When the ledger last lost state, epoch ms; 0 where it never did. */
  readonly lostMs: number
  /** Whether any admission was cancelled of late. */
  readonly someCancelled: boolean
}

const query = `SELECT format, confirms, confirmed_ms, retentions, health, epoch, lost_ms, whole.*,
EXISTS (SELECT 1 FROM relay_cancelled) AS some_cancelled
FROM (SELECT 1) LEFT JOIN relay_ledger ON relay_ledger.id = 1 LEFT JOIN relay_health ON relay_health.id = 1
LEFT JOIN relay_epoch ON relay_epoch.id = 1 LEFT JOIN (${wholeAccountQuery}) AS whole`

/**
 * Within a transaction.
 *
 * @throws NewerFormat
 */
export function readState(sql: Sql): KeptState {
  const [row = {}] = sql.exec(query)
  return {
    own: row['format'] === null ? undefined : ownOf(row),
    health: healthOf(row['health'] ?? null),
    whole: accountOf(row),
    epoch: row['epoch'] === null ? undefined : String(row['epoch']),
    lostMs: Number(row['lost_ms'] ?? 0),
    someCancelled: row['some_cancelled'] === 1,
  }
}
