/**
 * The backlog on Workers KV.
 *
 * Guarantee: a put that resolved is durable; every entry has a key of its own, written once and never changed, so that
 * there is nothing to read, modify and write.
 * Known hole: KV shows a put or a delete elsewhere after 60 seconds or more; a list may miss an entry that long (it is
 * found by a later run), and may show one that was deleted (the ledger finds it done).
 */
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
import type { Backlog, DeadLetter, Page } from './port.ts'
import type { Seal } from './seal.ts'

/** What is asked of a KV namespace. */
export interface Kv {
  put(key: string, value: string, options?: { metadata?: unknown }): Promise<void>
  list(options: { prefix: string; cursor?: string; limit?: number }): Promise<KvList>
  get(keys: string[]): Promise<Map<string, string | null>>
  delete(key: string): Promise<void>
}

export type KvList =
  | { readonly list_complete: true; readonly keys: readonly KvKey[] }
  | { readonly list_complete: false; readonly keys: readonly KvKey[]; readonly cursor: string }
interface KvKey {
  readonly name: string
  readonly metadata?: unknown
}

/** KV's limit, of the metadata as JSON. */
const maxMetadataBytes = 1_024
/** Keys in one bulk read, which counts as one operation. */
const keysPerRead = 100
/** The page of dead letters that one list and one bulk read can show. */
const deadPerPage = 100

export function kvBacklog(kv: Kv, { randomHex, seal }: { randomHex: (bytes: number) => string; seal: Seal }): Backlog {
  let operations = 0
  const utf8 = new TextEncoder()

  return {
    get operations() {
      return operations
    },

    async put(entry) {
      const key = entryKey(entry, randomHex(keyRandomBytes))
      const packed = await seal.seal(packEntry(entry), key)
      const text = JSON.stringify(packed)
      operations++
      if (utf8.encode(text).byteLength <= maxMetadataBytes) await kv.put(key, '', { metadata: packed })
      else await kv.put(key, text)
      return key
    },

    async list({ prefix = '', cursor, limit = 1_000 } = {}) {
      return readPage(entryPrefix + prefix, cursor, limit, readEntry)
    },

    async delete(key) {
      operations++
      await kv.delete(key)
    },

    async bury(dead: DeadLetter) {
      const key = deadKey(dead.atMs, randomHex(keyRandomBytes))
      operations++
      await kv.put(key, JSON.stringify(await seal.seal(packDead(dead), key)))
      return key
    },

    async listDead({ cursor, limit = deadPerPage } = {}) {
      return readPage(deadPrefix, cursor, limit, readDead)
    },

    async readDead(key) {
      const value = (await readValues([key])).get(key) ?? null
      return value === null ? undefined : readDead(key, await seal.open(parseJson(value), key))
    },
  }

  async function readPage<T>(
    prefix: string,
    cursor: string | undefined,
    limit: number,
    read: (key: string, packed: unknown) => T,
  ): Promise<Page<T>> {
    operations++
    const page = await kv.list({ prefix, limit, ...(cursor === undefined ? {} : { cursor }) })
    const values = await readValues(page.keys.filter(({ metadata }) => metadata === undefined || metadata === null).map(({ name }) => name))
    const items: T[] = []
    for (const { name, metadata } of page.keys) {
      const value = values.get(name)
      // A listed key without a value is one that was deleted: the list is behind.
      if (value === null) continue
      const packed = await seal.open(value === undefined ? metadata : parseJson(value), name)
      items.push(read(name, packed))
    }
    return page.list_complete ? { items } : { items, cursor: page.cursor }
  }

  async function readValues(keys: readonly string[]): Promise<ReadonlyMap<string, string | null>> {
    const values = new Map<string, string | null>()
    for (let start = 0; start < keys.length; start += keysPerRead) {
      operations++
      const asked = keys.slice(start, start + keysPerRead)
      const answered = await kv.get(asked)
      for (const key of asked) values.set(key, answered.get(key) ?? null)
    }
    return values
  }
}
