/** AWS IoT Core: a rule with an HTTP action, such as a kiosk. */
import { apiKey, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const awsIot = source('iot', {
  auth: apiKey('x-relay-key'),
  confirmation: ({ headers }) =>
    headers.get('x-amz-rules-engine-message-type') === 'DestinationConfirmation'
      ? 'if arn is yours, open enableUrl in a browser'
      : undefined,
  schema: z.object({ id: id(), customer: id(), page: text(), at: eventTime() }),
  eventId: (e) => e.id,
  occurredAt: (e) => e.at,
  map: (e) => ({ visitor: { thirdPartyId: e.customer }, attributes: { kioskPage: e.page } }),
  sample: { id: 'i-1', customer: 'customer-1', page: '/rates', at: 1_795_611_550_000 },
})
