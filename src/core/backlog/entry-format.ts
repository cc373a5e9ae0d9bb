/** How entries and dead letters are written down. The format carries a version; what can't be read is data, not a throw. */
import * as z from 'zod'
import { isStamp } from '../stamp.ts'
import { type DeadLetter, deadReasons, type Entry, type KeptDead, type KeptEntry, type Unreadable } from './port.ts'

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
  w: z.string().optional(),
  i: z.string().optional(),
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
    ...(entry.event === undefined ? {} : { e: entry.event }),
    f: entry.firstSeenMs,
    ...(entry.notBeforeMs === undefined ? {} : { n: entry.notBeforeMs }),
    ...(entry.blind === true ? { b: 1 as const } : {}),
  }
}

/** An entry from its JSON form; undefined where it is none that this version can read. */
export function unpackEntry(packed: unknown): Entry | undefined {
  const read = entryFormat.safeParse(packed)
  return read.success ? entryOf(read.data) : undefined
}

export function packDead(dead: DeadLetter): z.input<typeof deadFormat> {
  return {
    v: 1,
    r: dead.reason,
    o: dead.source,
    ...(dead.detail === undefined ? {} : { d: dead.detail }),
    t: dead.atMs,
    f: dead.firstSeenMs,
    n: dead.attempts,
    ...(dead.entry === undefined ? {} : { u: packEntry(dead.entry) }),
    ...(dead.raw === undefined ? {} : { w: dead.raw }),
    ...(dead.eventId === undefined ? {} : { i: dead.eventId }),
  }
}

export function unpackDead(packed: unknown): DeadLetter | undefined {
  const read = deadFormat.safeParse(packed)
  if (!read.success) return undefined
  const { r, o, d, t, f, n, u, w, i } = read.data
  return {
    reason: r,
    source: o,
    ...(d === undefined ? {} : { detail: d }),
    atMs: t,
    firstSeenMs: f,
    attempts: n,
    ...(u === undefined ? {} : { entry: entryOf(u) }),
    ...(w === undefined ? {} : { raw: w }),
    ...(i === undefined ? {} : { eventId: i }),
  }
}

/** What stands under a key of the backlog, once it is opened. */
export function readEntry(key: string, packed: unknown): KeptEntry | Unreadable {
  const entry = unpackEntry(packed)
  return entry === undefined ? { key, unreadable } : { key, entry }
}

export function readDead(key: string, packed: unknown): KeptDead | Unreadable {
  const dead = unpackDead(packed)
  return dead === undefined ? { key, unreadable } : { key, dead }
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

export const entryPrefix = 'b1/'
export const deadPrefix = 'd1/'
/** Another version's format, another ring's key, or changed. */
const unreadable = 'not a format or a key that this version has'
/** Enough that no two keys of one stamp meet. */
export const keyRandomBytes = 8

function entryOf({ i, h, a, s, o, e, f, n, b }: z.output<typeof entryFormat>): Entry {
  return {
    visitor: i,
    visitorHash: h,
    attributes: a.map(([name, value]) => ({ name, value })),
    stamp: s,
    source: o,
    ...(e === undefined ? {} : { event: e }),
    firstSeenMs: f,
    ...(n === undefined ? {} : { notBeforeMs: n }),
    ...(b === undefined ? {} : { blind: true as const }),
  }
}
