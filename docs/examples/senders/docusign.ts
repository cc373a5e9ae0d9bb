/** DocuSign Connect in JSON: each of its keys signs in a header of its own. */
import { eventTime, id, signature, source, text } from 'target-relay'
import * as z from 'zod'

export const docuSign = source('docusign', {
  auth: signature({
    name: 'docusign',
    algorithm: 'HMAC-SHA-256',
    signature: { header: ['x-docusign-signature-1', 'x-docusign-signature-2'], encoding: 'base64' },
    signed: '{body}',
  }),
  schema: z.object({
    event: text(),
    generatedDateTime: eventTime(),
    data: z.object({ envelopeId: id(), customer: id() }),
  }),
  eventId: (e) => `${e.data.envelopeId} ${e.event}`,
  occurredAt: (e) => e.generatedDateTime,
  map: (e) => ({ visitor: { thirdPartyId: e.data.customer }, attributes: { contract: e.event } }),
  sample: {
    event: 'envelope-completed',
    generatedDateTime: '2026-11-25T13:09:10.0000000Z',
    data: { envelopeId: 'v-1', customer: 'customer-1' },
  },
})
