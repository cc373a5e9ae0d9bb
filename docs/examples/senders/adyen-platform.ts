/** Adyen: webhooks of its platform, with a signature over the body. */
import { adyen, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const adyenPlatform = source('adyen-platform', {
  auth: adyen(),
  schema: z.object({ type: text(), timestamp: eventTime(), data: z.object({ id: id(), customer: id() }) }),
  eventId: (e) => `${e.data.id} ${e.type}`,
  occurredAt: (e) => e.timestamp,
  map: (e) => ({ visitor: { thirdPartyId: e.data.customer }, attributes: { lastTransfer: e.type } }),
  sample: {
    type: 'balancePlatform.transfer.updated',
    timestamp: '2026-11-25T14:09:10+01:00',
    data: { id: 'tr-1', customer: 'customer-1' },
  },
})
