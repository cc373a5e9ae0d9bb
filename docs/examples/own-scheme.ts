import type { AuthScheme } from 'target-relay'

/** HMAC-SHA-384 over the body, in hex: an algorithm that `signature()` does not have. */
export const hmacSha384: AuthScheme = {
  name: 'hmac-sha-384',
  async verify({ headers, body, secrets }) {
    const written = headers.get('x-signature')
    if (written === null) return 'header_missing'
    if (!/^[0-9a-f]{96}$/.test(written)) return 'malformed'
    const signature = Uint8Array.from(written.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
    for (const secret of secrets) {
      const raw = new TextEncoder().encode(secret)
      const key = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-384' }, false, ['verify'])
      if (await crypto.subtle.verify('HMAC', key, signature, body)) return true
    }
    return 'mismatch'
  },
}
