/** Request bodies: counted as they stream in, and read as what they must be. */
import type { Clock } from '../../core/clock.ts'
import { type ReadJson, readEventJson } from '../../core/json.ts'

/** Unless a source says otherwise. */
export const defaultMaxBodyBytes = 1_048_576

export type BodyRead =
  | { readonly ok: true; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly ok: false; readonly problem: 'too-large' | 'too-slow' | 'malformed' | 'unavailable' }

/**
 * How much memory the bodies that are being read may hold together; when it is full, further senders are told to come
 * back.
 */
export interface BodyRoom {
  readonly maxBytes: number
  heldBytes: number
}

/** A sender that takes longer with its body is cut off: it only holds a connection. */
const maxBodyMs = 10_000

/** The buffer's size at first, so that a small body costs little; doubled whenever it is full. */
const firstBufferBytes = 4_096

/**
 * Reads a body up to a limit, counted on the bytes that arrive: a missing or wrong Content-Length changes nothing.
 *
 * However small the chunks are, nothing of one is kept but its bytes: they are copied into one buffer, and one timer
 * for the whole body cancels the reader.
 *
 * @param room shared with the bodies of other senders that are not authenticated yet
 */
export async function readBody(
  request: Request,
  maxBytes: number,
  clock: Pick<Clock, 'after'>,
  room?: BodyRoom,
): Promise<BodyRead> {
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
    // Ends the read in flight.
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

/** Strict UTF-8; undefined for anything else. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  return decodeCharset(bytes, 'utf-8')
}

/** Decodes strictly in a charset by its name; undefined if the bytes are not in it or the runtime does not have it. */
export function decodeCharset(bytes: Uint8Array, charset: string): string | undefined {
  try {
    return new TextDecoder(charset, { fatal: true, ignoreBOM: false }).decode(bytes)
  } catch {
    return undefined
  }
}

/** JSON of bounded depth in UTF-8, in which no object gives a name twice; undefined for anything else. */
export function parseJsonBody(bytes: Uint8Array): unknown {
  const read = readJsonBody(bytes)
  return read.ok ? read.value : undefined
}

/** The same, with the reason why it is not. */
export function readJsonBody(bytes: Uint8Array, readText = readEventJson): ReadJson {
  const text = decodeUtf8(bytes)
  return text === undefined ? { ok: false, reason: 'is not UTF-8' } : readText(text)
}
