/** Adyen: standard webhooks of payments. */
import { basic, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const adyenPayments = source('adyen-payments', {
  auth: basic(),
  each: (body) => z.object({ notificationItems: z.array(z.unknown()) }).parse(body).notificationItems,
  schema: z.object({
    NotificationRequestItem: z.object({
      eventCode: text(),
      eventDate: eventTime(),
      pspReference: id(),
      additionalData: z.object({ shopperReference: id() }),
    }),
  }),
  eventId: ({ NotificationRequestItem: item }) => `${item.pspReference} ${item.eventCode}`,
  occurredAt: ({ NotificationRequestItem: item }) => item.eventDate,
  map: ({ NotificationRequestItem: item }) => ({
    visitor: { thirdPartyId: item.additionalData.shopperReference },
    attributes: { lastPayment: item.eventCode },
  }),
  sample: {
    NotificationRequestItem: {
      eventCode: 'AUTHORISATION',
      eventDate: '2026-11-25T14:09:10+01:00',
      pspReference: 'p-1',
      additionalData: { shopperReference: 'customer-1' },
    },
  },
})
