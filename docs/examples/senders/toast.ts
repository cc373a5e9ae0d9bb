/** Toast: the body signed with its own timestamp behind it. */
import { eventTime, id, signature, source } from 'target-relay'
import * as z from 'zod'

export const toast = source('toast', {
  auth: signature({
    name: 'toast',
    algorithm: 'HMAC-SHA-256',
    signature: { header: 'toast-signature', encoding: 'base64' },
    signed: '{body}{timestamp}',
    timestamp: { field: 'timestamp', unit: 'iso' },
  }),
  schema: z.object({ timestamp: eventTime(), guid: id(), details: z.object({ loyaltyId: id(), total: z.number() }) }),
  eventId: (e) => e.guid,
  occurredAt: (e) => e.timestamp,
  map: ({ details: e }) => ({ visitor: { thirdPartyId: e.loyaltyId }, attributes: { lastOrder: e.total } }),
  sample: { timestamp: '2026-11-25T13:09:13.850+0000', guid: 'g-1', details: { loyaltyId: 'customer-1', total: 12.5 } },
})
