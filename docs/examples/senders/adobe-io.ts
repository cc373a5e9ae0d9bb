/** Adobe I/O Events. */
import { adobeIo, echoQuery, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const adobeIoEvents = source('adobe-io', {
  auth: adobeIo({ clientId: 'client-id-of-the-project' }),
  greet: echoQuery('challenge'),
  schema: z.object({
    event_id: id(),
    event: z.object({ 'activitystreams:published': eventTime(), customer: id(), audience: text() }),
  }),
  eventId: (e) => e.event_id,
  occurredAt: ({ event }) => event['activitystreams:published'],
  map: ({ event }) => ({ visitor: { thirdPartyId: event.customer }, attributes: { audience: event.audience } }),
  sample: {
    event_id: 'e-1',
    event: { 'activitystreams:published': '2026-11-25T13:09:12Z', customer: 'customer-1', audience: 'savers' },
  },
})
