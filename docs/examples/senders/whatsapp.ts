/** WhatsApp Business (Meta): what became of messages; the address is asked first, with a token of yours. */
import { echoQuery, eventTime, id, signature, source, text } from 'target-relay'
import * as z from 'zod'

const change = z.object({ value: z.object({ statuses: z.array(z.unknown()).default([]) }) })
const envelope = z.object({ entry: z.array(z.object({ changes: z.array(change) })) })

export const whatsApp = source('whatsapp', {
  auth: signature({
    name: 'meta',
    algorithm: 'HMAC-SHA-256',
    signature: { header: 'x-hub-signature-256', prefix: 'sha256=', encoding: 'hex' },
    signed: '{body}',
  }),
  greet: echoQuery('hub.challenge', {
    where: { 'hub.mode': 'subscribe', 'hub.verify_token': 'the-text-that-you-set-there' },
  }),
  each: (body) => envelope.parse(body).entry.flatMap(({ changes }) => changes.flatMap(({ value }) => value.statuses)),
  schema: z.object({ id: id(), status: text(), timestamp: eventTime(), recipient_id: id() }),
  eventId: (e) => `${e.id} ${e.status}`,
  occurredAt: (e) => e.timestamp,
  map: (e) => ({ visitor: { thirdPartyId: e.recipient_id }, attributes: { lastMessage: e.status } }),
  sample: { id: 'wamid.1', status: 'read', timestamp: '1795611550', recipient_id: '15550100' },
})
