/** Vonage: the status of messages, under a token that holds the body's hash. */
import { eventTime, id, jwt, source, text } from 'target-relay'
import * as z from 'zod'

export const vonage = source('vonage', {
  auth: jwt({
    secret: true,
    issuer: 'Vonage',
    maxAgeSeconds: 300,
    body: { claim: 'payload_hash', encoding: 'hex' },
  }),
  schema: z.object({ message_uuid: id(), client_ref: id(), status: text(), timestamp: eventTime() }),
  eventId: (e) => `${e.message_uuid} ${e.status}`,
  occurredAt: (e) => e.timestamp,
  map: (e) => ({ visitor: { thirdPartyId: e.client_ref }, attributes: { lastMessage: e.status } }),
  sample: {
    message_uuid: 'aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab',
    client_ref: 'customer-1',
    status: 'delivered',
    timestamp: '2026-11-25T13:09:10Z',
  },
})
