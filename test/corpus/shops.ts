/** Payments and orders: the sources of the corpus for a shop's or bank's senders. */
import * as z from 'zod'
import * as auth from '../../src/edge/auth/index.ts'
import { id } from '../../src/edge/source/schemas.ts'
import { source } from '../../src/edge/source/source.ts'
import type { Source } from '../../src/edge/source/types.ts'
import { signedUrl as url } from './signed-url.ts'

const text = z.string()

export const shops: readonly Source[] = [
  source('stripe', {
    auth: auth.stripe(),
    schema: z.object({
      id: text,
      type: text,
      created: z.number(),
      data: z.object({
        object: z.looseObject({
          customer: text.nullish(),
          status: text.nullish(),
          metadata: z.record(text, text).nullish(),
        }),
      }),
    }),
    map: ({ id, type, created, data: { object } }) =>
      typeof object.customer === 'string' && type.startsWith('customer.subscription.')
        ? {
            id,
            visitor: { thirdPartyId: object.customer },
            occurredAt: created * 1_000,
            attributes: { subscription: object.status ?? 'none', plan: object.metadata?.['plan'] },
          }
        : null,
  }),
  source('shopify', {
    auth: auth.shopify(),
    // Numeric ids are too large for a JavaScript number; their GraphQL form is text.
    schema: z.object({ admin_graphql_api_id: text, updated_at: text, email: text.nullish(), tags: text.nullish() }),
    map: (e) => ({
      id: `${e.admin_graphql_api_id}@${e.updated_at}`,
      visitor: { thirdPartyId: e.admin_graphql_api_id.split('/').at(-1) ?? '' },
      attributes: { tags: e.tags || undefined, reachable: typeof e.email === 'string' },
    }),
    occurredAt: (e) => e.updated_at,
  }),
  source('square', {
    auth: auth.square({ url }),
    schema: z.object({
      event_id: text,
      created_at: text,
      data: z.object({
        id: text,
        object: z.object({ customer: z.looseObject({ given_name: text, note: text.optional() }) }),
      }),
    }),
    map: ({ event_id, data }) => ({
      id: event_id,
      visitor: { thirdPartyId: data.id },
      attributes: { name: data.object.customer.given_name, note: data.object.customer.note },
    }),
    occurredAt: (e) => e.created_at,
  }),
  source('gocardless', {
    auth: auth.gocardless(),
    schema: z.object({
      events: z.array(z.object({ id: text, created_at: text, action: text, links: z.looseObject({ mandate: text }) })),
    }),
    map: ({ events }) =>
      events.map((e) => ({
        id: e.id,
        visitor: { thirdPartyId: e.links.mandate },
        occurredAt: e.created_at,
        attributes: { mandate: e.action },
      })),
    occurredAt: ({ events }) => events[0]?.created_at,
  }),
  source('paddle', {
    auth: auth.paddle(),
    schema: z.object({
      event_id: text,
      event_type: text,
      occurred_at: text,
      data: z.looseObject({ customer_id: text.nullish(), status: text.nullish() }),
    }),
    map: (e) =>
      e.data.customer_id
        ? {
            id: e.event_id,
            visitor: { thirdPartyId: e.data.customer_id },
            occurredAt: e.occurred_at,
            attributes: { [e.event_type]: e.data.status ?? '' },
          }
        : null,
  }),
  source('razorpay', {
    auth: auth.razorpay(),
    schema: z.object({
      event: text,
      created_at: z.number(),
      payload: z.object({
        payment: z.object({ entity: z.looseObject({ id: text, customer_id: text, amount: z.number() }) }),
      }),
    }),
    map: ({ event, payload: { payment } }) => ({
      id: `${payment.entity.id} ${event}`,
      visitor: { thirdPartyId: payment.entity.customer_id },
      attributes: { payment: event, amount: payment.entity.amount },
    }),
    occurredAt: (e) => e.created_at * 1_000,
  }),
  source('adyen', {
    auth: auth.adyen(),
    schema: z.object({
      type: text,
      timestamp: text,
      data: z.looseObject({ id: text, status: text, accountHolder: z.looseObject({ reference: text }) }),
    }),
    map: ({ type, timestamp, data }) => ({
      id: `${data.id} ${type} ${timestamp}`,
      visitor: { thirdPartyId: data.accountHolder.reference },
      occurredAt: timestamp,
      attributes: { transfer: data.status },
    }),
    occurredAt: (e) => e.timestamp,
  }),
  source('onfido', {
    auth: auth.onfido(),
    schema: z.object({
      payload: z.object({
        action: text,
        object: z.looseObject({ id: text, status: text, completed_at_iso8601: text }),
        resource: z.looseObject({ customer_user_id: text }),
      }),
    }),
    map: ({ payload: { action, object, resource } }) => ({
      id: `${object.id} ${action}`,
      visitor: { thirdPartyId: resource.customer_user_id },
      attributes: { identity: object.status },
    }),
    occurredAt: ({ payload }) => payload.object.completed_at_iso8601,
  }),
  source('webflow', {
    auth: auth.webflow(),
    schema: z.object({
      triggerType: text,
      payload: z.looseObject({ id: text, submittedAt: text, data: z.record(text, text) }),
    }),
    map: ({ payload }) => ({
      id: payload.id,
      visitor: { thirdPartyId: payload.data['Customer'] ?? '' },
      occurredAt: payload.submittedAt,
      attributes: { wishes: payload.data['Message'] },
    }),
  }),
  source('shopify-numbers', {
    auth: auth.shopify(),
    schema: z.object({ id: z.number(), updated_at: text, tags: text }),
    map: (e) => ({ visitor: { thirdPartyId: String(e.id) }, attributes: { tags: e.tags } }),
    occurredAt: (e) => e.updated_at,
  }),
  source('shopify-ids', {
    auth: auth.shopify(),
    schema: z.object({ id: id(), updated_at: text, tags: text }),
    map: (e) => ({ visitor: { thirdPartyId: e.id }, attributes: { tags: e.tags } }),
    occurredAt: (e) => e.updated_at,
  }),
]
