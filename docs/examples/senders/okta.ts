/** Okta: an event hook. */
import { apiKey, echoHeader, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const okta = source('okta', {
  auth: apiKey('x-relay-key'),
  greet: echoHeader('x-okta-verification-challenge', { as: 'verification' }),
  each: (body) => z.object({ data: z.object({ events: z.array(z.unknown()) }) }).parse(body).data.events,
  schema: z.object({ uuid: id(), published: eventTime(), eventType: text(), actor: z.object({ id: id() }) }),
  eventId: (e) => e.uuid,
  occurredAt: (e) => e.published,
  map: (e) => ({ visitor: { thirdPartyId: e.actor.id }, attributes: { lastSignIn: e.eventType } }),
  sample: {
    uuid: 'o-1',
    published: '2026-11-25T13:09:10.123Z',
    eventType: 'user.session.start',
    actor: { id: 'customer-1' },
  },
})
