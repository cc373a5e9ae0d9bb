/** ICE Mortgage Technology, Encompass: changes of a loan. */
import { eventTime, id, signature, source, text } from 'target-relay'
import * as z from 'zod'

export const encompass = source('encompass', {
  auth: signature({
    name: 'encompass',
    algorithm: 'HMAC-SHA-256',
    signature: { header: 'elli-signature', encoding: 'base64' },
    signed: '{body}',
  }),
  schema: z.object({ eventId: id(), eventTime: eventTime(), eventType: text(), meta: z.object({ resourceId: id() }) }),
  eventId: (e) => e.eventId,
  occurredAt: (e) => e.eventTime,
  map: (e) => ({ visitor: { thirdPartyId: e.meta.resourceId }, attributes: { loan: e.eventType } }),
  sample: { eventId: 'e-1', eventTime: '2026-11-25T13:09:10Z', eventType: 'milestone', meta: { resourceId: 'loan-1' } },
})
