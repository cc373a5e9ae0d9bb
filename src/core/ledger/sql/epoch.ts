/**
 * The epoch a SQL ledger lives in (`loss/epoch.ts`), and what it says of losses (`redis/scripts/epoch.ts` is the same
 * on Redis). Within a transaction.
 */

import type { Sql } from '../../store/sql.ts'
import type { Life } from '../moved.ts'
import type { BeginOptions } from '../port.ts'
import type { LedgerSettings } from '../rules/settings.ts'
import type { SqlWindow } from './window.ts'

export const epochSchema = [
  'CREATE TABLE IF NOT EXISTS relay_epoch (id INTEGER PRIMARY KEY, epoch TEXT NOT NULL, lost_ms INTEGER NOT NULL)',
  'CREATE TABLE IF NOT EXISTS relay_replaced (epoch TEXT PRIMARY KEY) WITHOUT ROWID',
]

export interface SqlEpoch {
  read(): { readonly epoch: string; readonly lostMs: number } | undefined
  /** As `LedgerStore.life`. */
  life(whole: SqlWindow): Life | undefined
  /** As `LedgerStore.begin`. */
  begin(epoch: string, options: BeginOptions, whole: SqlWindow, nowMs: number): Life
  /** Takes over the epoch of a ledger that moves in, unless this one already lives in another. */
  takeOver(life: Life, whole: SqlWindow): void
  /** As `LedgerStore.charge`. */
  charge(granted: number, whole: SqlWindow, nowMs: number): void
}

export function openEpoch(sql: Sql, settings: LedgerSettings): SqlEpoch {
  return {
    read,
    life,
    begin(epoch, { lost, after = '' }, whole, nowMs) {
      const current = read()
      if (current !== undefined && (!lost || current.epoch === epoch || wasReplaced(after)))
        return { epoch: current.epoch, granted: whole.granted }
      for (const replaced of [after, current?.epoch ?? ''])
        if (replaced !== '') sql.exec('INSERT OR IGNORE INTO relay_replaced (epoch) VALUES (?)', replaced)
      write(epoch, lost ? nowMs + settings.quotaSlackMs : 0)
      if (lost) whole.charge(Math.max(0, settings.quotaLimit - whole.total))
      return { epoch, granted: whole.granted }
    },
    takeOver({ epoch, granted }, whole) {
      const current = read()
      if (current !== undefined && current.epoch !== epoch) return
      if (current === undefined) write(epoch, 0)
      whole.grantedAtLeast(granted)
    },
    charge(granted, whole, nowMs) {
      const current = read()
      if (current === undefined || whole.granted >= granted) return
      whole.charge(granted - whole.granted)
      write(current.epoch, nowMs + settings.quotaSlackMs)
    },
  }

  function read(): { readonly epoch: string; readonly lostMs: number } | undefined {
    const [row] = sql.exec('SELECT epoch, lost_ms FROM relay_epoch')
    return row === undefined ? undefined : { epoch: String(row['epoch']), lostMs: Number(row['lost_ms']) }
  }

  function life(whole: SqlWindow): Life | undefined {
    const current = read()
    return current && { epoch: current.epoch, granted: whole.granted }
  }

  /** Whether the current epoch, or one before it, took its place. */
  function wasReplaced(epoch: string): boolean {
    return sql.exec('SELECT epoch FROM relay_replaced WHERE epoch = ?', epoch).length > 0
  }

  function write(epoch: string, lostMs: number): void {
    sql.exec('INSERT OR REPLACE INTO relay_epoch (id, epoch, lost_ms) VALUES (1, ?, ?)', epoch, lostMs)
  }
}
