/** XML by a parser of the source's own. */
import { describe, expect, it } from 'vitest'
import { salesforceOutboundMessage as salesforce } from '../../docs/examples/senders/salesforce-outbound-message.ts'
import { eventsIn, mapEvents } from '../../src/edge/source/mapping.ts'
import { createWorld } from '../support/world.ts'

const envelope = (inner: string, before = '') =>
  `<?xml version="1.0" encoding="UTF-8"?>${before}<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound">${inner}</notifications></soapenv:Body></soapenv:Envelope>`
const notification = (id: string, customer: string, status = 'Closed') =>
  `<Notification><Id>${id}</Id><sObject><Id>5</Id><Status__c>${status}</Status__c><Customer__c>${customer}</Customer__c></sObject></Notification>`

async function mapped(xml: string) {
  const { prepare, clock } = await createWorld()
  const found = eventsIn(salesforce, xml)
  return found.ok ? mapEvents(salesforce, found.events, { arrivalMs: clock.now() }, prepare) : found
}

describe('Salesforce Outbound Message', () => {
  it('gives one update a notification, ids and texts as they are', async () => {
    const sent = notification('04l1', '00012345678901234567', 'Z&amp;Ü') + notification('04l2', '2')
    expect(await mapped(envelope(sent))).toMatchObject([
      { updates: [{ visitor: { thirdPartyId: '00012345678901234567' }, attributes: [{ value: 'Z&Ü' }] }] },
      { updates: [{ visitor: { thirdPartyId: '2' } }] },
    ])
  })

  it('refuses entities of the document’s own', async () => {
    const doctype = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    expect(await mapped(envelope(notification('1', '&b;'), doctype))).toMatchObject({ ok: false })
    expect(await mapped('<html>')).toMatchObject({ ok: false })
  })
})
