/** Twilio TaskRouter: its event callback, a form with JSON in TaskAttributes. */
import { eventTime, id, json, source, text, twilio } from 'target-relay'
import * as z from 'zod'

export const twilioTaskRouter = source('twilio-taskrouter', {
  auth: twilio({ url: 'https://relay.example/hooks/twilio-taskrouter' }),
  format: 'form',
  schema: z.object({
    Sid: id(),
    EventType: text(),
    Timestamp: eventTime(),
    TaskAttributes: json(z.object({ customer: id() })),
  }),
  eventId: (e) => e.Sid,
  occurredAt: (e) => e.Timestamp,
  map: (e) => ({ visitor: { thirdPartyId: e.TaskAttributes.customer }, attributes: { lastCall: e.EventType } }),
  sample: { Sid: 'EV1', EventType: 'task.completed', Timestamp: '1795611550', TaskAttributes: '{"customer":"1"}' },
})
