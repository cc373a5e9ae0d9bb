/** Amazon Connect (or Genesys Cloud): a rule of EventBridge with an API destination. */
import { apiKey, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const amazonConnect = source('connect', {
  auth: apiKey('x-api-key'),
  schema: z.object({
    id: id(),
    time: eventTime(),
    detail: z.object({ channel: text(), tags: z.object({ customer: id() }) }),
  }),
  eventId: (e) => e.id,
  occurredAt: (e) => e.time,
  map: ({ detail }) => ({
    visitor: { thirdPartyId: detail.tags.customer },
    attributes: { lastContact: detail.channel },
  }),
  sample: { id: 'e-1', time: '2026-11-25T13:09:09Z', detail: { channel: 'VOICE', tags: { customer: 'customer-1' } } },
})
