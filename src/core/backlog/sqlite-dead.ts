/**
 * Dead letters on SQLite: beside each letter a row with its head, so that a list of any length is read without opening
 * a letter.
 *
 * Guarantee: triggers of the file keep letters and rows together in one transaction, whoever writes, also a server of an
 * older version or a shell. What such a one wrote has a row without a head, until a list has read the letter once.
 */
import { given } from '../given.ts'
import type { Limits } from '../limits.ts'
import type { Sql } from '../store/sql.ts'
import { deadKey, packDead, parseJson, readDead } from './entry-format.ts'
import { headedOf, headOf, packDetail, unpackDetail } from './head-format.ts'
import type {
  DeadHead,
  DeadLetter,
  DeadReason,
  HeadedDead,
  KeptDead,
  ListDeadOptions,
  Page,
  Unreadable,
} from './port.ts'
import type { Seal } from './seal.ts'

export interface SqliteDeadParts {
  readonly seal: Seal
  readonly limits: Limits
  /** Counts an operation; the second does it in a transaction. */
  readonly step: <T>(work: () => T) => Promise<T>
  readonly atomically: <T>(work: () => T) => Promise<T>
}

/** In key order the oldest letter comes first; keys are ASCII. */
const behindAll = 'd1/~'

/** The table and what fills it; once, and with the letters that are there. */
export function prepareSqliteDead(sql: Pick<Sql, 'exec' | 'transaction'>): void {
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

export function sqliteDead(sql: Pick<Sql, 'exec'>, { seal, limits, step, atomically }: SqliteDeadParts) {
  return {
    /** Also where it is there already. */
    async bury(dead: DeadLetter, name: string): Promise<string> {
      const key = deadKey(dead.atMs, name)
      const value = JSON.stringify(await seal.seal(packDead(dead), key))
      const packed = packDetail(dead)
      const detail = packed === undefined ? null : JSON.stringify(await seal.seal(packed, key))
      await atomically(() => {
        sql.exec(
          'INSERT INTO relay_backlog (key, value, source, reason) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING',
          ...[key, value, dead.source, dead.reason],
        )
        writeHead(key, headOf(dead), detail)
      })
      return key
    },

    async listDead({ wanted = () => true, ...asked }: ListDeadOptions = {}): Promise<Page<KeptDead | Unreadable>> {
      const { rows, cursor } = await step(() => readRows(asked, wanted, false))
      const items: (KeptDead | Unreadable)[] = []
      for (const row of rows) {
        const item = await opened(row)
        if (!('dead' in item) || wanted(headOf(item.dead))) items.push(item)
      }
      return { items, ...given({ cursor }) }
    },

    async deadHeads({
      wanted = () => true,
      details = false,
      ...asked
    }: ListDeadOptions & { details?: boolean } = {}): Promise<Page<HeadedDead | Unreadable>> {
      const { rows, cursor } = await step(() => readRows(asked, wanted, true))
      const items: (HeadedDead | Unreadable)[] = []
      for (const row of rows) {
        const { key, head } = row
        if (head === undefined) {
          const item = headedOf(await opened(row), details)
          if (item.head === undefined || wanted(item.head)) items.push(item)
        } else {
          const detail = details ? unpackDetail(await seal.open(parseJson(row.detail), key)) : undefined
          items.push({ key, head, ...given({ detail }) })
        }
      }
      return { items, ...given({ cursor }) }
    },
  }

  /** Its value was read; its head is kept where it had none. */
  async function opened({ key, value, head }: Row): Promise<KeptDead | Unreadable> {
    const item = readDead(key, await seal.open(parseJson(value), key), head)
    if (head === undefined && 'dead' in item) {
      const packed = packDetail(item.dead)
      const detail = packed === undefined ? null : JSON.stringify(await seal.seal(packed, key))
      const { reason, source } = item.dead
      await atomically(() => {
        writeHead(key, headOf(item.dead), detail)
        // Its counts, too (sqlite-counts.ts).
        sql.exec('UPDATE relay_backlog SET source = ?, reason = ? WHERE key = ?', source, reason, key)
      })
    }
    return item
  }

  function writeHead(key: string, head: DeadHead, detail: string | null): void {
    const { reason, source, atMs, firstSeenMs, attempts, visitorHash = null } = head
    sql.exec(
      'UPDATE relay_dead SET reason = ?, source = ?, at_ms = ?, first_seen_ms = ?, attempts = ?, visitor = ?, detail = ? WHERE key = ?',
      ...[reason, source, atMs, firstSeenMs, attempts, visitorHash, detail, key],
    )
  }

  /** The rows of a page, newest first, with the values that are needed, as many as a page holds. */
  function readRows(
    { cursor = behindAll, limit = limits.keysPerPage, itemsAtMost = limits.keysPerPage }: ListDeadOptions,
    wanted: (head: DeadHead) => boolean,
    headsOnly: boolean,
  ): { readonly rows: readonly Row[]; readonly cursor: string | undefined } {
    const keysAtMost = Math.min(limit, limits.keysPerPage)
    const found = sql.exec('SELECT * FROM relay_dead WHERE key < ? ORDER BY key DESC LIMIT ?', cursor, keysAtMost + 1)
    const rows: Row[] = []
    let last = cursor
    let held = 0
    for (const one of found.slice(0, keysAtMost)) {
      const [key, head] = [String(one['key']), headFrom(one)]
      if (head !== undefined && !wanted(head)) {
        last = key
        continue
      }
      if (rows.length >= itemsAtMost) return { rows, cursor: last }
      const needed = !headsOnly || head === undefined
      if (needed && held > 0 && held + Number(one['bytes']) > limits.bytesPerPage) return { rows, cursor: last }
      const [kept] = needed ? sql.exec('SELECT value FROM relay_backlog WHERE key = ?', key) : []
      if (needed) held += Number(one['bytes'])
      rows.push({ key, head, value: String(kept?.['value']), detail: String(one['detail']) })
      last = key
    }
    return { rows, cursor: found.length > keysAtMost ? last : undefined }
  }
}

interface Row {
  readonly key: string
  readonly head: DeadHead | undefined
  readonly value: string
  /** `null` where there is none. */
  readonly detail: string
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
