/** RingCentral: telephony sessions; a new webhook must be answered with its own header. */
import { apiKey, echoHeader, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const ringCentral = source('ringcentral', {
  auth: apiKey('verification-token'),
  greet: echoHeader('validation-token', { method: 'POST' }),
  schema: z.object({
    uuid: id(),
    timestamp: eventTime(),
    body: z.object({
      parties: z.tuple([z.object({ from: z.object({ phoneNumber: id() }), status: z.object({ code: text() }) })]),
    }),
  }),
  eventId: (e) => e.uuid,
  occurredAt: (e) => e.timestamp,
  map: ({
    body: {
      parties: [caller],
    },
  }) => ({
    visitor: { thirdPartyId: caller.from.phoneNumber.replace('+', '') },
    attributes: { lastCall: caller.status.code },
  }),
  sample: {
    uuid: 'u-1',
    timestamp: '2026-11-25T13:09:10.388Z',
    body: { parties: [{ from: { phoneNumber: '+15550100' }, status: { code: 'Answered' } }] },
  },
})
