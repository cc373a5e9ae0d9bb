/** Shopify: several topics at one address; only a header names the topic. */
import { eventTime, id, shopify, source } from 'target-relay'
import * as z from 'zod'

export const shopifyTopics = source('shopify-topics', {
  auth: shopify(),
  headers: ['x-shopify-topic'],
  schema: z.object({ id: id(), updated_at: eventTime(), customer: z.object({ id: id() }) }),
  // One order is created, paid and cancelled under one id.
  eventId: (e, { headers }) => `${e.id} ${headers['x-shopify-topic']}`,
  occurredAt: (e) => e.updated_at,
  map: ({ customer }, { headers: { 'x-shopify-topic': topic } }) =>
    topic === undefined ? null : { visitor: { thirdPartyId: customer.id }, attributes: { lastOrder: topic } },
  sample: { id: 47, updated_at: '2026-11-25T13:09:10+01:00', customer: { id: 4700 } },
  sampleHeaders: { 'x-shopify-topic': 'orders/create' },
})
