/** Amazon SNS to HTTPS: the event is JSON in the text `Message`. */
import { eventTime, id, json, sns, source, text } from 'target-relay'
import * as z from 'zod'

export const amazonSns = source('sns', {
  auth: sns({ topicArn: 'arn:aws:sns:eu-central-1:000000000000:loyalty' }),
  confirmation: ({ headers }) =>
    headers.get('x-amz-sns-message-type') === 'SubscriptionConfirmation'
      ? 'if TopicArn is yours, open SubscribeURL in a browser'
      : undefined,
  schema: z.object({
    MessageId: id(),
    Timestamp: eventTime(),
    Message: json(z.object({ customer: id(), tier: text() })),
  }),
  eventId: (e) => e.MessageId,
  occurredAt: (e) => e.Timestamp,
  map: ({ Message: event }) => ({ visitor: { thirdPartyId: event.customer }, attributes: { tier: event.tier } }),
  sample: { MessageId: 'm-1', Timestamp: '2026-11-25T13:09:10Z', Message: '{"customer":"customer-1","tier":"gold"}' },
})
