/** Request bodies: counted as they stream in, and read as what they must be. */

/** Unless a source says otherwise. */
export const defaultMaxBodyBytes = 1_048_576
/** Deeper JSON than this is an attack on a parser further on. */
const maxJsonDepth = 32

export type BodyRead =
  | { readonly ok: true; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly ok: false; readonly problem: 'too-large' | 'malformed' }

/** Reads a body up to a limit, counted on what really arrives: a missing or wrong Content-Length changes nothing. */
export async function readBody(request: Request, maxBytes: number): Promise<BodyRead> {
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) {
    await request.body?.cancel()
    return { ok: false, problem: 'too-large' }
  }
  if (request.body === null) return { ok: true, bytes: new Uint8Array() }
  const reader = request.body.getReader()
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
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

/** Strict UTF-8 and JSON of bounded depth; undefined where it is not. (JSON `undefined` does not exist.) */
export function parseJsonBody(bytes: Uint8Array): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)
    return tooDeep(text) ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Counts brackets outside strings, before any parser recurses into them. */
function tooDeep(text: string): boolean {
  let depth = 0
  let quoted = false
  for (let index = 0; index < text.length; index++) {
    const char = text[index]
    if (quoted) {
      if (char === '\\') index++
      else if (char === '"') quoted = false
    } else if (char === '"') quoted = true
    else if (char === '{' || char === '[') {
      if (++depth > maxJsonDepth) return true
    } else if (char === '}' || char === ']') depth--
  }
  return false
}
