/** Twilio Flex: Event Streams to a webhook, a list of CloudEvents. */
import { eventTime, id, source, text, twilio } from 'target-relay'
import * as z from 'zod'

export const twilioFlex = source('twilio-flex', {
  auth: twilio({ url: 'https://relay.example/hooks/twilio-flex' }),
  each: (body) => z.array(z.unknown()).parse(body),
  schema: z.object({
    id: id(),
    time: eventTime(),
    data: z.object({ payload: z.object({ customer: id(), eventtype: text() }) }),
  }),
  eventId: (e) => e.id,
  occurredAt: (e) => e.time,
  map: ({ data: { payload: p } }) => ({ visitor: { thirdPartyId: p.customer }, attributes: { lastCall: p.eventtype } }),
  sample: {
    id: 'EZ-1',
    time: '2026-11-25T13:09:10Z',
    data: { payload: { customer: 'customer-1', eventtype: 'task.completed' } },
  },
})
