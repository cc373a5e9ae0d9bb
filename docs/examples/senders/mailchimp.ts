/** Mailchimp: a webhook of an audience, as a form; its time is UTC without saying so. */
import { id, ok, queryKey, source, text } from 'target-relay'
import * as z from 'zod'

export const mailchimp = source('mailchimp', {
  auth: queryKey('code'),
  greet: ok('GET'),
  format: 'form',
  schema: z.object({ type: text(), fired_at: text(), 'data[id]': id(), 'data[merges][CUSTOMER]': id() }),
  eventId: (e) => `${e['data[id]']} ${e.type} ${e.fired_at}`,
  occurredAt: (e) => `${e.fired_at}Z`,
  map: (e) => ({ visitor: { thirdPartyId: e['data[merges][CUSTOMER]'] }, attributes: { newsletter: e.type } }),
  sample: {
    type: 'subscribe',
    fired_at: '2026-11-25 13:09:10',
    'data[id]': '8a25ff1d98',
    'data[merges][CUSTOMER]': 'customer-1',
  },
})
