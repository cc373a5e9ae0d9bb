/** Dropbox Sign: the event is JSON in a field of a multipart form, and wants an answer of its own. */
import { eventTime, id, json, multipart, queryKey, source, text } from 'target-relay'
import * as z from 'zod'

const callback = z.object({
  event: z.object({ event_type: text(), event_time: eventTime(), event_hash: id() }),
  // A trial of the address has none.
  signature_request: z.object({ metadata: z.object({ customer: id() }) }).optional(),
})

export const dropboxSign = source('dropbox-sign', {
  auth: queryKey('code'),
  format: 'text',
  schema: multipart(z.object({ json: json(callback) })),
  eventId: ({ json: { event } }) => event.event_hash,
  occurredAt: ({ json: { event } }) => event.event_time,
  map: ({ json: { event, signature_request: request } }) =>
    request === undefined
      ? null
      : { visitor: { thirdPartyId: request.metadata.customer }, attributes: { contract: event.event_type } },
  reply: { contentType: 'text/plain', body: 'Hello API Event Received' },
  sample: [
    '--boundary',
    'content-disposition: form-data; name="json"',
    '',
    '{"event":{"event_type":"signature_request_signed","event_time":"1795611550","event_hash":"3a31"},"signature_request":{"metadata":{"customer":"customer-1"}}}',
    '--boundary--',
  ].join('\r\n'),
})
