/** What runs and operators' answers cost at Upstash: these are figures of docs/costs.md. */
import { expect, it } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { createRelay, parseAll } from '../../src/relay/create.ts'
import { sqliteStorage } from '../../src/server/sqlite-storage.ts'
import { fakeClock } from '../support/clock.ts'
import { testSecrets } from '../support/secrets.ts'
import { settingsFor } from '../support/settings.ts'
import { startUpstashStandIn } from '../support/upstash-stand-in.ts'

async function costs(more: Readonly<Record<string, string>>) {
  const standIn = await startUpstashStandIn()
  const emulator = await startEmulator({ autoSeed: true })
  const parsed = parseAll(
    settingsFor(emulator.origin, {
      UPSTASH_REDIS_REST_URL: standIn.url,
      UPSTASH_REDIS_REST_TOKEN: standIn.token,
      ...more,
    }),
    [],
  )
  if (!parsed.ok) throw new Error(parsed.problems.join('; '))
  const clock = fakeClock(Date.now())
  let sent = 0
  const relay = await createRelay({
    sources: [],
    settings: parsed.settings,
    storage: sqliteStorage(':memory:', { log: () => {} }),
    clock,
    fetch: async (input, init) => {
      sent++
      return String(input).startsWith(emulator.origin) ? fetch(input, init) : new Response()
    },
    log: () => {},
  })
  const of = async (work: () => Promise<unknown>) => {
    standIn.resetCounts()
    const before = sent
    await work()
    return { ...standIn.counts, sent: sent - before }
  }
  // The first run asks whose the ledger is, counts what there is and walks the dead letters.
  for (let n = 0; n < 3; n++) await relay.flush()
  const end = async () => {
    await standIn[Symbol.asyncDispose]()
    await emulator[Symbol.asyncDispose]()
  }
  return { relay, clock, of, end }
}

const alerts = { ALERT_URL: 'http://127.0.0.1:9/alerts', ALERT_SECRET: testSecrets.hook('alerts') }
const minuteMs = 60_000

it.each([
  ['without alerts', {}, 4, 4, 4],
  // All that alerts are judged by is read each ten minutes, in one request of three commands.
  ['with alerts', alerts, 6, 6, 8],
] as const)('an idle run %s', async (_, settings, requests, commands, commandsEachTenth) => {
  const { relay, clock, of, end } = await costs(settings)
  try {
    for (let n = 0; n < 3; n++) {
      expect(await of(() => relay.flush())).toMatchObject({ requests, commands })
      await clock.advance(minuteMs)
    }
    await clock.advance(10 * minuteMs)
    expect(await of(() => relay.flush())).toMatchObject({ requests, commands: commandsEachTenth })
    await clock.advance(minuteMs)
    expect(await of(() => relay.flush())).toMatchObject({ requests, commands })
  } finally {
    await end()
  }
})

it('a run that raises an alert: what it costs anyway, three commands around it, and three for its message', async () => {
  const startMs = Date.now()
  // Two weeks before it ends there is an alert.
  const expiresAt = new Date(startMs + 14 * 86_400_000 + minuteMs).toISOString()
  const { relay, clock, of, end } = await costs({ ...alerts, TARGET_TOKEN_EXPIRES_AT: expiresAt })
  try {
    const commands = async () => (await of(() => relay.flush())).commands
    expect(await commands()).toBe(6)
    await clock.advance(2 * minuteMs)
    expect(await commands()).toBe(6 + 3 + 3)
    await clock.advance(minuteMs)
    expect(await commands()).toBe(6)
  } finally {
    await end()
  }
})

it('a run of 30 calls and all its duties makes fewer than the 50 requests that the Free plan of Workers allows', async () => {
  const { relay, of, end } = await costs({ ...alerts, FLUSH_MAX_CALLS: '30' })
  try {
    await relay.operator.pause(true)
    const updates = Array.from({ length: 100 }, (_, n) => ({
      visitor: { thirdPartyId: `v${n}` },
      attributes: { a: 'b' },
    }))
    const headers = { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' }
    await relay.app.request('/v1/updates', { method: 'POST', headers, body: JSON.stringify({ updates }) })
    await relay.operator.pause(false)
    const { requests, sent } = await of(() => relay.flush())
    expect(sent).toBe(30)
    expect(requests + sent).toBe(47)
  } finally {
    await end()
  }
})

it.each([
  ['/admin/api/status', 1, 3],
  ['/admin/api/backlog', 1, 3],
  ['/metrics', 1, 3],
  ['/admin/api/dead', 0, 0],
])('GET %s asks %i request of %i commands', async (route, requests, commands) => {
  const { relay, of, end } = await costs({})
  try {
    const ask = async () => {
      const headers = { authorization: `Bearer ${testSecrets.adminToken}` }
      expect((await relay.app.request(route, { headers })).status).toBe(200)
    }
    await ask()
    expect(await of(ask)).toMatchObject({ requests, commands })
  } finally {
    await end()
  }
})
