/** Third parties: they sign with the Standard Webhooks library, not with the relay's code. */
import { Webhook } from 'standardwebhooks'
import { testSecrets } from './secrets.ts'

export interface HookRequest {
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: string
}

/** A signed webhook of one of the example sources; `id` names the message. */
export function signedHook(source: string, id: string, event: unknown, at = new Date()): HookRequest {
  const body = JSON.stringify(event)
  const signature = new Webhook(testSecrets.hook(source)).sign(id, at, body)
  return {
    path: `/hooks/${source}`,
    body,
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
      'webhook-signature': signature,
    },
  }
}

/** The kiosk authenticates with a bearer token. */
export function kioskHook(event: unknown): HookRequest {
  return {
    path: '/hooks/kiosk',
    body: JSON.stringify(event),
    headers: { 'content-type': 'application/json', authorization: `Bearer ${testSecrets.hook('kiosk')}` },
  }
}

export async function sendHook(
  origin: string,
  { path, headers, body }: HookRequest,
): Promise<{ status: number; answer: Record<string, unknown> }> {
  const response = await fetch(`${origin}${path}`, { method: 'POST', headers, body })
  return { status: response.status, answer: (await response.json()) as Record<string, unknown> }
}
