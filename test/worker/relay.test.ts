/** The deployed relay as a black box: real workerd, real KV, and each ledger. */
import { afterAll, describe, expect, it } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { beginRequest } from '../support/hang-up.ts'
import { testSecrets } from '../support/secrets.ts'
import { settingsFor } from '../support/settings.ts'
import { startUpstashStandIn, type UpstashStandIn } from '../support/upstash-stand-in.ts'
import { startWorkerdRelay } from '../support/workerd.ts'

const post = (origin: string, body: unknown) =>
  fetch(`${origin}/v1/updates`, {
    method: 'POST',
    headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

const standIns: UpstashStandIn[] = []
afterAll(async () => {
  for (const standIn of standIns) await standIn[Symbol.asyncDispose]()
})

const ledgers = [
  ['the Durable Object ledger', async () => ({})],
  [
    'the Upstash ledger',
    async () => {
      const standIn = await startUpstashStandIn()
      standIns.push(standIn)
      return { UPSTASH_REDIS_REST_URL: standIn.url, UPSTASH_REDIS_REST_TOKEN: standIn.token }
    },
  ],
] as const

describe.each(ledgers)('in workerd on %s', (_, ledgerSettings) => {
  it('under 64 senders and overlapping flushes: never more than 200 calls in any 10 s (G1), and the newest acknowledged values arrive (G2, G3)', {
    timeout: 120_000,
  }, async () => {
    const windowMs = 10_000
    await using emulator = await startEmulator({ autoSeed: true, windowMs })
    await using relay = await startWorkerdRelay(
      settingsFor(emulator.origin, {
        ...(await ledgerSettings()),
        QUOTA_LIMIT: '200',
        QUOTA_WINDOW_MS: String(windowMs),
        QUOTA_BUCKET_MS: '100',
        QUOTA_SLACK_MS: '1500',
        TARGET_TIMEOUT_MS: '2000',
        BACKOFF_BASE_MS: '200',
        OUTAGE_SETTLE_MS: '1000',
        LEDGER_TIMEOUT_MS: '5000',
        ANSWER_DEADLINE_MS: '10000',
      }),
    )
    const [senders, each, visitors] = [64, 10, 120]
    // Shuffles the event times without repeating one: 277 and 640 share no factor.
    const shuffle = (index: number) => (index * 277) % (senders * each)
    const startMs = Date.now() - 60_000
    const newest = new Map<string, { atMs: number; value: string }>()
    const statuses: Record<string, number> = {}
    let sending = true
    const flushing = (async () => {
      while (sending) await Promise.all([relay.flush(), relay.flush(), relay.flush()])
    })()
    await Promise.all(
      Array.from({ length: senders }, async (_, sender) => {
        for (let n = 0; n < each; n++) {
          const serial = shuffle(sender * each + n)
          const visitor = `visitor-${serial % visitors}`
          const name = `attribute${serial % 2}`
          const atMs = startMs + serial
          const value = `value-${sender}-${n}`
          const response = await post(relay.url, {
            id: `event-${sender}-${n}`,
            visitor: { thirdPartyId: visitor },
            attributes: { [name]: value },
            occurredAt: atMs,
          })
          const { status } = (await response.json()) as { status: string }
          statuses[status] = (statuses[status] ?? 0) + 1
          expect([200, 202]).toContain(response.status)
          const key = `${visitor} ${name}`
          const held = newest.get(key)
          if (held === undefined || atMs > held.atMs) newest.set(key, { atMs, value })
        }
      }),
    )
    sending = false
    await flushing
    const giveUpAtMs = Date.now() + 60_000
    while ((await relay.keys('b1/')).length > 0 && Date.now() < giveUpAtMs) {
      await Promise.all([relay.flush(), relay.flush(), relay.flush()])
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    expect(await relay.keys('b1/')).toEqual([])
    expect(await relay.keys('d')).toEqual([])
    expect(emulator.statistics().maxInWindow).toBeLessThanOrEqual(200)
    expect(emulator.statistics().malformed).toBe(0)
    expect(statuses['submitted']).toBeGreaterThan(50)
    expect(statuses['deferred']).toBeGreaterThan(50)
    const wrong = [...newest].filter(([key, { value }]) => {
      const [visitor, name] = key.split(' ')
      return emulator.profiles.values(`3p:${visitor}`)?.[name ?? ''] !== value
    })
    expect(wrong).toEqual([])
  })
})

describe('what an update costs at Upstash', () => {
  it('live and warm: one HTTP request before the answer, two in all; deferred: the same plus one put', async () => {
    const standIn = await startUpstashStandIn()
    standIns.push(standIn)
    await using emulator = await startEmulator({ autoSeed: true })
    await using relay = await startWorkerdRelay(
      settingsFor(emulator.origin, { UPSTASH_REDIS_REST_URL: standIn.url, UPSTASH_REDIS_REST_TOKEN: standIn.token }),
    )
    const update = (id: string) => ({ id, visitor: { thirdPartyId: id }, attributes: { tier: 'gold' } })
    await post(relay.url, update('warm-up'))
    await until(() => standIn.counts.names.filter((name) => name === 'eval').length >= 4)

    // The answer does not wait for the settle.
    standIn.resetCounts()
    emulator.faults.add({ kind: 'delay', delayMs: 50, count: 1 })
    expect(await (await post(relay.url, update('one'))).json()).toMatchObject({ status: 'submitted', calls: 1 })
    await until(() => standIn.counts.requests >= 2)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(standIn.counts).toMatchObject({ requests: 2, commands: 3, names: ['evalsha', 'evalsha', 'evalsha'] })
    expect(emulator.statistics().calls).toBe(2)
  })

  it('a ledger that hangs: the update is deferred with 202, and Target is not called (G1)', async () => {
    const standIn = await startUpstashStandIn()
    standIns.push(standIn)
    await using emulator = await startEmulator({ autoSeed: true })
    await using relay = await startWorkerdRelay(
      settingsFor(emulator.origin, {
        UPSTASH_REDIS_REST_URL: standIn.url,
        UPSTASH_REDIS_REST_TOKEN: standIn.token,
        LEDGER_TIMEOUT_MS: '300',
      }),
    )
    standIn.fault = { kind: 'hang' }
    const response = await post(relay.url, { visitor: { thirdPartyId: 'x' }, attributes: { a: 1 } })
    expect([response.status, await response.json()]).toEqual([
      202,
      { status: 'deferred', reason: 'ledger_unavailable' },
    ])
    expect(emulator.statistics().calls).toBe(0)
    expect(await relay.keys('b1/')).toHaveLength(1)
  })
})

describe('in workerd', () => {
  it('a token that Target rejects: nothing is lost (G2), /readyz reports it, and updates are still accepted', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using relay = await startWorkerdRelay(settingsFor(emulator.origin))
    const readyz = async () => (await fetch(`${relay.url}/readyz`)).status
    expect(await readyz()).toBe(200)
    emulator.faults.add({ kind: 'status', status: 401 })
    const answer = await post(relay.url, { id: 'one', visitor: { thirdPartyId: 'v1' }, attributes: { tier: 'gold' } })
    expect([answer.status, await answer.json()]).toEqual([
      202,
      { id: 'one', status: 'deferred', reason: 'target_unavailable' },
    ])
    const details = await fetch(`${relay.url}/readyz`, {
      headers: { authorization: `Bearer ${testSecrets.adminToken}` },
    })
    expect(await details.json()).toMatchObject({
      status: 'ready',
      checks: { store: 'ok', target: 'fail' },
      breaker: 'misconfigured',
    })
    expect(await readyz()).toBe(200)
  })

  it('names missing settings, and reveals no values', async () => {
    await using relay = await startWorkerdRelay({ TARGET_CLIENT_CODE: 'demo', HASH_KEY: 'too-short' })
    expect((await fetch(`${relay.url}/healthz`)).status).toBe(200)
    const response = await fetch(`${relay.url}/v1/updates`, { method: 'POST' })
    expect(response.status).toBe(503)
    const text = await response.text()
    expect(text).toContain('HASH_KEY must have 32 bytes or more')
    expect(text).not.toContain('too-short')
  })

  it('keys and logs hold no id and no value (G8)', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using relay = await startWorkerdRelay(settingsFor(emulator.origin, { QUOTA_LIMIT: '1', REPLAY_RESERVE: '0' }))
    for (const id of ['canary-one', 'canary-two'])
      await post(relay.url, { id, visitor: { thirdPartyId: id }, attributes: { tier: 'canary-value' } })
    await relay.flush()
    const keys = await relay.keys('')
    expect(keys.filter((key) => key.startsWith('b1/'))).toHaveLength(1)
    expect(JSON.stringify([keys, relay.logs()])).not.toContain('canary')
  })
})

describe('a sender that hangs up', () => {
  it('cancels nothing: the call is made and settled, and a repeat is a duplicate (G2, G4)', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using relay = await startWorkerdRelay(settingsFor(emulator.origin))
    emulator.faults.add({ kind: 'delay', delayMs: 600, count: 1 })
    const update = { id: 'evt', visitor: { thirdPartyId: 'x' }, attributes: { tier: 'gold' } }
    const hungUp = fetch(`${relay.url}/v1/updates`, {
      method: 'POST',
      headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(update),
      signal: AbortSignal.timeout(300),
    })
    await expect(hungUp).rejects.toThrow()
    await until(() => emulator.profiles.values('3p:x')?.['tier'] === 'gold')
    expect(emulator.profiles.values('3p:x')).toEqual({ tier: 'gold' })
    let repeated: unknown
    await untilAsync(async () => {
      repeated = await (await post(relay.url, update)).json()
      return (repeated as { status: unknown }).status === 'duplicate'
    })
    expect(repeated).toEqual({ id: 'evt', status: 'duplicate' })
    expect(emulator.statistics().calls).toBe(1)
  })
})

describe('the requests of an isolate, which share one Redis client', () => {
  it('many at once of which some hang up: the ledger answers each of the others, and knows of every call (G1)', {
    timeout: 120_000,
  }, async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using standIn = await startUpstashStandIn()
    await using relay = await startWorkerdRelay(
      settingsFor(emulator.origin, {
        UPSTASH_REDIS_REST_URL: standIn.url,
        UPSTASH_REDIS_REST_TOKEN: standIn.token,
        LEDGER_TIMEOUT_MS: '10000',
        ANSWER_DEADLINE_MS: '10000',
      }),
    )
    const [senders, each] = [12, 9]
    const answers: { asked: string; answer: { id?: string; status?: string; reason?: string } }[] = []
    await Promise.all(
      Array.from({ length: senders }, async (_, sender) => {
        for (let n = 0; n < each; n++) {
          const id = `${sender}-${n}`
          const update = { id, visitor: { thirdPartyId: `visitor-${id}` }, attributes: { tier: id } }
          if (n % 3 === 1) {
            const connection = await beginRequest(relay.url, JSON.stringify(update), 1)
            await new Promise((resolve) => setTimeout(resolve, (sender * 7 + n) % 20))
            connection.resetAndDestroy()
          } else answers.push({ asked: id, answer: (await (await post(relay.url, update)).json()) as object })
        }
      }),
    )
    // Target may be slow on a busy machine; that the ledger was silent would be another reason.
    const known = answers.map(({ answer: { id, status, reason } }) => ({ id, taken: reason ?? status }))
    const expected = answers.map(({ asked }, index) => ({
      id: asked,
      taken: known[index]?.taken === 'slow' ? 'slow' : 'submitted',
    }))
    expect(known).toEqual(expected)
    expect(answers).toHaveLength((senders * each * 2) / 3)
    // What hung up goes on behind.
    let used: unknown
    await untilAsync(async () => {
      const usage = await fetch(`${relay.url}/admin/api/status`, {
        headers: { authorization: `Bearer ${testSecrets.adminToken}` },
      })
      used = ((await usage.json()) as { used: unknown }).used
      return used === emulator.statistics().calls && emulator.statistics().calls > answers.length
    })
    expect(used).toBe(emulator.statistics().calls)
    expect(relay.logs().filter(({ event }) => /ledger|settle|admission/.test(String(event)))).toEqual([])
  })
})

async function until(holds: () => boolean): Promise<void> {
  await untilAsync(async () => holds())
}

async function untilAsync(holds: () => Promise<boolean>): Promise<void> {
  const giveUpAtMs = Date.now() + 5_000
  while (!(await holds()) && Date.now() < giveUpAtMs) await new Promise((resolve) => setTimeout(resolve, 10))
}
