/**
 * The backlog on SQL, for wherever there is no KV, and for those who want more than KV gives: a file of a server, or a
 * Durable Object.
 *
 * Guarantee: a put that resolved is on disk; lists are current, and hold `limits.bytesPerPage` of values at a time.
 * What is stored is sealed and opened here: the table itself holds no key.
 */
import { given } from '../given.ts'
import { defaultLimits, type Limits } from '../limits.ts'
import type { Sql } from '../store/sql.ts'
import {
  entryHeadOf,
  entryKey,
  entryPrefix,
  keyRandomBytes,
  packEntry,
  parseJson,
  postSize,
  readDead,
  readEntry,
} from './entry-format.ts'
import { lettersOf } from './letters.ts'
import type { Backlog, EntryHead, NamedEntry, Page } from './port.ts'
import { rowsReseal } from './reseal.ts'
import type { BacklogRows, NewRow } from './rows.ts'
import type { Seal } from './seal.ts'
import { sqliteRows } from './sqlite-rows.ts'

export interface SqliteBacklogParts {
  readonly randomHex: (bytes: number) => string
  readonly seal: Seal
  readonly limits?: Limits
}

export function sqliteBacklog(sql: Sql, parts: SqliteBacklogParts): Backlog {
  return rowsBacklog(sqliteRows(sql, true), parts)
}

export function rowsBacklog(
  store: BacklogRows,
  { randomHex, seal, limits = defaultLimits }: SqliteBacklogParts,
): Backlog {
  let operations = 0
  const rows = counted(store, () => {
    operations++
  })
  const letters = lettersOf({ rows, seal, limits })
  const { purge } = rows

  return {
    get operations() {
      return operations
    },
    async put(entry) {
      const row = await written({ entry, name: randomHex(keyRandomBytes) })
      await rows.exchange([row], [])
      return row.key
    },
    async exchange(puts, deletes) {
      await rows.exchange(await Promise.all(puts.map(written)), deletes)
    },
    removesTogether: () => true,
    putText: (key, text) => rows.writeText(key, text),
    readText: async (key) => (await rows.read([key]))[0]?.value,
    async readDeads(keys) {
      const found = await rows.read(keys)
      return Promise.all(found.map(async ({ key, value }) => readDead(key, await seal.open(parseJson(value), key))))
    },
    async list(asked) {
      const { prefix, after, limit } = rangeOf(asked)
      const page = await rows.page(prefix, after, limit, limits.bytesPerPage)
      const items = await Promise.all(
        page.rows.map(async ({ key, value }) => readEntry(key, await seal.open(parseJson(value), key))),
      )
      return { items, ...given({ cursor: page.next }) }
    },
    ...given({ tally: rows.counts, heads: rows.counts === undefined ? heads : undefined }),
    delete: (key) => rows.exchange([], [key]),
    bury: (dead, name = randomHex(keyRandomBytes)) => letters.bury(dead, name),
    listDead: letters.listDead,
    deadHeads: letters.deadHeads,
    async readDead(key) {
      const [row] = await rows.read([key])
      return row && readDead(key, await seal.open(parseJson(row.value), key))
    },
    reseal: rowsReseal(rows, seal),
    check: () => rows.check(),
    ...given({ purge }),
  }

  async function heads(asked?: Parameters<Backlog['list']>[0]): Promise<Page<EntryHead>> {
    const { prefix, after, limit } = rangeOf(asked)
    const page = await rows.heads(prefix, after, limit)
    return { items: page.rows.map(headOfRow), ...given({ cursor: page.next }) }
  }

  /**
   * The cursor is the last key shown: what is put or deleted meanwhile shifts nothing. No cursor leads out of the prefix.
   */
  function rangeOf({ prefix: hash = '', cursor, limit = limits.keysPerPage }: Parameters<Backlog['list']>[0] = {}) {
    const prefix = entryPrefix + hash
    const after = cursor !== undefined && cursor > prefix ? cursor : prefix
    return { prefix, after, limit: Math.min(limit, limits.keysPerPage) }
  }

  /** An entry's row, sealed. */
  async function written({ entry, name }: NamedEntry): Promise<NewRow> {
    const key = entryKey(entry, name)
    const value = JSON.stringify(await seal.seal(packEntry(entry), key))
    const { source, reason = null, attributes } = entry
    return { key, value, source, reason, bytes: postSize(entry), attributes: attributes.length }
  }
}

/** Each call of a method is one operation. */
function counted(rows: BacklogRows, count: () => void): BacklogRows {
  return new Proxy(rows, {
    get(target, name: keyof BacklogRows) {
      const method = target[name] as ((...args: unknown[]) => unknown) | undefined
      return (
        method &&
        ((...args: unknown[]) => {
          count()
          return method.apply(target, args)
        })
      )
    },
  })
}

function headOfRow({ key, source, reason, bytes, attributes }: Omit<NewRow, 'value'>): EntryHead {
  return entryHeadOf(key, { g: [source, reason ?? '', bytes, attributes] }, () => 0)
}
