/** Microsoft Graph: change notifications, here of contacts; each carries the secret as `clientState`. */
import { bodyKey, echoQuery, id, source, text } from 'target-relay'
import * as z from 'zod'

export const microsoftGraph = source('microsoft-graph', {
  auth: bodyKey('value.clientState'),
  greet: echoQuery('validationToken', { method: 'POST' }),
  each: (body) => z.object({ value: z.array(z.unknown()) }).parse(body).value,
  schema: z.object({ changeType: text(), resourceData: z.object({ id: id(), '@odata.etag': text() }) }),
  eventId: ({ changeType, resourceData }) => `${resourceData.id} ${changeType} ${resourceData['@odata.etag']}`,
  map: (e) => ({ visitor: { thirdPartyId: e.resourceData.id }, attributes: { contact: e.changeType } }),
  sample: { changeType: 'updated', resourceData: { id: 'customer-1', '@odata.etag': 'W/"CQAAABYA"' } },
})
