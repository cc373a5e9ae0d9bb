/** Tealium: a webhook connector, with a body template of yours. */
import { basic, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const tealium = source('tealium', {
  auth: basic(),
  schema: z.object({ event: id(), customer: id(), audience: text(), at: eventTime() }),
  eventId: (e) => e.event,
  occurredAt: (e) => e.at,
  map: (e) => ({ visitor: { thirdPartyId: e.customer }, attributes: { audience: e.audience } }),
  sample: { event: 't-1', customer: 'customer-1', audience: 'savers', at: 1_795_611_550_000 },
})
