/**
 * A KV that fails as KV does in production (by its documentation and its outages): lists and reads lag behind,
 * pages are empty with more to follow, writes to a hot key are refused, puts fail. It uses the given clock.
 */
import type { Kv, KvList } from '../../src/core/store/kv.ts'

export interface FakeKvOptions {
  readonly now: () => number
  /** How long a put or a delete stays invisible, ms. */
  readonly staleMs?: number
  /** Returns an empty page before each real one. */
  readonly emptyPages?: boolean
  /** The most bytes of one bulk read: KV's 25 MiB, or fewer to reach the limit sooner. */
  readonly bulkBytes?: number
}

export interface FakeKv extends Kv {
  /** This many of the next puts fail. */
  failPuts: number
  /** The error of a read of this key, alone or among others; undefined if it can be read. */
  failGet: (key: string) => string | undefined
  /** The keys of each read. */
  readonly reads: (readonly string[])[]
}

/** KV's limits, as documented and as workerd 1.20261117 enforces them (its messages are copied word for word). */
const mebibyte = 1_048_576
const maxValueBytes = 25 * mebibyte

interface Version {
  readonly atMs: number
  readonly value: string | null
  readonly metadata?: unknown
}

export function fakeKv({ now, staleMs = 0, emptyPages = false, bulkBytes = maxValueBytes }: FakeKvOptions): FakeKv {
  const versions = new Map<string, Version[]>()
  const write = (key: string, version: Version) => {
    if (Buffer.byteLength(key) > 512)
      throw new Error(
        `KV PUT failed: 414 UTF-8 encoded length of ${Buffer.byteLength(key)} exceeds key length limit of 512.`,
      )
    const known = versions.get(key) ?? []
    const last = known.at(-1)
    if (last !== undefined && now() - last.atMs < 1_000 && version.value !== null && last.value !== null)
      throw new Error('KV PUT failed: 429 Too Many Requests')
    versions.set(key, [...known, version])
  }
  const seen = (key: string) => versions.get(key)?.findLast(({ atMs }) => atMs <= now() - staleMs)

  const kv: FakeKv = {
    failPuts: 0,
    failGet: () => undefined,
    reads: [],
    async put(key, value, options) {
      if (kv.failPuts > 0) {
        kv.failPuts--
        throw new Error('KV PUT failed: 503 Service Unavailable')
      }
      const metadata = options?.metadata
      const bytes = Buffer.byteLength(JSON.stringify(metadata) ?? '')
      if (bytes > 1_024) throw new Error(`KV PUT failed: 413 Metadata length of ${bytes} exceeds limit of 1024.`)
      const size = Buffer.byteLength(value)
      if (size > maxValueBytes)
        throw new Error(`KV PUT failed: 413 Value length of ${size} exceeds limit of ${maxValueBytes}.`)
      write(key, {
        atMs: now(),
        value,
        ...(metadata === undefined ? {} : { metadata: JSON.parse(JSON.stringify(metadata)) as unknown }),
      })
    },
    async delete(key) {
      write(key, { atMs: now(), value: null })
    },
    async get(keys) {
      if (keys.length > 100) throw new Error('KV GET_BULK failed: 400 You can request a maximum of 100 keys')
      kv.reads.push(keys)
      const refused = keys.map(kv.failGet).find((message) => message !== undefined)
      if (refused !== undefined) throw new Error(refused)
      const values = keys.map((key) => [key, seen(key)?.value ?? null] as const)
      if (values.reduce((sum, [, value]) => sum + Buffer.byteLength(value ?? ''), 0) > bulkBytes)
        throw new Error(`KV GET_BULK failed: 413 Total size of request exceeds the limit of ${bulkBytes / mebibyte}MB`)
      return new Map(values)
    },
    async list({ prefix, cursor, limit = 1_000 }): Promise<KvList> {
      const [kind, after = ''] = (cursor ?? 'empty ').split(/ (.*)/s)
      if (emptyPages && kind === 'empty') return { list_complete: false, keys: [], cursor: `page ${after}` }
      const live = [...versions.keys()]
        .filter((key) => key.startsWith(prefix) && key > after && typeof seen(key)?.value === 'string')
        .sort()
      const shown = live.slice(0, limit)
      const keys = shown.map((name) => ({ name, metadata: seen(name)?.metadata }))
      return live.length > limit
        ? { list_complete: false, keys, cursor: `empty ${shown.at(-1) ?? ''}` }
        : { list_complete: true, keys }
    },
  }
  return kv
}
