/** Freshdesk: a webhook of an automation rule. */
import { basic, id, source, text } from 'target-relay'
import * as z from 'zod'

export const freshdesk = source('freshdesk', {
  auth: basic(),
  schema: z.object({ freshdesk_webhook: z.object({ ticket_id: id(), customer: id(), ticket_status: text() }) }),
  eventId: ({ freshdesk_webhook: e }) => `${e.ticket_id} ${e.ticket_status}`,
  map: ({ freshdesk_webhook: e }) => ({
    visitor: { thirdPartyId: e.customer },
    attributes: { ticket: e.ticket_status },
  }),
  sample: { freshdesk_webhook: { ticket_id: 3, customer: 'customer-1', ticket_status: 'Closed' } },
})
