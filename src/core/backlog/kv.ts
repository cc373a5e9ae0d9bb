/**
 * The backlog on Workers KV.
 *
 * Guarantee: a put that resolved is durable; every entry has a key of its own, written once and never changed, so that
 * there is nothing to read, modify and write. However large the values are, and whichever of them KV does not give, a
 * list shows the others, and holds `limits.bytesPerPage` of them at a time (`kv-page.ts`).
 * Known hole: KV shows a put or a delete elsewhere after 60 seconds or more; a list may miss an entry that long (it is
 * found by a later run), and may show one that was deleted (the ledger finds it done).
 */
import { isPlatformLimit } from '../errors.ts'
import { given } from '../given.ts'
import { defaultLimits, type Limits } from '../limits.ts'
import type { Kv, KvKey } from '../store/kv.ts'
import {
  deadPrefix,
  entryHeadOf,
  entryKey,
  entryPrefix,
  keyRandomBytes,
  newestFirstKey,
  newestFirstPrefix,
  packDead,
  packEntry,
  packEntryHead,
  parseJson,
  readDead,
  readEntry,
} from './entry-format.ts'
import { headedOf, headOf, packDetail, packHead, unpackDetail, unpackHead } from './head-format.ts'
import { type KvPageAsked, kvPages } from './kv-page.ts'
import type { Backlog, HeadedDead, KeptDead, ListDeadOptions, NamedEntry, Page, Unreadable } from './port.ts'
import { kvReseal } from './reseal.ts'
import type { Seal } from './seal.ts'

/** A Worker has six connections. */
const writesAtOnce = 4
/** KV's limit, of the metadata as JSON in UTF-8. */
const maxMetadataBytes = 1_024

export interface KvBacklogParts {
  readonly randomHex: (bytes: number) => string
  readonly seal: Seal
  readonly limits?: Limits
}

export function kvBacklog(kv: Kv, { randomHex, seal, limits = defaultLimits }: KvBacklogParts): Backlog {
  let operations = 0
  const counted: Kv = {
    put: (...asked) => count(() => kv.put(...asked)),
    list: (...asked) => count(() => kv.list(...asked)),
    get: (...asked) => count(() => kv.get(...asked)),
    delete: (...asked) => count(() => kv.delete(...asked)),
  }
  const readPage = kvPages(counted, { randomHex, seal, limits })
  const utf8 = new TextEncoder()

  return {
    get operations() {
      return operations
    },

    put: (entry) => put({ entry, name: randomHex(keyRandomBytes) }),

    async exchange(puts, deletes) {
      for (let start = 0; start < puts.length; start += writesAtOnce)
        await Promise.all(puts.slice(start, start + writesAtOnce).map(put))
      for (let start = 0; start < deletes.length; start += writesAtOnce)
        await Promise.all(deletes.slice(start, start + writesAtOnce).map((key) => counted.delete(key)))
    },

    putText: (key, text) => counted.put(key, text),
    readText: async (key) => (await counted.get([key])).get(key) ?? undefined,

    readDeads,

    list: ({ prefix = '', cursor, limit } = {}) => readPage(entryPrefix + prefix, { cursor, limit }, readEntry),

    heads: ({ prefix = '', ...asked } = {}) =>
      listHeads(entryPrefix + prefix, asked, ({ name, metadata }) =>
        entryHeadOf(name, metadata, () => unpackHead(metadata)?.bytes ?? (metadata ? bytesOf(metadata) : 0)),
      ),

    delete: (key) => counted.delete(key),

    async bury(dead, name = randomHex(keyRandomBytes)) {
      const key = newestFirstKey(dead.atMs, name)
      const packed = await seal.seal(packDead(dead), key)
      const detail = packDetail(dead)
      const metadata = packHead(
        bytesOf(packed),
        headOf(dead),
        detail === undefined ? undefined : await seal.seal(detail, key),
      )
      await counted.put(key, JSON.stringify(packed), { metadata })
      return key
    },

    async listDead({ wanted = () => true, ...asked } = {}) {
      const page = await readDeadPage(asked, (prefix, at) => readPage(prefix, { ...at, wanted }, readDead))
      // What was written without a head can be filtered only now.
      return { ...page, items: page.items.filter((item) => !('dead' in item) || wanted(headOf(item.dead))) }
    },

    async deadHeads({ wanted = () => true, details = false, ...asked } = {}) {
      const page = await readDeadPage(asked, (prefix, at) =>
        readPage<HeadedDead | Unreadable>(
          prefix,
          { ...at, wanted },
          (key, packed) => headedOf(readDead(key, packed), details),
          async (key, head, detail) => ({
            key,
            head,
            ...given({ detail: details ? unpackDetail(await seal.open(detail, key)) : undefined }),
          }),
        ),
      )
      return {
        ...page,
        items: page.items.filter((item) => !('head' in item) || item.head === undefined || wanted(item.head)),
      }
    },

    async readDead(key) {
      const value = (await counted.get([key])).get(key) ?? null
      return value === null ? undefined : readDead(key, await seal.open(parseJson(value), key))
    },

    reseal: kvReseal(counted, { seal, limits }),

    async check() {},
  }

  /** What older versions wrote comes last. The cursor begins with the prefix that it is of. */
  async function readDeadPage<T>(
    { cursor = newestFirstPrefix, ...asked }: Omit<ListDeadOptions, 'wanted'>,
    read: (prefix: string, at: KvPageAsked) => Promise<Page<T>>,
  ): Promise<Page<T>> {
    const prefix = cursor.startsWith(deadPrefix) ? deadPrefix : newestFirstPrefix
    const own = cursor.slice(prefix.length)
    const page = await read(prefix, { limit: undefined, ...asked, cursor: own === '' ? undefined : own })
    if (page.cursor !== undefined) return { ...page, cursor: prefix + page.cursor }
    return prefix === deadPrefix ? page : { ...page, cursor: deadPrefix }
  }

  async function put({ entry, name }: NamedEntry): Promise<string> {
    const key = entryKey(entry, name)
    const packed = await seal.seal(packEntry(entry), key)
    const inline = { ...packed, ...packEntryHead(entry) }
    if (bytesOf(inline) <= maxMetadataBytes) await counted.put(key, '', { metadata: inline })
    else
      await counted.put(key, JSON.stringify(packed), {
        metadata: { ...packHead(bytesOf(packed)), ...packEntryHead(entry) },
      })
    return key
  }

  /** By halves where KV does not give them together. */
  async function readDeads(keys: readonly string[]): Promise<readonly (KeptDead | Unreadable)[]> {
    if (keys.length === 0) return []
    try {
      const values = await counted.get([...keys])
      const items: (KeptDead | Unreadable)[] = []
      for (const key of keys) {
        const value = values.get(key) ?? null
        if (value !== null) items.push(readDead(key, await seal.open(parseJson(value), key)))
      }
      return items
    } catch (error) {
      if (keys.length === 1 || isPlatformLimit(error)) throw error
      const middle = keys.length >> 1
      return [...(await readDeads(keys.slice(0, middle))), ...(await readDeads(keys.slice(middle)))]
    }
  }

  /** As the metadata of a key, or its value. */
  function bytesOf(packed: unknown): number {
    return utf8.encode(JSON.stringify(packed)).byteLength
  }

  async function listHeads<T>(
    prefix: string,
    { cursor, limit = limits.keysPerPage }: { cursor?: string; limit?: number },
    read: (key: KvKey) => T,
  ): Promise<Page<T>> {
    const listed = await counted.list({ prefix, limit: Math.min(limit, limits.keysPerPage), ...given({ cursor }) })
    return {
      items: listed.keys.map(read),
      ...(listed.list_complete ? {} : { cursor: listed.cursor }),
    }
  }

  function count<T>(ask: () => Promise<T>): Promise<T> {
    operations++
    return ask()
  }
}
