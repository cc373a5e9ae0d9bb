/** Mailchimp Transactional (Mandrill): a form with a list of events, signed with its address as Twilio's. */
import { eventTime, id, json, ok, signature, source, text } from 'target-relay'
import * as z from 'zod'

export const mandrill = source('mandrill', {
  auth: signature(
    {
      name: 'mandrill',
      algorithm: 'HMAC-SHA-1',
      signature: { header: 'x-mandrill-signature', encoding: 'base64' },
      signed: '{url}{form}',
    },
    { url: 'https://relay.example/hooks/mandrill' },
  ),
  greet: ok('HEAD'),
  format: 'form',
  each: (body) => z.object({ mandrill_events: json(z.array(z.unknown())) }).parse(body).mandrill_events,
  schema: z.object({
    event: text(),
    ts: eventTime(),
    msg: z.object({ _id: id(), metadata: z.object({ customer: id() }) }),
  }),
  eventId: (e) => `${e.msg._id} ${e.event} ${e.ts}`,
  occurredAt: (e) => e.ts,
  map: ({ event, msg }) => ({ visitor: { thirdPartyId: msg.metadata.customer }, attributes: { lastMail: event } }),
  sample: { event: 'open', ts: 1_795_611_550, msg: { _id: 'm-1', metadata: { customer: 'customer-1' } } },
})
