/** What events change: `npm test` runs this. */
import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { sources } from '../src/sources.ts'

const callCentre = sources.find(({ name }) => name === 'call-centre')
const event = { caseId: 'case-1', customer: '123456', outcome: 'resolved', at: '2026-11-24T10:00:00Z' }

test('a case sets the outcome of the last call', () => {
  deepEqual(callCentre?.read(event), {
    ok: true,
    drafts: [
      {
        id: 'case-1',
        visitor: { thirdPartyId: '123456' },
        occurredAt: Date.parse(event.at),
        attributes: { lastCallOutcome: 'resolved' },
      },
    ],
  })
})

test('a case without a customer changes nobody', () => {
  equal(callCentre?.read({ ...event, customer: undefined }).ok, false)
})
