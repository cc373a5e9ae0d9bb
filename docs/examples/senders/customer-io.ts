/** Customer.io: a reporting webhook. */
import { customerio, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const customerIo = source('customer-io', {
  auth: customerio(),
  schema: z.object({
    event_id: id(),
    timestamp: eventTime(),
    metric: text(),
    data: z.object({ identifiers: z.object({ id: id() }) }),
  }),
  eventId: (e) => e.event_id,
  occurredAt: (e) => e.timestamp,
  map: (e) => ({ visitor: { thirdPartyId: e.data.identifiers.id }, attributes: { lastMail: e.metric } }),
  sample: { event_id: 'e-1', timestamp: 1_795_611_550, metric: 'opened', data: { identifiers: { id: 'customer-1' } } },
})
