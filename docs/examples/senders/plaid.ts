/** Plaid: its key is asked for by the id that a token names, with your credentials. */
import { id, jwt, source, text } from 'target-relay'
import * as z from 'zod'

async function keyOf(kid: string): Promise<JsonWebKey | undefined> {
  const { PLAID_CLIENT_ID: client_id, PLAID_SECRET: secret } = process.env
  const response = await fetch('https://production.plaid.com/webhook_verification_key/get', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_id, secret, key_id: kid }),
  })
  return response.ok
    ? z.object({ key: z.looseObject({ kty: z.string() }) }).parse(await response.json()).key
    : undefined
}

export const plaid = source('plaid', {
  auth: jwt({
    header: 'plaid-verification',
    keyOf,
    algorithms: ['ES256'],
    maxAgeSeconds: 300,
    body: { claim: 'request_body_sha256', encoding: 'hex' },
  }),
  schema: z.object({ item_id: id(), webhook_code: text() }),
  eventId: (e) => `${e.item_id} ${e.webhook_code}`,
  map: (e) => ({ visitor: { thirdPartyId: e.item_id }, attributes: { account: e.webhook_code } }),
  sample: { item_id: 'item-1', webhook_code: 'DEFAULT_UPDATE' },
})
