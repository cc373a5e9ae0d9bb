/** Google Pub/Sub push: the event is JSON in base64, the sender a service account. */
import { base64Json, eventTime, id, jwt, source, text } from 'target-relay'
import * as z from 'zod'

export const googlePubSub = source('pub-sub', {
  // Any Google account gets a token for this audience: the subject says which one is meant.
  auth: jwt({
    issuer: 'https://accounts.google.com',
    audience: 'https://relay.example/hooks/pub-sub',
    jwksUrl: 'https://www.googleapis.com/oauth2/v3/certs',
    subject: '104000000000000000001',
  }),
  schema: z.object({
    message: z.object({
      messageId: id(),
      publishTime: eventTime(),
      data: base64Json(z.object({ customer: id(), store: text() })),
    }),
  }),
  eventId: ({ message }) => message.messageId,
  occurredAt: ({ message }) => message.publishTime,
  map: ({ message: { data } }) => ({ visitor: { thirdPartyId: data.customer }, attributes: { store: data.store } }),
  sample: {
    message: {
      messageId: '7001',
      publishTime: '2026-11-25T13:09:11Z',
      data: 'eyJjdXN0b21lciI6IjEiLCJzdG9yZSI6IjIifQ==',
    },
  },
})
