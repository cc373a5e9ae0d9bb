/** Dynamics 365 and Dataverse: a webhook step, with lists of names and values. */
import { eventTime, id, queryKey, source } from 'target-relay'
import * as z from 'zod'

export const dataverse = source('dataverse', {
  auth: queryKey('code'),
  headers: ['x-ms-dynamics-msg-size-exceeded'],
  schema: z.object({
    OperationId: id(),
    OperationCreatedOn: eventTime(),
    PrimaryEntityId: id(),
    InputParameters: z.array(
      z.object({ value: z.object({ Attributes: z.array(z.object({ key: z.string(), value: z.unknown() })) }) }),
    ),
  }),
  eventId: (e) => e.OperationId,
  occurredAt: (e) => e.OperationCreatedOn,
  map: (e, { headers }) => {
    // Over 256 KB the values are left out: then an operator decides.
    if (headers['x-ms-dynamics-msg-size-exceeded'] !== undefined) throw new RangeError('the message is incomplete')
    const values = e.InputParameters.flatMap(({ value }) => value.Attributes)
    const stage = values.find(({ key }) => key === 'relay_stage')?.value
    if (typeof stage !== 'string') return null
    return { visitor: { thirdPartyId: e.PrimaryEntityId }, attributes: { stage } }
  },
  sample: {
    OperationId: 'o-1',
    OperationCreatedOn: '/Date(1795611550000)/',
    PrimaryEntityId: 'customer-1',
    InputParameters: [{ value: { Attributes: [{ key: 'relay_stage', value: 'won' }] } }],
  },
})
