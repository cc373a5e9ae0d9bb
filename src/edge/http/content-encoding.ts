/**
 * Compressed bodies, decompressed within a bound: a few bytes must not expand until the memory is full.
 */
import type { BodyRoom } from './body.ts'

export type Unfolded =
  | { readonly ok: true; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly ok: false; readonly why: 'unknown_encoding' | 'corrupt' | 'too_large' | 'no_room' }

/** As HTTP names them. */
const formats: ReadonlyMap<string, 'gzip' | 'deflate'> = new Map([
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['deflate', 'deflate'],
])

/** No compression: what HTTP has for it, and what senders write there by mistake. */
const uncompressed: ReadonlySet<string> = new Set(['', 'identity', 'none', 'utf-8', 'utf8', '8bit', 'binary'])

/** Whether a body is compressed at all. */
export function isEncoded(contentEncoding: string | null): boolean {
  return codingsOf(contentEncoding).length > 0
}

/**
 * @param maxBytes of the decompressed body
 * @param room shared with the bodies of other senders that are not authenticated yet
 */
export async function unfold(
  bytes: Uint8Array<ArrayBuffer>,
  contentEncoding: string | null,
  maxBytes: number,
  room: BodyRoom = { maxBytes, heldBytes: 0 },
): Promise<Unfolded> {
  const [coding = '', ...others] = codingsOf(contentEncoding)
  const format = formats.get(coding)
  if (format === undefined || others.length > 0) return { ok: false, why: 'unknown_encoding' }
  const stream = new DecompressionStream(format === 'deflate' && !isZlib(bytes) ? 'deflate-raw' : format)
  const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader()
  const pieces: Uint8Array[] = []
  let size = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return { ok: true, bytes: joined(pieces, size) }
      size += value.byteLength
      room.heldBytes += value.byteLength
      if (size > maxBytes || room.heldBytes > room.maxBytes) {
        await reader.cancel()
        return { ok: false, why: size > maxBytes ? 'too_large' : 'no_room' }
      }
      pieces.push(value)
    }
  } catch {
    return { ok: false, why: 'corrupt' }
  } finally {
    room.heldBytes -= size
  }
}

/** HTTP's `deflate` is a zlib stream (RFC 1950), and some senders leave out its header and checksum. */
function isZlib([first = 0, second = 0]: Uint8Array): boolean {
  return (first & 0x0f) === 8 && (first * 256 + second) % 31 === 0
}

/** Why a body could not be decompressed, in words that follow "The body". */
export function unfoldProblem(why: Exclude<Unfolded, { ok: true }>['why'], maxBytes: number): string {
  switch (why) {
    case 'unknown_encoding':
      return 'has a content-encoding other than gzip or deflate'
    case 'corrupt':
      return 'is not what its content-encoding says'
    case 'no_room':
      return 'cannot be decompressed right now'
    case 'too_large':
      return `is larger than ${maxBytes} bytes once it is decompressed`
  }
}

function codingsOf(contentEncoding: string | null): readonly string[] {
  const codings = (contentEncoding ?? '').toLowerCase().split(',')
  return codings.map((coding) => coding.trim()).filter((coding) => !uncompressed.has(coding))
}

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.byteLength
  }
  return whole
}
