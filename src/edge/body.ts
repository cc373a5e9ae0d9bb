/** Request bodies: counted as they stream in, and read as what they must be. */
import type { Clock } from '../core/clock.ts'
import { defaultLimits } from '../core/limits.ts'

/** Unless a source says otherwise. */
export const defaultMaxBodyBytes = 1_048_576

export type BodyRead =
  | { readonly ok: true; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly ok: false; readonly problem: 'too-large' | 'too-slow' | 'malformed' | 'unavailable' }

/** What the bodies of all that is being read may hold in memory together; full, a further one is told to come back. */
export interface BodyRoom {
  readonly maxBytes: number
  heldBytes: number
}

/** A sender that takes longer with its body holds a connection for nothing. */
const maxBodyMs = 10_000

/** At first, so that a small body costs little; doubled whenever it is full. */
const firstBufferBytes = 4_096

/**
 * Reads a body up to a limit, counted on what really arrives: a missing or wrong Content-Length changes nothing.
 *
 * However small the chunks are, nothing of one is kept but its bytes: they are copied into one buffer, and one timer for
 * the whole body cancels the reader.
 *
 * @param room shared with the bodies of other senders that proved nothing yet
 */
export async function readBody(request: Request, maxBytes: number, clock: Pick<Clock, 'after'>, room?: BodyRoom): Promise<BodyRead> {
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) {
    await request.body?.cancel()
    return { ok: false, problem: 'too-large' }
  }
  if (request.body === null) return { ok: true, bytes: new Uint8Array() }
  const reader = request.body.getReader()
  const timer = clock.after(maxBodyMs)
  let isLate = false
  void timer.elapsed.then(() => {
    isLate = true
    // Ends the read that is under way.
    reader.cancel().catch(() => {})
  })
  let buffer = new Uint8Array()
  let size = 0
  const hold = (bytes: number) => {
    if (room !== undefined) room.heldBytes += bytes
  }
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (isLate) return { ok: false, problem: 'too-slow' }
      if (done) return { ok: true, bytes: buffer.slice(0, size) }
      if (size + value.byteLength > maxBytes) {
        await reader.cancel()
        return { ok: false, problem: 'too-large' }
      }
      if (size + value.byteLength > buffer.byteLength) {
        const wanted = Math.min(maxBytes, Math.max(firstBufferBytes, 2 * buffer.byteLength, size + value.byteLength))
        if (room !== undefined && room.heldBytes + wanted - buffer.byteLength > room.maxBytes) {
          await reader.cancel()
          return { ok: false, problem: 'unavailable' }
        }
        hold(wanted - buffer.byteLength)
        const larger = new Uint8Array(wanted)
        larger.set(buffer.subarray(0, size))
        buffer = larger
      }
      buffer.set(value, size)
      size += value.byteLength
    }
  } catch {
    // The sender hung up in the middle of its own body.
    return { ok: false, problem: isLate ? 'too-slow' : 'malformed' }
  } finally {
    timer.cancel()
    hold(-buffer.byteLength)
  }
}

export function isJson(contentType: string | null): boolean {
  return /^application\/([a-z0-9.+-]+\+)?json\s*(;|$)/i.test(contentType ?? '')
}

/** Strict UTF-8; undefined where it is not. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)
  } catch {
    return undefined
  }
}

/** JSON of bounded depth in UTF-8; undefined where it is not. (JSON `undefined` does not exist.) */
export function parseJsonBody(bytes: Uint8Array): unknown {
  try {
    const text = decodeUtf8(bytes)
    return text === undefined || isHostile(text) ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * What no honest sender writes, found before any parser recurses into it or picks one of two meanings: nesting that is
 * too deep, and a name that an object gives twice (RFC 8259 §4 leaves open which of them counts).
 */
function isHostile(text: string): boolean {
  const open: (Set<string> | undefined)[] = []
  let name: string | undefined
  for (let index = 0; index < text.length; index++) {
    const char = text[index]
    if (char === '"') {
      const start = index++
      while (index < text.length && text[index] !== '"') index += text[index] === '\\' ? 2 : 1
      name = text.slice(start, index + 1)
    } else if (char === '{' || char === '[') {
      if (open.push(char === '{' ? new Set() : undefined) > defaultLimits.jsonDepth) return true
    } else if (char === '}' || char === ']') open.pop()
    else if (char === ':') {
      const names = open.at(-1)
      // A colon stands behind the name of a field, once: all else is no JSON, and not worth reading on.
      if (names === undefined || name === undefined) return true
      // Escapes undone: "a" and "\u0061" are one name.
      const plain = JSON.parse(name) as string
      if (names.has(plain)) return true
      names.add(plain)
      name = undefined
    }
  }
  return false
}
