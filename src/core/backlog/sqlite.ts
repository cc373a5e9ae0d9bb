/**
 * The backlog on SQLite, for wherever there is no KV.
 *
 * Guarantee: a put that resolved is on disk as far as SQLite's own settings go; lists are current.
 */
import type { Sql } from '../ledger/sql.ts'
import {
  deadKey,
  deadPrefix,
  entryKey,
  entryPrefix,
  keyRandomBytes,
  packDead,
  packEntry,
  parseJson,
  readDead,
  readEntry,
} from './entry-format.ts'
import type { Backlog, Page } from './port.ts'
import type { Seal } from './seal.ts'

const defaultLimit = 1_000

export function sqliteBacklog(sql: Sql, { randomHex, seal }: { randomHex: (bytes: number) => string; seal: Seal }): Backlog {
  let operations = 0
  sql.exec('CREATE TABLE IF NOT EXISTS relay_backlog (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID')

  // `async`, so that a throw is a rejection, as it is with every other backlog.
  const run = async (query: string, ...params: (string | number)[]) => {
    operations++
    return sql.exec(query, ...params)
  }

  return {
    get operations() {
      return operations
    },
    async put(entry) {
      const key = entryKey(entry, randomHex(keyRandomBytes))
      await run('INSERT INTO relay_backlog (key, value) VALUES (?, ?)', key, JSON.stringify(await seal.seal(packEntry(entry), key)))
      return key
    },
    list: ({ prefix = '', cursor, limit = defaultLimit } = {}) => readPage(entryPrefix + prefix, cursor, limit, readEntry),
    async delete(key) {
      await run('DELETE FROM relay_backlog WHERE key = ?', key)
    },
    async bury(dead) {
      const key = deadKey(dead.atMs, randomHex(keyRandomBytes))
      await run('INSERT INTO relay_backlog (key, value) VALUES (?, ?)', key, JSON.stringify(await seal.seal(packDead(dead), key)))
      return key
    },
    listDead: ({ cursor, limit = defaultLimit } = {}) => readPage(deadPrefix, cursor, limit, readDead),
    async readDead(key) {
      const [row] = await run('SELECT value FROM relay_backlog WHERE key = ?', key)
      return row === undefined ? undefined : readDead(key, await seal.open(parseJson(String(row['value'])), key))
    },
  }

  /** The cursor is the last key shown: what is put or deleted meanwhile shifts nothing. */
  async function readPage<T>(
    prefix: string,
    cursor: string | undefined,
    limit: number,
    read: (key: string, packed: unknown) => T,
  ): Promise<Page<T>> {
    // Keys are ASCII: the prefix with the highest such character behind it bounds the range.
    const rows = await run(
      'SELECT key, value FROM relay_backlog WHERE key > ? AND key < ? ORDER BY key LIMIT ?',
      cursor ?? prefix,
      `${prefix}~`,
      limit + 1,
    )
    const shown = rows.slice(0, limit).map((row) => ({ key: String(row['key']), value: String(row['value']) }))
    const items: T[] = []
    for (const { key, value } of shown) items.push(read(key, await seal.open(parseJson(value), key)))
    const last = shown.at(-1)
    return rows.length > limit && last !== undefined ? { items, cursor: last.key } : { items }
  }
}
