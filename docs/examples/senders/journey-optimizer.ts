/** Adobe Journey Optimizer: a custom action, with a body of your own. */
import { apiKey, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const journeyOptimizer = source('journey-optimizer', {
  auth: apiKey('x-relay-key'),
  methods: ['POST', 'PUT'],
  schema: z.object({ id: id(), customer: id(), journey: text(), at: eventTime() }),
  eventId: (e) => e.id,
  occurredAt: (e) => e.at,
  map: (e) => ({ visitor: { thirdPartyId: e.customer }, attributes: { lastJourney: e.journey } }),
  sample: { id: 'j-1', customer: 'customer-1', journey: 'welcome', at: '2026-11-25T13:09:10Z' },
})
