/**
 * Heads: what stands beside a value and is known without reading it. In KV they are the metadata of a key, on SQLite a
 * row beside it.
 */

import * as z from 'zod'
import { given } from '../given.ts'
import { type DeadHead, type DeadLetter, deadReasons, type HeadedDead, type KeptDead, type Unreadable } from './port.ts'

/**
 * The metadata of a key whose content is in its value: its size, and for a dead letter what can be known without
 * reading it. Not encrypted, even where the content is sealed: it names nobody.
 */
const headFormat = z.object({
  v: z.literal(3),
  /** Bytes of the value. */
  b: z.int().min(0),
})
const deadHeadFormat = headFormat.extend({
  r: z.enum(deadReasons),
  o: z.string(),
  t: z.number(),
  f: z.number(),
  n: z.number(),
  h: z.string().optional(),
  /** The beginning of its detail, sealed as the letter is: Target's words are nobody else's. */
  d: z.unknown().optional(),
})

/** Of a detail as JSON in a head; the rest of the 1,024 bytes that KV allows is for everything else. */
const maxDetailBytes = 330

export function headOf(dead: DeadLetter): DeadHead {
  const { reason, source, atMs, firstSeenMs, attempts, entry } = dead
  return {
    reason,
    source,
    atMs,
    firstSeenMs,
    attempts,
    ...given({ visitorHash: entry?.visitorHash }),
  }
}

/** A letter that was read, as a list of heads shows it. */
export function headedOf(item: KeptDead | Unreadable, details: boolean): HeadedDead | Unreadable {
  if (!('dead' in item)) return item
  return {
    key: item.key,
    head: headOf(item.dead),
    ...given({ detail: details ? packDetail(item.dead)?.d : undefined }),
  }
}

/**
 * @param bytes of the value that it is stored beside
 * @param detail as `packDetail` made it, sealed
 */
export function packHead(
  bytes: number,
  head?: DeadHead,
  detail?: object,
): z.input<typeof headFormat> | z.input<typeof deadHeadFormat> {
  if (head === undefined) return { v: 3, b: bytes }
  const { reason, source, atMs, firstSeenMs, attempts, visitorHash } = head
  return {
    v: 3,
    b: bytes,
    r: reason,
    o: source,
    t: atMs,
    f: firstSeenMs,
    n: attempts,
    ...given({ h: visitorHash, d: detail }),
  }
}

/** The beginning of a letter's detail; undefined where it has none. Sealed it takes less than 650 bytes of a head. */
export function packDetail({ detail }: DeadLetter): { d: string } | undefined {
  if (detail === undefined) return undefined
  const utf8 = new TextEncoder()
  let text = detail.slice(0, maxDetailBytes)
  while (utf8.encode(JSON.stringify(text)).length > maxDetailBytes) text = text.slice(0, Math.floor(text.length * 0.8))
  return { d: text }
}

/** The detail in a head, once it is decrypted; undefined where it has none or cannot be read. */
export function unpackDetail(packed: unknown): string | undefined {
  return typeof packed === 'object' && packed !== null && 'd' in packed && typeof packed.d === 'string'
    ? packed.d
    : undefined
}

export interface Head {
  readonly bytes: number
  readonly dead?: DeadHead
  /** Sealed; for `unpackDetail`. */
  readonly detail?: unknown
}

/**
 * Undefined where it is not a head. `dead` is absent where it is not one of a dead letter, or has an unknown reason.
 */
export function unpackHead(packed: unknown): Head | undefined {
  const read = headFormat.safeParse(packed)
  if (!read.success) return undefined
  const dead = deadHeadFormat.safeParse(packed)
  if (!dead.success) return { bytes: read.data.b }
  const { r, o, t, f, n, h, d } = dead.data
  return {
    bytes: read.data.b,
    ...given({ detail: d }),
    dead: {
      reason: r,
      source: o,
      atMs: t,
      firstSeenMs: f,
      attempts: n,
      ...given({ visitorHash: h }),
    },
  }
}
