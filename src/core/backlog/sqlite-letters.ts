/**
 * Dead letters on SQLite: beside each letter a row with its head, so that a list of any length is read without opening
 * a letter.
 *
 * Guarantee: triggers of the file keep letters and rows together in one transaction, whoever writes, also a server of an
 * older version or a shell. What such a one wrote has a row without a head, until a list has read the letter once.
 */
import { given } from '../given.ts'
import type { Sql } from '../store/sql.ts'
import type { DeadHead, DeadReason } from './port.ts'
import type { LetterRow, Rows } from './rows.ts'

/** The table and what fills it; once, and with the letters that are there. */
export function prepareLetters(sql: Pick<Sql, 'exec' | 'transaction'>): void {
  const exists = () => sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'relay_dead'").length > 0
  if (exists()) return
  sql.transaction(() => {
    // Another process was faster.
    if (exists()) return
    sql.exec(
      'CREATE TABLE relay_dead (key TEXT PRIMARY KEY, bytes INTEGER NOT NULL, reason TEXT, source TEXT, at_ms INTEGER, first_seen_ms INTEGER, attempts INTEGER, visitor TEXT, detail TEXT) WITHOUT ROWID',
    )
    sql.exec(
      "CREATE TRIGGER relay_dead_kept AFTER INSERT ON relay_backlog WHEN new.key > 'd1/' AND new.key < 'd1/~' BEGIN INSERT OR REPLACE INTO relay_dead (key, bytes) VALUES (new.key, octet_length(new.value)); END",
    )
    sql.exec(
      "CREATE TRIGGER relay_dead_gone AFTER DELETE ON relay_backlog WHEN old.key > 'd1/' AND old.key < 'd1/~' BEGIN DELETE FROM relay_dead WHERE key = old.key; END",
    )
    sql.exec(
      "INSERT INTO relay_dead (key, bytes) SELECT key, octet_length(value) FROM relay_backlog WHERE key > 'd1/' AND key < 'd1/~'",
    )
  })
}

export function writeHead(sql: Pick<Sql, 'exec'>, key: string, head: DeadHead, detail: string | null): void {
  const { reason, source, atMs, firstSeenMs, attempts, visitorHash = null } = head
  sql.exec(
    'UPDATE relay_dead SET reason = ?, source = ?, at_ms = ?, first_seen_ms = ?, attempts = ?, visitor = ?, detail = ? WHERE key = ?',
    ...[reason, source, atMs, firstSeenMs, attempts, visitorHash, detail, key],
  )
}

/** Newest first. */
export function readLetters(sql: Pick<Sql, 'exec'>, before: string, limit: number, details: boolean): Rows<LetterRow> {
  const found = sql.exec('SELECT * FROM relay_dead WHERE key < ? ORDER BY key DESC LIMIT ?', before, limit + 1)
  const rows = found.slice(0, limit).map((row) => ({
    key: String(row['key']),
    bytes: Number(row['bytes']),
    ...given({
      head: headFrom(row),
      detail: details && row['detail'] !== null ? String(row['detail']) : undefined,
    }),
  }))
  return { rows, ...given({ next: found.length > limit ? rows.at(-1)?.key : undefined }) }
}

function headFrom(row: Readonly<Record<string, unknown>>): DeadHead | undefined {
  if (row['reason'] === null) return undefined
  return {
    reason: String(row['reason']) as DeadReason,
    source: String(row['source']),
    atMs: Number(row['at_ms']),
    firstSeenMs: Number(row['first_seen_ms']),
    attempts: Number(row['attempts']),
    ...given({ visitorHash: row['visitor'] === null ? undefined : String(row['visitor']) }),
  }
}
