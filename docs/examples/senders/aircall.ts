/** Aircall: calls; each event carries its webhook's token in the body. */
import { bodyKey, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const aircall = source('aircall', {
  auth: bodyKey('token'),
  schema: z.object({
    event: text(),
    timestamp: eventTime(),
    data: z.object({ id: id(), contact: z.object({ id: id() }) }),
  }),
  eventId: (e) => `${e.event} ${e.data.id}`,
  occurredAt: (e) => e.timestamp,
  map: (e) => ({ visitor: { thirdPartyId: e.data.contact.id }, attributes: { lastCall: e.event } }),
  sample: { event: 'call.ended', timestamp: 1_795_611_550, data: { id: 812, contact: { id: 7001 } } },
})
