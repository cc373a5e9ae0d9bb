/**
 * Standard Webhooks signatures, v1: HMAC-SHA-256 over `id.timestamp.body`, the raw bytes. It proves the sender and the
 * body, and a copy is refused after five minutes; within them the event id makes it a duplicate.
 */
import type { AuthScheme } from './auth.ts'

/** How far a signature's timestamp may be from now, either way. */
const toleranceSeconds = 300
const secretPrefix = 'whsec_'

export function standardWebhooks(): AuthScheme {
  return {
    name: 'standard-webhooks',
    eventId: (headers) => headers.get('webhook-id') ?? undefined,
    async verify({ headers, body, secrets, nowMs }) {
      const id = headers.get('webhook-id')
      const timestamp = headers.get('webhook-timestamp')
      const signatures = headers.get('webhook-signature')
      if (id === null || id === '' || timestamp === null || signatures === null) return false
      // Strictly an integer: a lax parser would read "1e9" or "12abc".
      if (!/^\d{1,12}$/.test(timestamp) || Math.abs(nowMs / 1_000 - Number(timestamp)) > toleranceSeconds) return false
      const head = new TextEncoder().encode(`${id}.${timestamp}.`)
      const signed = new Uint8Array(head.byteLength + body.byteLength)
      signed.set(head)
      signed.set(body, head.byteLength)
      const given = signatures
        .split(' ')
        .flatMap((signature) => (signature.startsWith('v1,') ? (fromBase64(signature.slice(3)) ?? []) : []))
      for (const secret of secrets) {
        const bytes = fromBase64(secret.startsWith(secretPrefix) ? secret.slice(secretPrefix.length) : secret)
        if (bytes === undefined) continue
        const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])
        // WebCrypto compares in constant time.
        for (const signature of given) if (await crypto.subtle.verify('HMAC', key, signature, signed)) return true
      }
      return false
    },
  }
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    const binary = atob(text)
    return binary === '' ? undefined : Uint8Array.from(binary, (char) => char.charCodeAt(0))
  } catch {
    return undefined
  }
}
