/**
 * The wire codec: one visitor's attributes become calls to Target (G5, G6).
 *
 * Names, values and the id are percent-encoded UTF-8, everything but RFC 3986's unreserved characters, so that nothing
 * in them can add a parameter, a header or a path segment, and so that a form decoder and a query decoder read the
 * same.
 */
import type { Attribute, Visitor } from '../update/update.ts'

/** Adobe: "8 KB for GET". Its unit and what it counts are not stated, so: the whole URL, 8 * 1,000 bytes. */
export const maxGetUrlBytes = 8_000
/** Adobe: "60 KB for POST". The body, 60 * 1,000 bytes. */
export const maxPostBodyBytes = 60_000
/**
 * Runtimes send a GET once more when a kept-alive connection closes on them: it may arrive twice, so it counts twice.
 */
const unitsPerGet = 2
const unitsPerPost = 1

/** `auto`: one GET while the update fits it, else POST. */
export type WireMethod = 'post' | 'get' | 'auto'

/** How this deployment speaks to Target. */
export interface Wire {
  readonly method: WireMethod
  /** Scheme and host, without a trailing slash. */
  readonly origin: string
  readonly clientCode: string
}

/** One HTTP request, complete: the id, and the attributes it carries. */
export interface Call {
  readonly method: 'GET' | 'POST'
  readonly url: string
  /** A form body; absent for GET. */
  readonly body?: string
  /** Bytes that the limit counts: of the URL for GET, of the body for POST. */
  readonly bytes: number
  readonly names: readonly string[]
  /** What it costs of the quota. */
  readonly units: number
}

/** Calls that were encoded already, and the settings that they were encoded for. */
export interface Encoding {
  readonly wire: Wire
  readonly calls: readonly Call[]
}

export type Encoded =
  | { readonly ok: true; readonly calls: readonly Call[] }
  /** Names of attributes that fit no call even alone. */
  | { readonly ok: false; readonly tooLarge: readonly string[] }

interface Piece {
  readonly name: string
  readonly text: string
}

/**
 * Encodes an update, splitting it greedily in the order of its attributes; the same input gives the same calls.
 * Takes what `update/validate.ts` let through: well-formed text.
 */
export function encodeCalls(visitor: Visitor, attributes: readonly Attribute[], wire: Wire): Encoded {
  const id = idText(visitor)
  const pieces = attributes.map((attribute) => ({ name: attribute.name, text: attributeText(attribute) }))
  const url = `${wire.origin}/m2/${percentEncode(wire.clientCode)}/profile/update`

  // What was encoded is ASCII: its length is its size in bytes.
  if (wire.method !== 'post') {
    const room = maxGetUrlBytes - `${url}?${id}`.length
    const parts = split(pieces, room)
    if (wire.method === 'get' || (parts.ok && parts.parts.length === 1)) {
      if (!parts.ok) return parts
      return { ok: true, calls: parts.parts.map((part) => getCall(`${url}?${id}${join(part)}`, part)) }
    }
  }
  const parts = split(pieces, maxPostBodyBytes - id.length)
  return parts.ok ? { ok: true, calls: parts.parts.map((part) => postCall(url, id + join(part), part)) } : parts
}

/**
 * The most units that any subset of the attributes behind `calls` can cost. Greedy splitting never takes more parts for
 * fewer attributes; with `auto` a subset may fit one GET where the whole went by POST.
 */
export function maxUnits(calls: readonly Call[], method: WireMethod): number {
  const units = calls.reduce((sum, call) => sum + call.units, 0)
  return method === 'auto' ? Math.max(units, unitsPerGet) : units
}

/** How much of a body the visitor takes, in bytes. */
export function idBytes(visitor: Visitor): number {
  return idText(visitor).length
}

/** How much of a body one attribute takes, in bytes. */
export function attributeBytes(attribute: Attribute): number {
  return attributeText(attribute).length
}

function idText(visitor: Visitor): string {
  return 'pcId' in visitor
    ? `mboxPC=${percentEncode(visitor.pcId)}`
    : `mbox3rdPartyId=${percentEncode(visitor.thirdPartyId)}`
}

function attributeText({ name, value }: Attribute): string {
  return `&profile.${percentEncode(name)}=${percentEncode(value)}`
}

/** Percent-encodes UTF-8, all but `A-Z a-z 0-9 - . _ ~` (RFC 3986 §2.3). */
function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

function split(
  pieces: readonly Piece[],
  room: number,
): { ok: true; parts: Piece[][] } | { ok: false; tooLarge: string[] } {
  const tooLarge = pieces.filter(({ text }) => text.length > room)
  if (tooLarge.length > 0) return { ok: false, tooLarge: tooLarge.map(({ name }) => name) }
  const parts: Piece[][] = []
  let part: Piece[] = []
  let used = 0
  for (const piece of pieces) {
    if (part.length > 0 && used + piece.text.length > room) {
      parts.push(part)
      part = []
      used = 0
    }
    part.push(piece)
    used += piece.text.length
  }
  if (part.length > 0) parts.push(part)
  return { ok: true, parts }
}

function join(part: readonly Piece[]): string {
  return part.map(({ text }) => text).join('')
}

function getCall(url: string, part: readonly Piece[]): Call {
  return { method: 'GET', url, bytes: url.length, names: part.map(({ name }) => name), units: unitsPerGet }
}

function postCall(url: string, body: string, part: readonly Piece[]): Call {
  return { method: 'POST', url, body, bytes: body.length, names: part.map(({ name }) => name), units: unitsPerPost }
}
