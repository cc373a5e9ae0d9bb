/**
 * Sends an alert as a Standard Webhook: `webhook-id`, `webhook-timestamp` and `webhook-signature` over the raw body.
 *
 * Guarantee: what a receiver answers changes nothing here but whether it is told again; a redirect is not followed, and
 * the answer's body is not read.
 */
import type { Clock } from '../../core/clock.ts'
import { errorName } from '../../core/errors.ts'
import type { AlertMessage } from './alert.ts'

export interface AlertSenderParts {
  readonly url: string
  /** In bytes; each signs. */
  readonly secrets: readonly Uint8Array<ArrayBuffer>[]
  /** Which relay it is. */
  readonly relay: string
  readonly fetch: typeof globalThis.fetch
  readonly clock: Pick<Clock, 'now' | 'after'>
}

/** A receiver that takes longer is told again. */
const timeoutMs = 5_000

/** Never rejects. @returns undefined where the receiver took it, else why not: a status, or an error's name */
export type SendAlert = (message: AlertMessage) => Promise<string | undefined>

export function alertSender({ url, secrets, relay, fetch, clock }: AlertSenderParts): SendAlert {
  return async ({ id, type, recovered, atMs, data }) => {
    const body = JSON.stringify({
      type: recovered ? `${type}.recovered` : type,
      timestamp: new Date(atMs).toISOString(),
      data: { relay, ...data },
    })
    const timestamp = String(Math.floor(clock.now() / 1_000))
    const signatures = await signaturesOf(secrets, [id, timestamp, body].join('.'))
    const given = new AbortController()
    const timer = clock.after(timeoutMs)
    void timer.elapsed.then(() => given.abort(new DOMException('no answer in time', 'TimeoutError')))
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': timestamp,
          'webhook-signature': signatures,
        },
        body,
        redirect: 'manual',
        signal: given.signal,
      })
      await response.body?.cancel()
      return response.ok ? undefined : `status ${response.status}`
    } catch (error) {
      return errorName(error)
    } finally {
      timer.cancel()
    }
  }
}

async function signaturesOf(secrets: readonly Uint8Array<ArrayBuffer>[], text: string): Promise<string> {
  const signed = secrets.map(async (secret) => {
    const key = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
    const bytes = new Uint8Array(await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(text)))
    return `v1,${btoa(String.fromCharCode(...bytes))}`
  })
  return (await Promise.all(signed)).join(' ')
}
