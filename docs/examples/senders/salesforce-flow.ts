/** Salesforce Flow: an HTTP callout, with the key in a named credential. */
import { apiKey, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const salesforceFlow = source('salesforce-flow', {
  auth: apiKey('x-relay-key'),
  schema: z.object({ caseId: id(), contact: id(), status: text(), changedAt: eventTime() }),
  eventId: (e) => `${e.caseId} ${e.changedAt}`,
  occurredAt: (e) => e.changedAt,
  map: (e) => ({ visitor: { thirdPartyId: e.contact }, attributes: { caseStatus: e.status } }),
  sample: { caseId: '500-1', contact: 'customer-1', status: 'Closed', changedAt: '2026-11-25T13:09:10.000+0000' },
})
