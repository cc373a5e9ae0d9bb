/** Marketo: a webhook with the template {"lead":{{lead.Id}},"score":{{lead.Lead Score}}}. */
import { apiKey, id, source } from 'target-relay'
import * as z from 'zod'

export const marketo = source('marketo', {
  auth: apiKey('x-relay-key'),
  schema: z.object({ lead: id(), score: z.number().int() }),
  eventId: (e) => `${e.lead} ${e.score}`,
  map: (e) => ({ visitor: { thirdPartyId: e.lead }, attributes: { leadScore: e.score } }),
  sample: { lead: 1001, score: 40 },
})
