/**
 * Pages of KV: what its list gives in metadata, and the values of the rest, in bulk reads that KV does not refuse and a
 * Worker's memory holds.
 *
 * Guarantee: one value that KV does not give is shown as unreadable, alone, and its neighbours are read. A store that
 * gives nothing throws after two reads. A page asks for a list, a read for each hundred keys or 16 MB, and for each
 * value that can't be read about twenty reads more, of which it shows `limits.unreadablePerPage` at most.
 * Known hole: the size of a value that was written by an older version is known only once it is read: a few of them
 * may hold up to 25 MB, where KV refuses.
 */
import { given } from '../given.ts'
import type { Limits } from '../limits.ts'
import type { Kv, KvKey } from '../store/kv.ts'
import { notGiven, parseJson } from './entry-format.ts'
import { type Head, unpackHead } from './head-format.ts'
import type { DeadHead, Page, Unreadable } from './port.ts'
import type { Seal } from './seal.ts'

export interface KvPageAsked {
  readonly cursor: string | undefined
  readonly limit: number | undefined
  /** Decides by a head: what it refuses is neither read nor shown. */
  readonly wanted?: (head: DeadHead) => boolean
  readonly itemsAtMost?: number | undefined
}

/**
 * @param read makes an item of the content of a key, once it is decrypted
 * @param byHead makes an item of a dead letter's head; where it is given, only what has no head is read
 */
export type ReadKvPage = <T>(
  prefix: string,
  asked: KvPageAsked,
  read: (key: string, packed: unknown, head?: DeadHead) => T,
  byHead?: (key: string, head: DeadHead, detail: unknown) => Promise<T>,
) => Promise<Page<T | Unreadable>>

interface Listed {
  readonly name: string
  /** What the metadata holds in place of the value. */
  readonly inline: unknown
  readonly head: Head | undefined
  readonly needsNoValue: boolean
}

/** A key that does not exist, a new one each time: no cache knows it, so that an answer comes from the store. */
const probePrefix = 'p1/'
const probeBytes = 8
/** The platform's budget for one invocation is used up: no key is at fault, and no other read would succeed. */
const budgetSpent = /too many .*by single worker invocation/i

export function kvPages(
  kv: Pick<Kv, 'list' | 'get'>,
  {
    randomHex,
    seal,
    limits,
  }: { readonly randomHex: (bytes: number) => string; readonly seal: Seal; readonly limits: Limits },
): ReadKvPage {
  const utf8 = new TextEncoder()
  /** What values of unknown size turned out to be; the first are read a few at a time. */
  let unknownBytes = limits.bytesOfUnknown

  return async (prefix, { cursor, limit = limits.keysPerPage, wanted = () => true, itemsAtMost }, read, byHead) => {
    const from = readCursor(cursor)
    const listed = await kv.list({
      prefix,
      limit: Math.min(limit, limits.keysPerPage),
      ...given({ cursor: from.list }),
    })
    const keys = listed.keys
      .filter(({ name }) => name > from.shown)
      .map((key) => listedOf(key, byHead !== undefined))
      .filter(({ head }) => head?.dead === undefined || wanted(head.dead))
    const items: (ReturnType<typeof read> | Unreadable)[] = []
    let [shown, heldBytes, notRead] = [0, 0, 0]
    /** Half as many after a read that failed, twice as many after one that did not. */
    let keysAtOnce = limits.keysPerRead

    while (shown < keys.length) {
      const { end, asked } = nextRead(
        itemsAtMost === undefined ? keys : keys.slice(0, shown + itemsAtMost - items.length),
        shown,
        keysAtOnce,
        heldBytes,
      )
      // The page ends before KV's does: the next call lists the same one again, and begins after what was shown.
      if (end === shown || notRead >= limits.unreadablePerPage)
        return { items, cursor: writeCursor({ list: from.list, shown: keys[shown - 1]?.name ?? from.shown }) }
      const values = await readValues(asked)
      if (values === undefined && asked.length > 1) {
        keysAtOnce = Math.ceil(asked.length / 2)
        continue
      }
      if (values === undefined) notRead++
      else keysAtOnce = Math.min(limits.keysPerRead, 2 * keysAtOnce)
      let largestUnknown = 0
      for (const { name, inline, head, needsNoValue } of keys.slice(shown, end)) {
        const value = values?.get(name)
        if (typeof value === 'string') {
          const bytes = head?.bytes ?? utf8.encode(value).byteLength
          heldBytes += bytes
          if (head === undefined) largestUnknown = Math.max(largestUnknown, bytes)
        }
        if (inline !== undefined) items.push(read(name, await seal.open(inline, name)))
        else if (needsNoValue && head?.dead !== undefined && byHead !== undefined)
          items.push(await byHead(name, head.dead, head.detail))
        else if (value === undefined) items.push({ key: name, unreadable: notGiven, ...given({ head: head?.dead }) })
        // A listed key without a value is one that was deleted: the list is behind.
        else if (value !== null) items.push(read(name, await seal.open(parseJson(value), name), head?.dead))
      }
      if (largestUnknown > 0) unknownBytes = largestUnknown
      shown = end
    }
    return listed.list_complete ? { items } : { items, cursor: writeCursor({ list: listed.cursor, shown: '' }) }
  }

  /** The keys of the next read, and where it ends: at `start` if the page is full. Inline content needs no read. */
  function nextRead(keys: readonly Listed[], start: number, keysAtOnce: number, heldBytes: number) {
    const asked: string[] = []
    let bytes = 0
    let end = start
    for (; end < keys.length; end++) {
      const { name, head, needsNoValue } = keys[end] ?? { name: '', head: undefined, needsNoValue: true }
      if (needsNoValue) continue
      const size = head?.bytes ?? unknownBytes
      const held = heldBytes + bytes
      if (asked.length >= keysAtOnce) break
      // One that is larger than a bound goes alone.
      if ((bytes > 0 && bytes + size > limits.bytesPerRead) || (held > 0 && held + size > limits.bytesPerPage)) break
      asked.push(name)
      bytes += size
    }
    return { asked, end }
  }

  /** Undefined where KV does not give them together; throws where it gives nothing at all. */
  async function readValues(asked: string[]): Promise<ReadonlyMap<string, string | null> | undefined> {
    if (asked.length === 0) return new Map()
    try {
      const answered = await kv.get(asked)
      return new Map(asked.map((key) => [key, answered.get(key) ?? null]))
    } catch (error) {
      if (error instanceof Error && budgetSpent.test(error.message)) throw error
      await kv.get([probePrefix + randomHex(probeBytes)])
      return undefined
    }
  }
}

function listedOf({ name, metadata }: KvKey, headIsEnough: boolean): Listed {
  const head = unpackHead(metadata)
  const inline = head === undefined && metadata !== null ? metadata : undefined
  return { name, head, inline, needsNoValue: inline !== undefined || (headIsEnough && head?.dead !== undefined) }
}

interface Place {
  /** KV's own cursor, of the list page that the page is a part of; undefined for the first. */
  readonly list: string | undefined
  /** The last key of it that was shown. */
  readonly shown: string
}

/** No key holds this. */
const between = '|'

function writeCursor({ list = '', shown }: Place): string {
  return `${shown}${between}${list}`
}

function readCursor(cursor = between): Place {
  const at = cursor.indexOf(between)
  const list = cursor.slice(at + 1)
  return { shown: cursor.slice(0, Math.max(0, at)), list: list === '' ? undefined : list }
}
