/** Request bodies: counted as they stream in, and read as what they must be. */
import type { Clock } from '../core/clock.ts'

/** Unless a source says otherwise. */
export const defaultMaxBodyBytes = 1_048_576
/** Deeper JSON than this is an attack on a parser further on. */
const maxJsonDepth = 32

export type BodyRead =
  | { readonly ok: true; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly ok: false; readonly problem: 'too-large' | 'too-slow' | 'malformed' }

/** A sender that takes longer with its body holds a connection for nothing. */
const maxBodyMs = 10_000

/** Reads a body up to a limit, counted on what really arrives: a missing or wrong Content-Length changes nothing. */
export async function readBody(request: Request, maxBytes: number, clock: Pick<Clock, 'after'>): Promise<BodyRead> {
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) {
    await request.body?.cancel()
    return { ok: false, problem: 'too-large' }
  }
  if (request.body === null) return { ok: true, bytes: new Uint8Array() }
  const reader = request.body.getReader()
  const chunks: Uint8Array[] = []
  let size = 0
  const timer = clock.after(maxBodyMs)
  const tooSlow = timer.elapsed.then(() => 'too-slow' as const)
  try {
    for (;;) {
      const part = await Promise.race([reader.read(), tooSlow])
      if (part === 'too-slow') {
        await reader.cancel()
        return { ok: false, problem: 'too-slow' }
      }
      const { done, value } = part
      if (done) break
      size += value.byteLength
      if (size > maxBytes) {
        await reader.cancel()
        return { ok: false, problem: 'too-large' }
      }
      chunks.push(value)
    }
  } catch {
    // The sender hung up in the middle of its own body.
    return { ok: false, problem: 'malformed' }
  } finally {
    timer.cancel()
  }
  const bytes = new Uint8Array(size)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.byteLength
  }
  return { ok: true, bytes }
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
      if (open.push(char === '{' ? new Set() : undefined) > maxJsonDepth) return true
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
