/** Salesforce Outbound Message: SOAP with up to 100 notifications, acknowledged in SOAP. */
import { XMLParser } from 'fast-xml-parser'
import { id, queryKey, source, text } from 'target-relay'
import * as z from 'zod'

/** Entities of the document's own are not expanded: a few bytes of them could fill the memory. */
const parser = new XMLParser({
  processEntities: { enabled: true, maxTotalExpansions: 1_000, maxExpandedLength: 100_000 },
  parseTagValue: false,
  removeNSPrefix: true,
  isArray: (name) => name === 'Notification',
})

const notifications = z.object({
  Envelope: z.object({ Body: z.object({ notifications: z.object({ Notification: z.array(z.unknown()) }) }) }),
})

const acknowledgement =
  '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse></soapenv:Body></soapenv:Envelope>'

export const salesforceOutboundMessage = source('salesforce', {
  auth: queryKey('code'),
  format: 'text',
  // Refuses a document with a DOCTYPE, which only entities need.
  each: (body) => {
    const xml = z
      .string()
      .regex(/^(?![\s\S]*<!DOCTYPE)/i)
      .parse(body)
    return notifications.parse(parser.parse(xml)).Envelope.Body.notifications.Notification
  },
  schema: z.object({ Id: id(), sObject: z.object({ Id: id(), Status__c: text(), Customer__c: id() }) }),
  map: ({ Id, sObject }) => ({
    id: Id,
    visitor: { thirdPartyId: sObject.Customer__c },
    attributes: { caseStatus: sObject.Status__c },
  }),
  reply: { contentType: 'text/xml; charset=utf-8', body: acknowledgement },
  sample: {
    Id: '04l000000000001',
    sObject: { Id: '500000000000001', Status__c: 'Closed', Customer__c: 'customer-600' },
  },
})
