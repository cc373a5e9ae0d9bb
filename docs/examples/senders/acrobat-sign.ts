/** Adobe Acrobat Sign: its client id must stand on the answer to every event. */
import { echoHeader, eventTime, id, queryKey, source, text } from 'target-relay'
import * as z from 'zod'

export const acrobatSign = source('acrobat-sign', {
  auth: queryKey('code'),
  greet: echoHeader('x-adobesign-clientid', { only: ['client-id-of-the-account'], onAnswers: true }),
  schema: z.object({
    webhookNotificationId: id(),
    eventDate: eventTime(),
    agreement: z.object({ status: text(), externalId: z.object({ id: id() }) }),
  }),
  eventId: (e) => e.webhookNotificationId,
  occurredAt: (e) => e.eventDate,
  map: ({ agreement: a }) => ({ visitor: { thirdPartyId: a.externalId.id }, attributes: { contract: a.status } }),
  sample: {
    webhookNotificationId: 'n-1',
    eventDate: '2026-11-25T13:09:10Z',
    agreement: { status: 'SIGNED', externalId: { id: 'customer-1' } },
  },
})
