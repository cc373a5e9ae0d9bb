/** Segment: the destination Webhooks (Actions), one event a request. */
import { eventTime, id, signature, source, text } from 'target-relay'
import * as z from 'zod'

export const segment = source('segment', {
  auth: signature({
    name: 'segment',
    algorithm: 'HMAC-SHA-1',
    signature: { header: 'x-signature', encoding: 'hex' },
    signed: '{body}',
  }),
  schema: z.object({ messageId: id(), userId: id(), timestamp: eventTime(), traits: z.object({ plan: text() }) }),
  eventId: (e) => e.messageId,
  occurredAt: (e) => e.timestamp,
  map: (e) => ({ visitor: { thirdPartyId: e.userId }, attributes: { plan: e.traits.plan } }),
  sample: { messageId: 'm-1', userId: 'customer-1', timestamp: '2026-11-25T13:09:10.123Z', traits: { plan: 'gold' } },
})
