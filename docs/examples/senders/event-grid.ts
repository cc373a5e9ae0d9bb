/** Azure Event Grid in its own schema. */
import { apiKey, eventGrid, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const azureEventGrid = source('event-grid', {
  auth: apiKey('x-relay-key'),
  greet: eventGrid(),
  each: (body) => z.array(z.unknown()).parse(body),
  schema: z.object({
    id: id(),
    eventTime: eventTime(),
    data: z.object({ customer: id(), page: text() }),
  }),
  eventId: (e) => e.id,
  occurredAt: (e) => e.eventTime,
  map: ({ data }) => ({ visitor: { thirdPartyId: data.customer }, attributes: { kioskPage: data.page } }),
  sample: { id: 'e-1', eventTime: '2026-11-25T13:09:10Z', data: { customer: 'customer-1', page: '/rates' } },
})
