/** Braze: a webhook campaign, with a body and a header of yours. */
import { apiKey, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const braze = source('braze', {
  auth: apiKey('x-relay-key'),
  schema: z.object({ dispatch: id(), user: id(), campaign: text(), at: eventTime() }),
  eventId: (e) => `${e.dispatch} ${e.user}`,
  occurredAt: (e) => e.at,
  map: (e) => ({ visitor: { thirdPartyId: e.user }, attributes: { lastCampaign: e.campaign } }),
  sample: { dispatch: 'd-1', user: 'customer-1', campaign: 'winter', at: '2026-11-25T13:09:10Z' },
})
