/** SAP Event Mesh, here with an event of SAP S/4HANA in the structured mode of CloudEvents. */
import { basic, cloudEvents, eventTime, id, source, text } from 'target-relay'
import * as z from 'zod'

export const sapEventMesh = source('sap-event-mesh', {
  auth: basic(),
  greet: cloudEvents(),
  schema: z.object({ id: id(), type: text(), time: eventTime(), data: z.object({ BusinessPartner: id() }) }),
  eventId: (e) => e.id,
  occurredAt: (e) => e.time,
  map: (e) => ({ visitor: { thirdPartyId: e.data.BusinessPartner }, attributes: { masterData: e.type } }),
  sample: {
    id: 'QgEK7wzuHtqdhJwqCS+VOA==',
    type: 'sap.s4.beh.businesspartner.v1.BusinessPartner.Changed.v1',
    time: '2026-11-25T13:09:10Z',
    data: { BusinessPartner: '1003764' },
  },
})
