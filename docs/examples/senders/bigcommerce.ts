/** BigCommerce: changes of customers; a webhook is sent with headers of your own. */
import { apiKey, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const bigCommerce = source('bigcommerce', {
  auth: apiKey('x-relay-key'),
  schema: z.object({
    scope: text(),
    data: z.object({ type: z.literal('customer'), id: id() }),
    hash: id(),
    created_at: eventTime(),
  }),
  eventId: (e) => `${e.hash} ${e.created_at}`,
  occurredAt: (e) => e.created_at,
  map: (e) => ({ visitor: { thirdPartyId: e.data.id }, attributes: { shopAccount: e.scope } }),
  sample: {
    scope: 'store/customer/updated',
    data: { type: 'customer', id: 32 },
    hash: '3f9ea420af83450d7ef9f78b08c8af25b2213637',
    created_at: 1_795_611_550,
  },
})
