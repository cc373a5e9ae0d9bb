/** Intercom: topics of contacts; it asks by HEAD first. */
import { eventTime, id, ok, signature, source, text } from 'target-relay'
import * as z from 'zod'

export const intercom = source('intercom', {
  auth: signature({
    name: 'intercom',
    algorithm: 'HMAC-SHA-1',
    signature: { header: 'x-hub-signature', prefix: 'sha1=', encoding: 'hex' },
    signed: '{body}',
  }),
  greet: ok('HEAD'),
  schema: z.object({
    id: id(),
    topic: text(),
    created_at: eventTime(),
    data: z.object({ item: z.object({ external_id: id() }) }),
  }),
  eventId: (e) => e.id,
  occurredAt: (e) => e.created_at,
  map: (e) => ({ visitor: { thirdPartyId: e.data.item.external_id }, attributes: { support: e.topic } }),
  sample: {
    id: 'notif-1',
    topic: 'contact.tag.created',
    created_at: 1_795_611_550,
    data: { item: { external_id: 'customer-1' } },
  },
})
