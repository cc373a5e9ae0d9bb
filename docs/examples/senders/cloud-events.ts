/** CloudEvents 1.0, structured or in batches: Event Grid, Knative, commercetools. */
import { apiKey, cloudEvents, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const structuredCloudEvents = source('cloud-events', {
  auth: apiKey('x-relay-key'),
  greet: cloudEvents(),
  // A batch is a list.
  each: (body) => [body].flat(),
  schema: z.object({ id: id(), source: text(), time: eventTime(), data: z.object({ customer: id(), plan: text() }) }),
  eventId: (e) => `${e.source} ${e.id}`,
  occurredAt: (e) => e.time,
  map: ({ data }) => ({ visitor: { thirdPartyId: data.customer }, attributes: { plan: data.plan } }),
  sample: {
    id: 'ce-1',
    source: '/loans',
    time: '2026-11-25T13:09:10Z',
    data: { customer: 'customer-1', plan: 'gold' },
  },
})
