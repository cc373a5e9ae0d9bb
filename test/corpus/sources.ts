/** A source for each sender of the corpus, with the mapping that a deployer would write from the vendor's documentation. */
import * as z from 'zod'
import * as auth from '../../src/edge/auth/index.ts'
import { source } from '../../src/edge/source/source.ts'
import type { Source } from '../../src/edge/source/types.ts'
import { shops } from './shops.ts'
import { signedUrl as url } from './signed-url.ts'

const text = z.string()
/** A visitor's id must not hold a plus sign. */
const phone = text.transform((number) => number.replace(/^\+/, ''))

export const sources: readonly Source[] = [
  ...shops,
  source('standard-webhooks', {
    auth: auth.standardWebhooks(),
    schema: z.object({ type: text, timestamp: text, data: z.looseObject({ id: text, name: text }) }),
    map: ({ type, timestamp, data }) => ({
      visitor: { thirdPartyId: data.id },
      occurredAt: timestamp,
      attributes: { type, name: data.name },
    }),
  }),
  source('svix', {
    auth: auth.svix(),
    schema: z.object({
      type: text,
      timestamp: z.number(),
      data: z.looseObject({ id: text, first_name: text.nullish() }),
    }),
    map: ({ type, timestamp, data }) => ({
      visitor: { thirdPartyId: data.id },
      occurredAt: timestamp,
      attributes: { event: type, firstName: data.first_name ?? undefined },
    }),
  }),
  source('github', {
    auth: auth.github(),
    schema: z.object({
      action: text,
      sender: z.object({ login: text }),
      issue: z.object({ title: text, updated_at: text }).optional(),
    }),
    map: ({ action, sender, issue }) =>
      issue && { visitor: { thirdPartyId: sender.login }, attributes: { action, issue: issue.title } },
    occurredAt: (e) => e.issue?.updated_at,
  }),
  source('slack', {
    auth: auth.slack(),
    schema: z.object({
      event_id: text,
      event_time: z.number(),
      event: z.looseObject({ type: text, user: text, text: text.optional() }),
    }),
    map: ({ event_id, event_time, event }) => ({
      id: event_id,
      visitor: { thirdPartyId: event.user },
      occurredAt: event_time * 1_000,
      attributes: { did: event.type, said: event.text },
    }),
  }),
  source('slack-commands', {
    auth: auth.slack(),
    format: 'form',
    schema: z.object({ trigger_id: text, user_id: text, command: text, text }),
    map: (e) => ({
      id: e.trigger_id,
      visitor: { thirdPartyId: e.user_id },
      attributes: { command: e.command, text: e.text },
    }),
  }),
  source('hubspot', {
    auth: auth.hubspot({ url }),
    schema: z.array(
      z.object({
        eventId: z.number(),
        objectId: z.number(),
        occurredAt: z.number(),
        propertyName: text,
        propertyValue: text,
      }),
    ),
    map: (events) =>
      events.map((e) => ({
        id: String(e.eventId),
        visitor: { thirdPartyId: String(e.objectId) },
        occurredAt: e.occurredAt,
        attributes: { [e.propertyName]: e.propertyValue },
      })),
  }),
  source('twilio', {
    auth: auth.twilio({ url }),
    format: 'form',
    acceptsCopies: true,
    schema: z.object({ MessageSid: text, From: phone, Body: text, FromCity: text.optional() }),
    map: (e) => ({
      id: e.MessageSid,
      visitor: { thirdPartyId: e.From },
      attributes: { said: e.Body, city: e.FromCity || undefined },
    }),
  }),
  source('twilio-events', {
    auth: auth.twilio({ url }),
    schema: z.array(z.object({ id: text, time: text, type: text, data: z.looseObject({ to: phone }) })),
    map: (events) =>
      events.map((e) => ({
        id: e.id,
        visitor: { thirdPartyId: e.data.to },
        occurredAt: e.time,
        attributes: { sms: e.type },
      })),
    occurredAt: (events) => events[0]?.time,
  }),
  source('zoom', {
    auth: auth.zoom(),
    schema: z.object({
      event: text,
      event_ts: z.number(),
      payload: z.object({ object: z.looseObject({ uuid: text, host_id: text, topic: text }) }),
    }),
    map: ({ event, event_ts, payload: { object } }) => ({
      id: `${object.uuid} ${event} ${event_ts}`,
      visitor: { thirdPartyId: object.host_id },
      occurredAt: event_ts,
      attributes: { event, topic: object.topic },
    }),
  }),
  source('sendgrid', {
    auth: auth.sendgrid(),
    schema: z.array(
      z.looseObject({
        sg_event_id: text,
        timestamp: z.number(),
        event: text,
        customer: text.optional(),
        url: text.optional(),
      }),
    ),
    map: (events) =>
      events.flatMap((e) =>
        e.customer === undefined
          ? []
          : [
              {
                id: e.sg_event_id,
                visitor: { thirdPartyId: e.customer },
                occurredAt: e.timestamp * 1_000,
                attributes: { [`mail.${e.event}`]: e.url ?? true },
              },
            ],
      ),
  }),
  source('customerio', {
    auth: auth.customerio(),
    schema: z.object({
      event_id: text,
      timestamp: z.number(),
      metric: text,
      object_type: text,
      data: z.looseObject({ customer_id: text, href: text.optional() }),
    }),
    map: (e) => ({
      id: e.event_id,
      visitor: { thirdPartyId: e.data.customer_id },
      occurredAt: e.timestamp * 1_000,
      attributes: { [e.object_type]: e.metric, href: e.data.href },
    }),
  }),
  source('zendesk', {
    auth: auth.zendesk(),
    schema: z.object({
      id: text,
      time: text,
      type: text,
      detail: z.looseObject({ requester_id: text, subject: text }),
    }),
    map: ({ id, time, type, detail }) => ({
      id,
      visitor: { thirdPartyId: detail.requester_id },
      occurredAt: time,
      attributes: { ticket: type.split('.').at(-1), subject: detail.subject },
    }),
  }),
  source('mailgun', {
    auth: auth.mailgun(),
    schema: z.object({
      'event-data': z.looseObject({
        id: text,
        event: text,
        timestamp: z.number(),
        'user-variables': z.looseObject({ customer: text }),
        tags: z.array(text),
      }),
    }),
    map: ({ 'event-data': e }) => ({
      id: e.id,
      visitor: { thirdPartyId: e['user-variables'].customer },
      occurredAt: Math.trunc(e.timestamp * 1_000),
      attributes: { mail: e.event, tags: e.tags },
    }),
  }),
  source('mux', {
    auth: auth.mux(),
    schema: z.object({ id: text, type: text, created_at: text, data: z.looseObject({ passthrough: text }) }),
    map: (e) => ({
      id: e.id,
      visitor: { thirdPartyId: e.data.passthrough },
      occurredAt: e.created_at,
      attributes: { video: e.type },
    }),
  }),
  source('line', {
    auth: auth.line(),
    schema: z.object({
      events: z.array(
        z.looseObject({
          webhookEventId: text,
          timestamp: z.number(),
          type: text,
          source: z.looseObject({ userId: text }),
          message: z.looseObject({ id: text, text: text.optional() }).optional(),
        }),
      ),
    }),
    map: ({ events }) =>
      events.map((e) => ({
        id: e.webhookEventId,
        visitor: { thirdPartyId: e.source.userId },
        occurredAt: e.timestamp,
        attributes: { did: e.type, messageId: e.message?.id, said: e.message?.text },
      })),
    occurredAt: ({ events }) => events[0]?.timestamp,
  }),
  source('sanity', {
    auth: auth.sanity(),
    schema: z.object({
      _id: text,
      _rev: text,
      _updatedAt: text,
      name: text,
      address: z.looseObject({ city: text }).optional(),
    }),
    map: (e) => ({
      id: `${e._id}@${e._rev}`,
      visitor: { thirdPartyId: e._id },
      occurredAt: e._updatedAt,
      attributes: { name: e.name, address: e.address && { city: e.address.city } },
    }),
  }),
  source('workos', {
    auth: auth.workos(),
    schema: z.object({
      id: text,
      event: text,
      created_at: text,
      data: z.looseObject({ id: text, first_name: text.nullish() }),
    }),
    map: ({ id, event, created_at, data }) => ({
      id,
      visitor: { thirdPartyId: data.id },
      occurredAt: created_at,
      attributes: { event, firstName: data.first_name ?? undefined },
    }),
  }),
  source('discord', {
    auth: auth.discord(),
    schema: z.object({
      id: text,
      type: z.literal(2),
      member: z.looseObject({ user: z.looseObject({ id: text }) }),
      data: z.looseObject({ name: text, options: z.array(z.looseObject({ value: z.unknown() })).optional() }),
    }),
    map: ({ id, member, data }) => ({
      id,
      visitor: { thirdPartyId: member.user.id },
      attributes: { command: data.name, options: data.options?.map(({ value }) => value) },
    }),
  }),
  source('box', {
    auth: auth.box(),
    schema: z.object({
      id: text,
      created_at: text,
      trigger: text,
      created_by: z.looseObject({ id: text }),
      source: z.looseObject({ name: text.optional() }),
    }),
    map: (e) => ({
      id: e.id,
      visitor: { thirdPartyId: e.created_by.id },
      occurredAt: e.created_at,
      attributes: { did: e.trigger, file: e.source.name },
    }),
  }),
  source('linear', {
    auth: auth.linear(),
    schema: z.object({
      action: text,
      type: text,
      webhookTimestamp: z.number(),
      actor: z.looseObject({ id: text }),
      data: z.looseObject({ id: text, title: text.optional() }),
    }),
    map: (e) => ({
      id: `${e.data.id} ${e.webhookTimestamp}`,
      visitor: { thirdPartyId: e.actor.id },
      attributes: { did: `${e.type} ${e.action}`, title: e.data.title },
    }),
    occurredAt: (e) => e.webhookTimestamp,
  }),
]
