/** CloudEvents 1.0 in binary mode: the data is the body, everything else is in headers. */
import { apiKey, cloudEvents, id, source, text } from 'target-relay'
import * as z from 'zod'

export const binaryCloudEvents = source('cloud-events-binary', {
  auth: apiKey('x-relay-key'),
  greet: cloudEvents(),
  headers: ['ce-id', 'ce-source', 'ce-time'],
  schema: z.object({ customer: id(), plan: text() }),
  eventId: (_, { headers }) => `${headers['ce-source']} ${headers['ce-id']}`,
  occurredAt: (_, { headers }) => headers['ce-time'],
  map: (data) => ({ visitor: { thirdPartyId: data.customer }, attributes: { plan: data.plan } }),
  sample: { customer: 'customer-1', plan: 'gold' },
  sampleHeaders: { 'ce-id': 'ce-1', 'ce-source': '/loans', 'ce-time': '2026-11-25T13:09:10Z' },
})
