/** The emulator's own reading of a request to the update endpoint: strict, and none of the relay's code. */

export interface Decoded {
  /** `pc:` or `3p:` and the id. */
  readonly visitor: string
  readonly pairs: ReadonlyMap<string, string>
}

/** Reads `a=b&c=d` as `application/x-www-form-urlencoded`; returns a string with the error if it is malformed. */
export function decodeUpdate(form: string): Decoded | string {
  const ids: string[] = []
  const pairs = new Map<string, string>()
  for (const part of form.split('&')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const name = decodeText(equals < 0 ? part : part.slice(0, equals))
    const value = decodeText(equals < 0 ? '' : part.slice(equals + 1))
    if (name === undefined || value === undefined) return 'not URL-encoded UTF-8'
    if (name === 'mboxPC') ids.push(`pc:${value}`)
    else if (name === 'mbox3rdPartyId') ids.push(`3p:${value}`)
    else if (!name.startsWith('profile.') || name.length === 'profile.'.length) return 'unknown parameter'
    else if (pairs.has(name.slice(8))) return 'a parameter is given twice'
    else pairs.set(name.slice(8), value)
  }
  const [visitor] = ids
  if (visitor === undefined || ids.length !== 1 || visitor.length === 3)
    return 'exactly one of mboxPC and mbox3rdPartyId'
  if (pairs.size === 0) return 'no profile parameters'
  return { visitor, pairs }
}

/** Percent escapes to bytes, bytes to text, both strictly. */
function decodeText(text: string): string | undefined {
  const bytes: number[] = []
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === 0x25) {
      const hex = text.slice(index + 1, index + 3)
      if (!/^[0-9A-Fa-f]{2}$/.test(hex)) return undefined
      bytes.push(Number.parseInt(hex, 16))
      index += 2
    } else if (code === 0x2b) bytes.push(0x20)
    else if (code > 0x20 && code < 0x7f) bytes.push(code)
    else return undefined
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes))
  } catch {
    return undefined
  }
}
