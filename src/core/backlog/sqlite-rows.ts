/**
 * The rows of a backlog in SQLite: a file, or the storage of a Durable Object.
 *
 * Guarantee: what was written is on disk as far as SQLite's own settings go; pages are current, and hold as many bytes
 * of values as they were asked for.
 */
import { given } from '../given.ts'
import type { Sql } from '../store/sql.ts'
import type { BacklogRows, NewRow } from './rows.ts'
import { openCounted, readCounts } from './sqlite-counts.ts'
import { prepareLetters, readLetters, writeHead } from './sqlite-letters.ts'

/**
 * Makes the tables where they are not there.
 *
 * @param isCounted whether triggers count what waits: a status then reads a few rows, and each entry costs five rows
 *   written where it costs one. A file on disk is counted; an object, whose rows are billed, is not.
 */
export function sqliteRows(sql: Sql, isCounted: boolean): BacklogRows {
  openTable(sql)
  if (isCounted) openCounted(sql)
  prepareLetters(sql)

  return {
    exchange: (rows, removed) =>
      sql.atomically(() => {
        for (const row of rows) insert(row)
        for (const key of removed) sql.exec('DELETE FROM relay_backlog WHERE key = ?', key)
      }),
    bury: (row, head, detail) =>
      sql.atomically(() => {
        insert(row)
        writeHead(sql, row.key, head, detail)
      }),
    writeText: (key, value) =>
      sql.inTurn(() => {
        sql.exec('INSERT OR REPLACE INTO relay_backlog (key, value) VALUES (?, ?)', key, value)
      }),
    read: (keys) =>
      sql.inTurn(() =>
        keys
          .flatMap((key) => sql.exec('SELECT key, value FROM relay_backlog WHERE key = ?', key))
          .map((row) => ({ key: String(row['key']), value: String(row['value']) })),
      ),
    page: (prefix, after, limit, bytes) => sql.inTurn(() => readPage(prefix, after, limit, bytes)),
    letters: (before, limit, details) => sql.inTurn(() => readLetters(sql, before, limit, details)),
    setHeads: (heads) =>
      sql.atomically(() => {
        for (const { key, head, detail } of heads) {
          writeHead(sql, key, head, detail)
          // Its counts, too (sqlite-counts.ts).
          sql.exec('UPDATE relay_backlog SET source = ?, reason = ? WHERE key = ?', head.source, head.reason, key)
        }
      }),
    ...given({ counts: isCounted ? () => sql.inTurn(() => readCounts(sql)) : undefined }),
    heads: (prefix, after, limit) => sql.inTurn(() => readHeads(prefix, after, limit)),
    keys: (after, before, limit) =>
      sql.inTurn(() =>
        sql
          .exec('SELECT key FROM relay_backlog WHERE key > ? AND key < ? ORDER BY key LIMIT ?', after, before, limit)
          .map(({ key }) => String(key)),
      ),
    readSealed: (key) =>
      sql.inTurn(() => {
        const [kept] = sql.exec(
          'SELECT value, detail FROM relay_backlog LEFT JOIN relay_dead USING (key) WHERE relay_backlog.key = ?',
          key,
        )
        if (kept === undefined) return undefined
        return { value: String(kept['value']), detail: kept['detail'] === null ? null : String(kept['detail']) }
      }),
    renew: (key, was, renewed) =>
      sql.inTurn(() =>
        sql.transaction(() => {
          const [value, detail] = [renewed.value, renewed.detail]
          sql.exec('UPDATE relay_backlog SET value = ? WHERE key = ? AND value = ?', value, key, was.value)
          if (was.detail !== null)
            sql.exec('UPDATE relay_dead SET detail = ? WHERE key = ? AND detail = ?', detail, key, was.detail)
        }),
      ),
    check: () =>
      sql.inTurn(() => {
        sql.exec('SELECT 1 FROM relay_backlog LIMIT 1')
      }),
    ...given({ purge: sql.purge && (() => sql.inTurn(() => sql.purge?.())) }),
  }

  function insert({ key, value, source, reason, bytes, attributes }: NewRow): void {
    sql.exec(
      'INSERT INTO relay_backlog (key, value, source, reason, bytes, attributes) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING',
      ...[key, value, source, reason, bytes, attributes],
    )
  }

  function readHeads(prefix: string, after: string, limit: number) {
    const found = sql.exec(
      'SELECT key, source, reason, bytes, attributes FROM relay_backlog WHERE key > ? AND key < ? ORDER BY key LIMIT ?',
      after,
      `${prefix}~`,
      limit + 1,
    )
    const rows = found.slice(0, limit).map((row) => ({
      key: String(row['key']),
      source: textOf(row['source']),
      reason: textOf(row['reason']),
      bytes: numberOf(row['bytes']),
      attributes: numberOf(row['attributes']),
    }))
    return { rows, ...given({ next: found.length > limit ? rows.at(-1)?.key : undefined }) }
  }

  /** Sizes first, then the values that fit; one that is larger than a page goes alone. */
  function readPage(prefix: string, after: string, limit: number, bytesAtMost: number) {
    // Keys are ASCII: the prefix with the highest such character behind it bounds the range.
    const sizes = sql.exec(
      'SELECT key, octet_length(value) AS bytes FROM relay_backlog WHERE key > ? AND key < ? ORDER BY key LIMIT ?',
      after,
      `${prefix}~`,
      limit + 1,
    )
    let held = 0
    let count = 0
    for (const { bytes } of sizes.slice(0, limit)) {
      if (count > 0 && held + Number(bytes) > bytesAtMost) break
      held += Number(bytes)
      count++
    }
    const last = String(sizes[count - 1]?.['key'] ?? after)
    const rows = sql.exec('SELECT key, value FROM relay_backlog WHERE key > ? AND key <= ? ORDER BY key', after, last)
    return {
      rows: rows.map((row) => ({ key: String(row['key']), value: String(row['value']) })),
      ...given({ next: sizes.length > count ? last : undefined }),
    }
  }
}

const columns = ['source TEXT', 'reason TEXT', 'bytes INTEGER', 'attributes INTEGER']

/** Makes the table, or adds to that of an older version what stands beside a value. */
function openTable(sql: Pick<Sql, 'exec' | 'transaction'>): void {
  const names = () => sql.exec("SELECT name FROM pragma_table_info('relay_backlog')").map(({ name }) => String(name))
  if (names().length === 0)
    sql.exec(
      `CREATE TABLE IF NOT EXISTS relay_backlog (key TEXT PRIMARY KEY, value TEXT NOT NULL, ${columns.join(', ')}) WITHOUT ROWID`,
    )
  if (names().includes('source')) return
  sql.transaction(() => {
    // Another process may have done it since.
    if (names().includes('source')) return
    for (const column of columns) sql.exec(`ALTER TABLE relay_backlog ADD COLUMN ${column}`)
  })
}

function textOf(column: unknown): string | null {
  return column === null ? null : String(column)
}

function numberOf(column: unknown): number | null {
  return column === null ? null : Number(column)
}
