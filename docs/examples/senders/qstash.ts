/** QStash: a token with the hash of the body, under its signing keys. */
import { id, jwt, source, text } from 'target-relay'
import * as z from 'zod'

export const qstash = source('qstash', {
  auth: jwt({
    header: 'upstash-signature',
    secret: true,
    issuer: 'Upstash',
    subject: 'https://relay.example/hooks/qstash',
    body: { claim: 'body', encoding: 'base64url' },
  }),
  schema: z.object({ id: id(), customer: id(), plan: text() }),
  eventId: (e) => e.id,
  map: (e) => ({ visitor: { thirdPartyId: e.customer }, attributes: { plan: e.plan } }),
  sample: { id: 'q-1', customer: 'customer-1', plan: 'gold' },
})
