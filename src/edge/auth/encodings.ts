/** Strict decoders: each sequence of bytes has exactly one encoding, except that hex digits may be of either case. */

/** Canonical base64 (RFC 4648 §4), padded; undefined for anything else. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined
  try {
    const binary = atob(text)
    // The unused bits of the last character must be zero.
    return btoa(binary) === text ? Uint8Array.from(binary, (char) => char.charCodeAt(0)) : undefined
  } catch {
    return undefined
  }
}

/** Canonical base64url (RFC 4648 §5), without padding; undefined for anything else. */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return undefined
  const padding = '='.repeat((4 - (text.length % 4)) % 4)
  return decodeBase64(text.replaceAll('-', '+').replaceAll('_', '/') + padding)
}

/** Hex in either case; undefined for anything else. */
export function decodeHex(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text)) return undefined
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

/** UTF-8, in a buffer that WebCrypto takes. */
export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(text))
}

export { encodeHex } from '../../core/hex.ts'

/** An ECDSA signature on P-256 from DER (`SEQUENCE { r, s }`, strictly) to the 64 bytes that WebCrypto takes. */
export function derToP1363(der: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  if (der[0] !== 0x30 || der[1] !== der.byteLength - 2) return undefined
  const raw = new Uint8Array(64)
  let at = 2
  for (const end of [32, 64]) {
    const size = der[at + 1] ?? 0
    const number = der.subarray(at + 2, at + 2 + size)
    if (der[at] !== 0x02 || size === 0 || number.byteLength !== size) return undefined
    const [first = 0, second = 0] = number
    // Neither negative nor padded with zeros.
    if (first > 0x7f || (first === 0 && size > 1 && second <= 0x7f)) return undefined
    const magnitude = first === 0 ? number.subarray(1) : number
    if (magnitude.byteLength > 32) return undefined
    raw.set(magnitude, end - magnitude.byteLength)
    at += 2 + size
  }
  return at === der.byteLength ? raw : undefined
}
