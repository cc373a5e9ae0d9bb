/** Lightspeed Retail (X-Series): JSON in the field `payload` of a form. */
import { eventTime, id, json, signature, source } from 'target-relay'
import * as z from 'zod'

export const lightspeed = source('lightspeed', {
  auth: signature({
    name: 'lightspeed',
    algorithm: 'HMAC-SHA-256',
    signature: { header: 'x-signature', separator: ',', prefix: 'signature=', encoding: 'hex' },
    signed: '{body}',
  }),
  format: 'form',
  schema: z.object({
    payload: json(z.object({ id: id(), updated_at: eventTime(), customer_code: id(), points: z.number() })),
  }),
  eventId: ({ payload }) => payload.id,
  occurredAt: ({ payload }) => payload.updated_at,
  map: ({ payload: e }) => ({ visitor: { thirdPartyId: e.customer_code }, attributes: { points: e.points } }),
  sample: {
    payload: '{"id":"l-1","updated_at":"2026-11-25T13:09:10+00:00","customer_code":"customer-1","points":40}',
  },
})
