/**
 * Which keys of `BACKLOG_KEYS` seal what is stored, and sealing it anew under the first, so that an old key can be
 * removed before what it sealed is gone by itself.
 *
 * Guarantee: what is sealed anew stays under its key in the store, with the same content; one value is in memory at a
 * time, or one bulk read of KV. On SQLite it is replaced only where it is still what was read.
 * Known hole: KV has no such condition: an entry or a letter that is deleted while it is sealed anew may be there
 * again. Of an entry the ledger knows what was delivered; a letter is there to be dropped once more.
 */
import { given } from '../given.ts'
import type { Limits } from '../limits.ts'
import type { Kv, KvKey } from '../store/kv.ts'
import { parseJson } from './entry-format.ts'
import { unpackHead } from './head-format.ts'
import type { Reseal } from './port.ts'
import type { BacklogRows } from './rows.ts'
import type { Seal } from './seal.ts'

/** No key has this name: a ring's names are given by its operator, without a space. */
export const plainName = 'not sealed'
const prefixes = { entries: 'b', dead: 'd' } as const
/** Other keys that begin alike are none of these. */
const storedKey = /^[bd]\d\//

interface Renewal {
  /** The key that seals it: the first only where nothing of it is under another. */
  readonly by: string
  /** The pieces sealed anew, where any was under another key and all could be opened. */
  readonly anew?: readonly unknown[]
}

/** @param pieces of what is stored under one key: its content, and what stands beside it */
async function renewalOf(seal: Seal, key: string, pieces: readonly unknown[]): Promise<Renewal> {
  const renewed = await Promise.all(pieces.map((piece) => seal.reseal(piece, key)))
  const isOld = (names: readonly string[]) => names.some((name) => name !== seal.first)
  const old = renewed.filter(({ by }) => isOld(by))
  const names = [...old, ...renewed].flatMap(({ by }) =>
    by.toSorted((a, b) => Number(a === seal.first) - Number(b === seal.first)),
  )
  const isWhole = old.length > 0 && old.every(({ anew }) => anew !== undefined)
  return {
    by: names[0] ?? plainName,
    ...(isWhole ? { anew: renewed.map(({ anew }, index) => anew ?? pieces[index]) } : {}),
  }
}

/** Counts what a page holds. */
class Counting {
  readonly byKey: Record<string, number> = {}
  resealed = 0
  failed = 0

  count(name: string): void {
    this.byKey[name] = (this.byKey[name] ?? 0) + 1
  }
}

export function rowsReseal(rows: Pick<BacklogRows, 'keys' | 'readSealed' | 'renew'>, seal: Seal): Reseal {
  return async ({ part, anew: wanted, cursor = prefixes[part], limit }) => {
    const counting = new Counting()
    const keys = await rows.keys(cursor, `${prefixes[part]}~`, limit)
    for (const key of keys) {
      const kept = await rows.readSealed(key)
      // Deleted meanwhile.
      if (kept === undefined) continue
      const { value, detail } = kept
      const { by, anew } = await renewalOf(seal, key, [parseJson(value), parseJson(detail ?? 'null')])
      if (anew === undefined || !wanted) {
        counting.count(by)
        continue
      }
      const [content, beside] = anew
      await rows.renew(key, kept, {
        value: JSON.stringify(content),
        detail: detail === null ? null : JSON.stringify(beside),
      })
      counting.count(seal.first ?? plainName)
      counting.resealed++
    }
    return { ...counting, ...given({ cursor: keys.length < limit ? undefined : keys.at(-1) }) }
  }
}

export function kvReseal(
  kv: Kv,
  {
    seal,
    limits,
  }: { readonly seal: Seal; readonly limits: Pick<Limits, 'keysPerRead' | 'bytesPerRead' | 'bytesOfUnknown'> },
): Reseal {
  return async ({ part, anew: wanted, cursor, limit }) => {
    const counting = new Counting()
    const listed = await kv.list({ prefix: prefixes[part], limit, ...given({ cursor }) })
    const keys = listed.keys.filter(({ name }) => storedKey.test(name))
    for (const some of readTogether(keys, limits)) {
      const values = await valuesOf(some)
      for (const { name, metadata } of some) {
        const isInline = isInside(metadata)
        const value = isInline ? '' : values.get(name)
        // A list may show what was deleted; a value that the store does not give is left alone.
        if (value === undefined) counting.failed++
        if (typeof value === 'string') await renew(counting, { name, metadata, value }, wanted)
      }
    }
    return { ...counting, ...(listed.list_complete ? {} : { cursor: listed.cursor }) }
  }

  async function renew(
    counting: Counting,
    { name, metadata = null, value }: KvKey & { readonly value: string },
    wanted: boolean,
  ): Promise<void> {
    const content = value === '' ? null : parseJson(value)
    const { by, anew } = await renewalOf(seal, name, [content, metadata])
    if (anew === undefined || !wanted) return counting.count(by)
    const [newContent, newMetadata] = anew
    try {
      await kv.put(name, value === '' ? '' : JSON.stringify(newContent), { metadata: newMetadata })
    } catch {
      // A key takes one write a second. It is still there as it was, under the old key.
      counting.failed++
      return counting.count(by)
    }
    counting.count(seal.first ?? plainName)
    counting.resealed++
  }

  /** Undefined for a value that KV does not give. One by one where it does not give them together. */
  async function valuesOf(some: readonly KvKey[]): Promise<ReadonlyMap<string, string | null | undefined>> {
    const names = some.filter(({ metadata }) => !isInside(metadata)).map(({ name }) => name)
    if (names.length === 0) return new Map()
    try {
      return await kv.get(names)
    } catch (error) {
      const given = new Map<string, string | null | undefined>()
      for (const name of names)
        given.set(
          name,
          await kv.get([name]).then(
            (one) => one.get(name) ?? null,
            () => undefined,
          ),
        )
      // The store gives nothing at all.
      if ([...given.values()].every((value) => value === undefined)) throw error
      return given
    }
  }
}

/** Keys whose values are read at once: as many as KV gives, and as memory holds. */
function* readTogether(
  keys: readonly KvKey[],
  { keysPerRead, bytesPerRead, bytesOfUnknown }: Pick<Limits, 'keysPerRead' | 'bytesPerRead' | 'bytesOfUnknown'>,
): Generator<readonly KvKey[]> {
  let [some, bytes]: [KvKey[], number] = [[], 0]
  for (const key of keys) {
    const head = unpackHead(key.metadata)
    const size = head?.bytes ?? (isInside(key.metadata) ? 0 : bytesOfUnknown)
    if (some.length > 0 && (some.length >= keysPerRead || bytes + size > bytesPerRead)) {
      yield some
      some = []
      bytes = 0
    }
    some.push(key)
    bytes += size
  }
  if (some.length > 0) yield some
}

/** Whether the metadata is the content itself. */
function isInside(metadata: unknown): boolean {
  return (metadata ?? null) !== null && unpackHead(metadata) === undefined
}
