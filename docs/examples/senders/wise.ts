/** Wise: webhooks signed with RSA under one published key, which is the secret here. */
import { eventTime, id, signature, source, text } from 'target-relay'
import * as z from 'zod'

export const wise = source('wise', {
  auth: signature({
    name: 'wise',
    algorithm: 'RSA-SHA-256',
    signature: { header: 'x-signature-sha256', encoding: 'base64' },
    signed: '{body}',
    secret: { encoding: 'base64' },
  }),
  schema: z.object({
    data: z.object({
      resource: z.object({ id: id(), profile_id: id() }),
      current_state: text(),
      occurred_at: eventTime(),
    }),
  }),
  eventId: ({ data }) => `${data.resource.id} ${data.current_state}`,
  occurredAt: ({ data }) => data.occurred_at,
  map: ({ data }) => ({
    visitor: { thirdPartyId: data.resource.profile_id },
    attributes: { lastTransfer: data.current_state },
  }),
  sample: {
    data: {
      resource: { id: 1, profile_id: 2 },
      current_state: 'outgoing_payment_sent',
      occurred_at: '2026-11-25T13:09:10Z',
    },
  },
})
