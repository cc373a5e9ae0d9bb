/** How entries and dead letters are stored. The format has a version; what cannot be read is returned, not thrown. */

import * as z from 'zod'
import { given } from '../given.ts'
import { type WaitReason, waitReasons } from '../update/reasons.ts'
import { isStamp, stampArrivalMs } from '../update/stamp.ts'
import { attributeBytes, idBytes } from '../wire/calls.ts'
import {
  type DeadHead,
  type DeadLetter,
  deadReasons,
  type Entry,
  type EntryHead,
  type KeptDead,
  type KeptEntry,
  type Unreadable,
} from './port.ts'
import { fromBase64, toBase64 } from './seal.ts'
import { encodedBytesAByte } from './tally.ts'

const visitor = z.union([z.strictObject({ pcId: z.string() }), z.strictObject({ thirdPartyId: z.string() })])

/** Short names: an entry should fit the 1,024 bytes of a key's metadata. */
const entryFormat = z.object({
  v: z.literal(1),
  /** Visitor, its hash, attributes, stamp. */
  i: visitor,
  h: z.string().regex(/^[0-9a-f]+$/),
  a: z.array(z.tuple([z.string(), z.string()])).min(1),
  s: z.string().refine(isStamp),
  /** Source, event, first seen, not before, blind. */
  o: z.string(),
  e: z.string().optional(),
  f: z.number(),
  n: z.number().optional(),
  b: z.literal(1).optional(),
  /** Why it was deferred; one that a later version has is unknown to this one. */
  q: z.enum(waitReasons).optional().catch(undefined),
})

/** Beside an entry in a key's metadata, in clear: source, reason, bytes of a POST, attributes. */
const entryHeadFormat = z.object({
  g: z.tuple([z.string(), z.string(), z.int().min(0), z.int().min(0)]),
})

const deadFormat = z.object({
  v: z.literal(1),
  r: z.enum(deadReasons),
  o: z.string(),
  d: z.string().optional(),
  t: z.number(),
  f: z.number(),
  n: z.number(),
  u: entryFormat.optional(),
  /** A raw body as text; or as base64 of its UTF-8, where JSON would take more for it. */
  w: z.string().optional(),
  y: z.string().optional(),
  i: z.string().optional(),
  /** Headers; and whether the raw body is one event of several. */
  g: z.record(z.string(), z.string()).optional(),
  p: z.literal(1).optional(),
})

/** The JSON form of an entry, as an object. */
export function packEntry(entry: Entry): z.input<typeof entryFormat> {
  return {
    v: 1,
    i: { ...entry.visitor },
    h: entry.visitorHash,
    a: entry.attributes.map(({ name, value }) => [name, value]),
    s: entry.stamp,
    o: entry.source,
    ...given({ e: entry.event }),
    f: entry.firstSeenMs,
    ...given({ n: entry.notBeforeMs, b: entry.blind === true ? 1 : undefined, q: entry.reason }),
  }
}

/** An entry from its JSON form; undefined where this version cannot read it. */
export function unpackEntry(packed: unknown): Entry | undefined {
  const read = entryFormat.safeParse(packed)
  return read.success ? entryFrom(read.data) : undefined
}

export function packDead(dead: DeadLetter): z.input<typeof deadFormat> {
  return {
    v: 1,
    r: dead.reason,
    o: dead.source,
    ...given({ d: dead.detail }),
    t: dead.atMs,
    f: dead.firstSeenMs,
    n: dead.attempts,
    ...given({ u: dead.entry === undefined ? undefined : packEntry(dead.entry) }),
    ...packRaw(dead.raw),
    ...given({ i: dead.eventId, g: dead.headers, p: dead.part === undefined ? undefined : (1 as const) }),
  }
}

export function unpackDead(packed: unknown): DeadLetter | undefined {
  const read = deadFormat.safeParse(packed)
  if (!read.success) return undefined
  const { r, o, d, t, f, n, u, w, y, i, g, p } = read.data
  const raw = y === undefined ? w : decodeRaw(y)
  if (y !== undefined && raw === undefined) return undefined
  return {
    reason: r,
    source: o,
    ...given({ detail: d }),
    atMs: t,
    firstSeenMs: f,
    attempts: n,
    ...given({
      entry: u === undefined ? undefined : entryFrom(u),
      raw,
      eventId: i,
      headers: g,
      part: p === undefined ? undefined : (true as const),
    }),
  }
}

/** The content of a key of the backlog, once it is decrypted. */
export function readEntry(key: string, packed: unknown): KeptEntry | Unreadable {
  const entry = unpackEntry(packed)
  return entry === undefined ? { key, unreadable: unknownFormat } : { key, entry }
}

export function readDead(key: string, packed: unknown, head?: DeadHead): KeptDead | Unreadable {
  const dead = unpackDead(packed)
  return dead === undefined ? { key, unreadable: unknownFormat, ...given({ head }) } : { key, dead }
}

/** What is stored unencrypted beside an entry, sealed or not. An older version ignores it. */
export function packEntryHead(entry: Entry): z.input<typeof entryHeadFormat> {
  return { g: [entry.source, entry.reason ?? '', postSize(entry), entry.attributes.length] }
}

/** How large a POST is that carries all of an entry. */
export function postSize({ visitor, attributes }: Entry): number {
  return attributes.reduce((sum, attribute) => sum + attributeBytes(attribute), idBytes(visitor))
}

/**
 * Of a key of the backlog.
 *
 * @param storedBytes what is stored of an entry at most, where nothing stands beside it
 */
export function entryHeadOf(key: string, beside: unknown, storedBytes: () => number): EntryHead {
  const [, visitorHash = '', stamp = ''] = key.split('/')
  const read = entryHeadFormat.safeParse(beside)
  const [source, reason, bytes, attributes] = read.success ? read.data.g : []
  return {
    key,
    visitorHash,
    firstSeenMs: stampArrivalMs(stamp) || 0,
    ...given({ source, reason: waitReasonOf(reason) }),
    bytes: bytes ?? encodedBytesAByte * storedBytes(),
    attributes: attributes ?? 1,
  }
}

export function headOfEntry(key: string, entry: Entry): EntryHead {
  return entryHeadOf(key, packEntryHead(entry), () => 0)
}

export function waitReasonOf(name: unknown): WaitReason | undefined {
  return waitReasons.find((reason) => reason === name)
}

/** JSON text to data; undefined where it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** `b1/<visitor hash>/<stamp>-<random>`: neighbours of one visitor, oldest first, and never the same key twice. */
export function entryKey(entry: Entry, randomHex: string): string {
  return `${entryPrefix}${entry.visitorHash}/${entry.stamp}-${randomHex}`
}

/** `d1/<time>-<random>`, the time in 13 digits. */
export function deadKey(atMs: number, randomHex: string): string {
  return `${deadPrefix}${String(atMs).padStart(13, '0')}-${randomHex}`
}

/** `d2/<time counted down>-<random>`: KV lists only ascending, and the newest letter comes first. */
export function newestFirstKey(atMs: number, randomHex: string): string {
  return `${newestFirstPrefix}${String(maxTimeMs - atMs).padStart(13, '0')}-${randomHex}`
}

/** Whether it is the key of a dead letter. */
export function isDeadKey(key: string): boolean {
  return key.startsWith(deadPrefix) || key.startsWith(newestFirstPrefix)
}

/** When a letter was set aside, epoch ms, and its random part, from its key; undefined where it is no key of a letter. */
export function readDeadKey(key: string): { readonly atMs: number; readonly name: string } | undefined {
  const [, version, digits, name = ''] = /^d([12])\/(\d{13})-([0-9a-f]{16})$/.exec(key) ?? []
  if (version === undefined) return undefined
  return { atMs: version === '1' ? Number(digits) : maxTimeMs - Number(digits), name }
}

export const entryPrefix = 'b1/'
export const deadPrefix = 'd1/'
export const newestFirstPrefix = 'd2/'
/** 13 digits. */
const maxTimeMs = 9_999_999_999_999
/** Another version's format, another ring's key, another account's, or changed. */
export const unknownFormat = 'not a format, a key or an account that this relay has'
/** The store gives the keys around it, but not this one. */
export const notGiven = 'the store does not give it'
/** Enough that no two keys of one stamp collide. */
export const keyRandomBytes = 8

/**
 * JSON writes a control character in six bytes; base64 writes anything in 4/3. So no body of 3 MiB takes more than 11.2
 * MB (a part of it bytes that are no UTF-8, three for one once they are read), and 15 MB sealed: within KV's 25 MiB.
 */
function packRaw(raw: string | undefined): { w?: string; y?: string } {
  if (raw === undefined) return {}
  const utf8 = new TextEncoder()
  const bytes = utf8.encode(raw)
  return utf8.encode(JSON.stringify(raw)).length <= Math.ceil(bytes.length / 3) * 4 + 2
    ? { w: raw }
    : { y: toBase64(bytes) }
}

/** Undefined where it is not base64. */
function decodeRaw(base64: string): string | undefined {
  try {
    return new TextDecoder().decode(fromBase64(base64))
  } catch {
    return undefined
  }
}

function entryFrom({ i, h, a, s, o, e, f, n, b, q }: z.output<typeof entryFormat>): Entry {
  return {
    visitor: i,
    visitorHash: h,
    attributes: a.map(([name, value]) => ({ name, value })),
    stamp: s,
    source: o,
    ...given({ event: e }),
    firstSeenMs: f,
    ...given({ notBeforeMs: n, blind: b === undefined ? undefined : true, reason: q }),
  }
}
