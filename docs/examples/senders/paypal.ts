/** PayPal: a webhook of an app. */
import { eventTime, id, paypal, source, text } from 'target-relay'
import * as z from 'zod'

export const payPal = source('paypal', {
  auth: paypal({ webhookId: '1AB23456CD789012E' }),
  schema: z.object({ id: id(), create_time: eventTime(), event_type: text(), resource: z.object({ custom_id: id() }) }),
  eventId: (e) => e.id,
  occurredAt: (e) => e.create_time,
  map: (e) => ({ visitor: { thirdPartyId: e.resource.custom_id }, attributes: { lastPayment: e.event_type } }),
  sample: {
    id: 'WH-1',
    create_time: '2026-11-25T13:09:10Z',
    event_type: 'PAYMENT.CAPTURE.COMPLETED',
    resource: { custom_id: 'customer-1' },
  },
})
