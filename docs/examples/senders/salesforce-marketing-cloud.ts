/** Salesforce Marketing Cloud's Event Notification Service. */
import { eventTime, id, signature, source, text } from 'target-relay'
import * as z from 'zod'

export const salesforceMarketingCloud = source('marketing-cloud', {
  auth: signature({
    name: 'marketing-cloud',
    algorithm: 'HMAC-SHA-256',
    signature: { header: 'x-sfmc-ens-signature', encoding: 'base64' },
    signed: '{body}',
  }),
  confirmation: ({ event }) =>
    z.object({ callbackId: z.string(), verificationKey: z.string() }).safeParse(event).success
      ? 'verify the callback in Marketing Cloud with callbackId and verificationKey'
      : undefined,
  each: (body) => z.array(z.unknown()).parse(body),
  schema: z.object({
    eventCategoryType: text(),
    timestampUTC: eventTime(),
    compositeId: id(),
    composite: z.object({ subscriberKey: id() }),
  }),
  eventId: (e) => `${e.compositeId} ${e.eventCategoryType}`,
  occurredAt: (e) => e.timestampUTC,
  map: (e) => ({ visitor: { thirdPartyId: e.composite.subscriberKey }, attributes: { lastMail: e.eventCategoryType } }),
  sample: {
    eventCategoryType: 'EngagementEvents.EmailOpen',
    timestampUTC: 1_795_611_550_000,
    compositeId: '1.2.3',
    composite: { subscriberKey: 'customer-1' },
  },
})
