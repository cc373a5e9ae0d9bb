/** Google Pub/Sub push with payload unwrapping: the body is the event, its id a header. */
import { id, jwt, source, text } from 'target-relay'
import * as z from 'zod'

export const unwrappedPubSub = source('pub-sub-unwrapped', {
  auth: jwt({
    issuer: 'https://accounts.google.com',
    audience: 'https://relay.example/hooks/pub-sub-unwrapped',
    jwksUrl: 'https://www.googleapis.com/oauth2/v3/certs',
    subject: '104000000000000000001',
  }),
  headers: ['x-goog-pubsub-message-id', 'x-goog-pubsub-publish-time'],
  schema: z.object({ customer: id(), store: text() }),
  eventId: (_, { headers }) => headers['x-goog-pubsub-message-id'],
  occurredAt: (_, { headers }) => headers['x-goog-pubsub-publish-time'],
  map: (e) => ({ visitor: { thirdPartyId: e.customer }, attributes: { store: e.store } }),
  sample: { customer: 'customer-1', store: 'Zürich' },
  sampleHeaders: { 'x-goog-pubsub-message-id': '7001', 'x-goog-pubsub-publish-time': '2026-11-25T13:09:11Z' },
})
