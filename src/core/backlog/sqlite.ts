/**
 * The backlog on SQLite, for wherever there is no KV.
 *
 * Guarantee: a put that resolved is on disk as far as SQLite's own settings go; lists are current, and hold
 * `limits.bytesPerPage` of values at a time.
 */
import { given } from '../given.ts'
import { defaultLimits, type Limits } from '../limits.ts'
import type { Sql } from '../store/sql.ts'
import {
  entryKey,
  entryPrefix,
  keyRandomBytes,
  packEntry,
  parseJson,
  postSize,
  readDead,
  readEntry,
} from './entry-format.ts'
import type { Backlog, KeptDead, NamedEntry, Page, Unreadable } from './port.ts'
import { sqliteReseal } from './reseal.ts'
import type { Seal } from './seal.ts'
import { openCounted, readCounts } from './sqlite-counts.ts'
import { prepareSqliteDead, sqliteDead } from './sqlite-dead.ts'

export interface SqliteBacklogParts {
  readonly randomHex: (bytes: number) => string
  readonly seal: Seal
  readonly limits?: Limits
}

export function sqliteBacklog(sql: Sql, { randomHex, seal, limits = defaultLimits }: SqliteBacklogParts): Backlog {
  let operations = 0
  openCounted(sql)

  prepareSqliteDead(sql)

  const step = <T>(work: () => T): Promise<T> => {
    operations++
    return sql.inTurn(work)
  }
  const atomically = <T>(work: () => T): Promise<T> => {
    operations++
    return sql.atomically(work)
  }
  const run = (query: string, ...params: (string | number | null)[]) => step(() => sql.exec(query, ...params))

  const letters = sqliteDead(sql, { seal, limits, step, atomically })

  return {
    get operations() {
      return operations
    },
    async put(entry) {
      const { key, write } = await written({ entry, name: randomHex(keyRandomBytes) })
      await step(write)
      return key
    },
    async exchange(puts, deletes) {
      const entries = await Promise.all(puts.map(written))
      await atomically(() => {
        for (const { write } of entries) write()
        for (const key of deletes) sql.exec('DELETE FROM relay_backlog WHERE key = ?', key)
      })
    },
    async putText(key, text) {
      await run('INSERT OR REPLACE INTO relay_backlog (key, value) VALUES (?, ?)', key, text)
    },
    async readText(key) {
      const [row] = await run('SELECT value FROM relay_backlog WHERE key = ?', key)
      return row === undefined ? undefined : String(row['value'])
    },
    async readDeads(keys) {
      const rows = await step(() =>
        keys.flatMap((key) => sql.exec('SELECT key, value FROM relay_backlog WHERE key = ?', key)),
      )
      const items: (KeptDead | Unreadable)[] = []
      for (const { key, value } of rows)
        items.push(readDead(String(key), await seal.open(parseJson(String(value)), String(key))))
      return items
    },
    list: ({ prefix = '', cursor, limit } = {}) => readPage(entryPrefix + prefix, cursor, limit, readEntry),
    tally: () => step(() => readCounts(sql)),
    async delete(key) {
      await run('DELETE FROM relay_backlog WHERE key = ?', key)
    },
    bury: (dead, name = randomHex(keyRandomBytes)) => letters.bury(dead, name),
    listDead: letters.listDead,
    deadHeads: letters.deadHeads,
    async readDead(key) {
      const [row] = await run('SELECT value FROM relay_backlog WHERE key = ?', key)
      return row === undefined ? undefined : readDead(key, await seal.open(parseJson(String(row['value'])), key))
    },
    reseal: sqliteReseal(sql, { seal, step }),
    async check() {
      await run('SELECT 1 FROM relay_backlog LIMIT 1')
    },
    async purge() {
      await step(() => sql.purge?.())
    },
  }

  /** An entry with its key, sealed, ready to be written in a step; a second time it writes nothing. */
  async function written({ entry, name }: NamedEntry) {
    const key = entryKey(entry, name)
    const value = JSON.stringify(await seal.seal(packEntry(entry), key))
    const { source, reason = null, attributes } = entry
    const write = () =>
      sql.exec(
        'INSERT INTO relay_backlog (key, value, source, reason, bytes, attributes) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING',
        ...[key, value, source, reason, postSize(entry), attributes.length],
      )
    return { key, write }
  }

  /**
   * The cursor is the last key shown: what is put or deleted meanwhile shifts nothing. No cursor leads out of the
   * prefix.
   */
  async function readPage<T>(
    prefix: string,
    cursor = prefix,
    limit = limits.keysPerPage,
    read: (key: string, packed: unknown) => T,
  ): Promise<Page<T>> {
    const { rows, next } = await step(() =>
      readRows(prefix, cursor > prefix ? cursor : prefix, Math.min(limit, limits.keysPerPage)),
    )
    const items: T[] = []
    for (const { key, value } of rows) items.push(read(key, await seal.open(parseJson(value), key)))
    return { items, ...given({ cursor: next }) }
  }

  /** Sizes first, then the values that fit; one that is larger than a page goes alone. */
  function readRows(prefix: string, after: string, limit: number) {
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
      if (count > 0 && held + Number(bytes) > limits.bytesPerPage) break
      held += Number(bytes)
      count++
    }
    const last = String(sizes[count - 1]?.['key'] ?? after)
    const rows = sql.exec('SELECT key, value FROM relay_backlog WHERE key > ? AND key <= ? ORDER BY key', after, last)
    return {
      rows: rows.map((row) => ({ key: String(row['key']), value: String(row['value']) })),
      next: sizes.length > count ? last : undefined,
    }
  }
}
