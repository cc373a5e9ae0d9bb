/** RudderStack: the destination Webhook, with a header of yours. */
import { bearer, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const rudderStack = source('rudderstack', {
  auth: bearer(),
  schema: z.object({ messageId: id(), userId: id(), originalTimestamp: eventTime(), event: text() }),
  eventId: (e) => e.messageId,
  occurredAt: (e) => e.originalTimestamp,
  map: (e) => ({ visitor: { thirdPartyId: e.userId }, attributes: { lastAction: e.event } }),
  sample: { messageId: 'm-1', userId: 'customer-1', originalTimestamp: '2026-11-25T13:09:10Z', event: 'Quote asked' },
})
