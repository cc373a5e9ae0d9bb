/** Klaviyo: a system webhook, with a list of events. */
import { eventTime, id, signature, source, text } from 'target-relay'
import * as z from 'zod'

export const klaviyo = source('klaviyo', {
  auth: signature({
    name: 'klaviyo',
    algorithm: 'HMAC-SHA-256',
    signature: { header: 'klaviyo-signature', encoding: 'hex' },
    signed: '{body}{timestamp}',
    timestamp: { header: 'klaviyo-timestamp', unit: 'http-date' },
  }),
  each: (body) => z.object({ data: z.array(z.unknown()) }).parse(body).data,
  schema: z.object({ external_id: id(), topic: text(), profile: id(), datetime: eventTime() }),
  eventId: (e) => e.external_id,
  occurredAt: (e) => e.datetime,
  map: (e) => ({ visitor: { thirdPartyId: e.profile }, attributes: { lastMail: e.topic } }),
  sample: { external_id: 'k-1', topic: 'opened_email', profile: 'customer-1', datetime: '2026-11-25T13:09:10Z' },
})
