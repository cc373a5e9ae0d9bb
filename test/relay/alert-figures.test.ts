/** What alerts are judged by, and a whole relay that tells a receiver. */
import { createServer } from 'node:http'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import type { Slot } from '../../src/core/ledger/rules/figures.ts'
import { healthy } from '../../src/core/ledger/rules/health.ts'
import { emptyReport } from '../../src/cron/report.ts'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { type FiguresMemory, failedInRow, lookForAlerts } from '../../src/relay/alert-figures.ts'
import { testSecrets } from '../support/secrets.ts'
import { startServer } from '../support/server.ts'

const slot = (lines: Slot['lines']): Slot => ({ startMs: 0, lines })

describe('failed authentications in a row', () => {
  it.each<[string, readonly Slot[], Record<string, number>]>([
    ['none', [], {}],
    [
      'over several slots and reasons',
      [
        slot({ 'loan/-': { unauthenticated_mismatch: 3, unauthenticated_stale: 1 } }),
        slot({ 'loan/-': { unauthenticated_mismatch: 2 }, 'crm/-': { unauthenticated_mismatch: 1 } }),
      ],
      { loan: 6, crm: 1 },
    ],
    [
      'over once one was authenticated',
      [
        slot({ 'loan/-': { unauthenticated_mismatch: 30 } }),
        slot({ 'loan/live': { received: 1 } }),
        slot({ 'loan/-': { unauthenticated_mismatch: 2 } }),
      ],
      { loan: 2 },
    ],
    [
      'over where both were in one slot',
      [slot({ 'loan/live': { received: 1 }, 'loan/-': { unauthenticated_mismatch: 30 } })],
      { loan: 0 },
    ],
    [
      'not over by what is replayed of the source',
      [slot({ 'loan/-': { unauthenticated_mismatch: 30 }, 'loan/replay': { replayed: 5 } })],
      { loan: 30 },
    ],
  ])('%s', (_, slots, inRow) => {
    expect(failedInRow(slots)).toEqual(inRow)
  })
})

describe('what is read', () => {
  const summary = { limit: 10, used: 0, remaining: 10, health: healthy, leads: {} }
  function looking(slots: readonly Slot[] = []) {
    const asked: string[] = []
    let nowMs = 1_790_000_000_000
    const memory: FiguresMemory = {}
    const look = lookForAlerts({
      ledger: {
        summary: async () => {
          asked.push('summary')
          return summary
        },
      },
      status: {
        outlook: async () => {
          asked.push('outlook')
          const usage = { ...summary, buckets: [], counters: {}, totals: {} }
          return { usage, slots, figures: { firstDeferralAtMs: null, oldestAtMs: 5, dead: 1 } }
        },
      },
      clock: { now: () => nowMs },
      memory,
    })
    const pass = (ms: number) => {
      nowMs += ms
    }
    return { asked, look, pass }
  }

  it('an idle run reads all every ten minutes; that nothing waits its report says', async () => {
    const { asked, look, pass } = looking()
    expect((await look(emptyReport())).figures).toMatchObject({ oldestAtMs: null, firstDeferralAtMs: null, dead: 1 })
    pass(599_999)
    expect((await look(emptyReport())).figures).toEqual({ oldestAtMs: null })
    pass(1)
    await look(emptyReport())
    expect(asked).toEqual(['outlook', 'summary', 'outlook'])
  })

  it('a run that met something reads all', async () => {
    const { asked, look } = looking([slot({ 'loan/-': { unauthenticated_mismatch: 3 } })])
    const busy = { ...emptyReport(), read: 1 }
    await look(busy)
    expect((await look(busy)).figures).toEqual({
      firstDeferralAtMs: null,
      oldestAtMs: 5,
      dead: 1,
      unauthenticatedInRow: { loan: 3 },
    })
    expect(asked).toEqual(['outlook', 'outlook'])
  })
})

it('a whole relay tells its receiver that the quota is used up and that a source fails to authenticate', async () => {
  const secret = `whsec_${Buffer.alloc(32, 3).toString('base64')}`
  const told: { type: string; data: Record<string, unknown> }[] = []
  const receiver = createServer((request, response) => {
    let body = ''
    request.on('data', (part: Buffer) => {
      body += part.toString()
    })
    request.on('end', () => {
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
      told.push(new Webhook(secret).verify(body, headers) as (typeof told)[number])
      response.writeHead(204).end()
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  const { port } = receiver.address() as { port: number }
  await using emulator = await startEmulator({ autoSeed: true })
  const server = await startServer(emulator.origin, {
    settings: { QUOTA_LIMIT: '20', ALERT_URL: `http://127.0.0.1:${port}/alerts`, ALERT_SECRET: secret },
  })
  try {
    const post = async (path: string, token: string, body?: unknown) =>
      fetch(`${server.url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
    for (let count = 0; count < 21; count++) expect((await post('/hooks/kiosk', 'wrong', {})).status).toBe(401)
    const updates = Array.from({ length: 20 }, (_, n) => ({
      visitor: { thirdPartyId: `${n}` },
      attributes: { a: 'b' },
    }))
    await post('/v1/updates', testSecrets.apiToken, { updates })
    expect((await post('/admin/api/flush', testSecrets.adminToken)).status).toBe(200)
    expect(told.map(({ type, data }) => [type, data['level'] ?? data['source']])).toEqual(
      expect.arrayContaining([
        ['quota.used', 80],
        ['quota.used', 95],
        ['source.unauthenticated', 'kiosk'],
      ]),
    )
    const before = told.length
    await post('/admin/api/flush', testSecrets.adminToken)
    expect(told).toHaveLength(before)
  } finally {
    await server.stop()
    receiver.close()
  }
})
