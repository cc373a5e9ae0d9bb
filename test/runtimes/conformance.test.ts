/** The relay behaves the same everywhere: one black-box suite on each runtime and each ledger. */
import { createHmac, createSign, generateKeyPairSync, sign } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { beginRequest } from '../support/hang-up.ts'
import { sendRaw } from '../support/raw-http.ts'
import { kioskHook, sendHook, signedHook } from '../support/sender.ts'
import { settingsFor } from '../support/settings.ts'
import { startUpstashStandIn, type UpstashStandIn } from '../support/upstash-stand-in.ts'
import { type Answered, newFolder, operate, post, type RunningRelay, runtimes, startRelay } from './relays.ts'

const canary = 'canary-2342'
const windowMs = 3_000
/** A quota that only the quota's own tests reach. */
const quick = {
  QUOTA_WINDOW_MS: String(windowMs),
  QUOTA_BUCKET_MS: '30',
  // On a busy machine a call may be in flight for longer.
  QUOTA_SLACK_MS: '1000',
  BACKOFF_BASE_MS: '1',
  OUTAGE_SETTLE_MS: '0',
  TARGET_TIMEOUT_MS: '1000',
}

const ed25519 = generateKeyPairSync('ed25519')
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const issuerKeys = await generateKeyPair('RS256', { extractable: true })
const secrets = {
  HOOK_SECRET_HMAC: 'old-hmac,new-hmac',
  HOOK_SECRET_LATER: 'new-hmac',
  HOOK_SECRET_FORM: 'a-form-secret',
  HOOK_SECRET_ED25519: `whpk_${ed25519.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('base64')}`,
  HOOK_SECRET_ECDSA: p256.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
}

let emulator: Emulator
let upstash: UpstashStandIn
let issuer: ReturnType<typeof createServer>
let serial = 0
const unique = () => `v${Date.now().toString(36)}${++serial}`
const update = (visitor: string, attributes: object, more: object = {}) => ({
  id: unique(),
  visitor: { thirdPartyId: visitor },
  attributes,
  ...more,
})
const profile = (visitor: string) => emulator.profiles.values(`3p:${visitor}`)
const json = { 'content-type': 'application/json' }

beforeAll(async () => {
  emulator = await startEmulator({ autoSeed: true, windowMs })
  upstash = await startUpstashStandIn()
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(issuerKeys.publicKey)), kid: 'one' }] })
  issuer = createServer((_, response) => response.end(jwks))
  await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => {
  issuer.close()
  await emulator.close()
  await upstash[Symbol.asyncDispose]()
})
beforeEach(() => emulator.reset())

const settings = (ledger: string, more: Readonly<Record<string, string>> = {}) =>
  settingsFor(emulator.origin, {
    ...quick,
    ...secrets,
    TEST_JWKS_URL: `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks.json`,
    ...(ledger === 'upstash' ? { UPSTASH_REDIS_REST_URL: upstash.url, UPSTASH_REDIS_REST_TOKEN: upstash.token } : {}),
    ...more,
  })

describe.each(
  runtimes.flatMap((runtime) => (['embedded', 'upstash'] as const).map((ledger) => [runtime, ledger] as const)),
)('%s with the %s ledger', (runtime, ledger) => {
  let relay: RunningRelay
  const folder = newFolder()
  beforeAll(async () => {
    // Each relay sees a Redis of its own.
    await upstash.command('FLUSHALL')
    relay = await startRelay(runtime, folder, settings(ledger))
  })
  afterAll(async () => {
    await relay.end('SIGKILL')
    expect(relay.printed()).not.toContain(canary)
  })
  const flush = () => operate(relay, '/flush')
  const flushAll = async (giveUpMs = 10_000) => {
    const giveUpAtMs = Date.now() + giveUpMs
    for (let report = await flush(); ; report = await flush()) {
      if (report['stopped'] === 'drained' && report['deferredAgain'] === 0) return report
      if (Date.now() > giveUpAtMs) throw new Error(`the backlog does not drain: ${JSON.stringify(report)}`)
      await sleep(50)
    }
  }
  const hook = async (path: string, body: string, headers: Record<string, string>): Promise<Answered> => {
    const response = await fetch(`${relay.url}${path}`, { method: 'POST', headers, body })
    return { status: response.status, answer: (await response.json()) as Record<string, unknown> }
  }

  it('reports its readiness and its ledger', async () => {
    expect(await (await fetch(`${relay.url}/healthz`)).json()).toEqual({ status: 'ok' })
    const ready = await fetch(`${relay.url}/readyz`, {
      headers: { authorization: 'Bearer admin-token-for-tests-only' },
    })
    expect(await ready.json()).toMatchObject({ status: 'ready', ledger, checks: { ledger: 'ok' } })
  })

  it('answers HTTP/1.0 without a Host, as plain health checks send it, with or without a body', async () => {
    // A Worker is behind Cloudflare, which handles this.
    if (runtime === 'workerd') return
    // HAProxy's `option httpchk`, with a path and without one.
    for (const path of ['/readyz', '/'])
      expect(await sendRaw(relay.url, `OPTIONS ${path} HTTP/1.0\r\n\r\n`)).toMatch(/^HTTP\/1\.[01] 200 /)
    expect(await sendRaw(relay.url, 'GET /healthz HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.[01] 200 [\s\S]*"ok"/)
    const body = JSON.stringify(update(unique(), { tier: 'gold' }))
    const head = `authorization: Bearer api-token-for-tests-only\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n`
    expect(await sendRaw(relay.url, `POST /v1/updates HTTP/1.0\r\n${head}\r\n${body}`, 5_000)).toContain('"submitted"')
  })

  it('an authentication scheme that rejects with a non-error: the sender is told to retry, and the relay goes on', async () => {
    expect(await hook('/hooks/throws', '{}', json)).toMatchObject({
      status: 503,
      answer: { type: '/problems/unavailable' },
    })
    expect((await fetch(`${relay.url}/healthz`)).status).toBe(200)
    expect(relay.printed()).not.toContain('a text')
  })

  it('anonymous readiness checks read the ledger once in 5 s', async () => {
    if (ledger !== 'upstash') return
    await fetch(`${relay.url}/readyz`)
    upstash.resetCounts()
    const startMs = Date.now()
    await Promise.all(
      Array.from({ length: 30 }, () => fetch(`${relay.url}/readyz`).then((response) => response.text())),
    )
    expect(upstash.counts.requests).toBeLessThanOrEqual(2 * Math.ceil((Date.now() - startMs + 1) / 5_000))
  })

  describe('signatures', () => {
    const event = (visitor: string) => JSON.stringify({ id: unique(), customer: visitor, tier: 'gold' })
    const seconds = () => String(Math.floor(Date.now() / 1_000))
    const proofs: readonly [
      name: string,
      path: string,
      sign: (body: string) => Promise<Record<string, string>> | Record<string, string>,
    ][] = [
      [
        'HMAC-SHA-256',
        '/hooks/hmac',
        (body) => ({
          ...json,
          'x-hub-signature-256': `sha256=${createHmac('sha256', 'new-hmac').update(body).digest('hex')}`,
        }),
      ],
      [
        'Ed25519',
        '/hooks/ed25519',
        (body) => {
          const at = seconds()
          const signed = sign(null, Buffer.from(`m.${at}.${body}`), ed25519.privateKey).toString('base64')
          return { ...json, 'webhook-id': 'm', 'webhook-timestamp': at, 'webhook-signature': `v1a,${signed}` }
        },
      ],
      [
        'ECDSA',
        '/hooks/ecdsa',
        (body) => {
          const at = seconds()
          return {
            ...json,
            'x-twilio-email-event-webhook-timestamp': at,
            'x-twilio-email-event-webhook-signature': createSign('sha256')
              .update(at + body)
              .sign(p256.privateKey, 'base64'),
          }
        },
      ],
      [
        'a JWT',
        '/hooks/token',
        async () => ({
          ...json,
          authorization: `Bearer ${await new SignJWT({
            iss: 'https://issuer.example',
            aud: 'relay',
            exp: Math.floor(Date.now() / 1_000) + 60,
          })
            .setProtectedHeader({ alg: 'RS256', kid: 'one' })
            .sign(issuerKeys.privateKey)}`,
        }),
      ],
    ]
    it.each(proofs)('%s: accepted as sent, rejected with one byte changed', async (name, path, signed) => {
      const visitor = unique()
      const body = event(visitor)
      const headers = await signed(body)
      // A token authenticates the sender, not the body.
      if (name !== 'a JWT') expect((await hook(path, body.replace('gold', 'iron'), headers)).status).toBe(401)
      for (const header of Object.keys(headers).filter((one) => one !== 'content-type' && one !== 'webhook-id'))
        expect(
          (await hook(path, body, { ...headers, [header]: `${headers[header]?.slice(0, -3)}AAA` })).status,
          header,
        ).toBe(401)
      expect((await hook(path, body, json)).status).toBe(401)
      expect((await hook(path, body, headers)).answer).toMatchObject({ status: 'submitted' })
      expect(profile(visitor)).toEqual({ tier: 'gold' })
    })

    it('HMAC-SHA-1 over a URL that a proxy changed, and a form', async () => {
      const visitor = unique()
      const fields = { customer: visitor, id: unique(), tier: 'a b' }
      const content = `https://public.example/hooks/formcustomer${fields.customer}id${fields.id}tier${fields.tier}`
      const headers = {
        'content-type': 'application/x-www-form-urlencoded',
        'x-twilio-signature': createHmac('sha1', 'a-form-secret').update(content).digest('base64'),
      }
      expect(
        (await hook('/hooks/form', new URLSearchParams({ ...fields, tier: 'x' }).toString(), headers)).status,
      ).toBe(401)
      expect((await hook('/hooks/form', new URLSearchParams(fields).toString(), headers)).answer).toMatchObject({
        status: 'submitted',
      })
      expect(profile(visitor)).toEqual({ tier: 'a b' })
    })

    it('a vendor’s library and a bearer token are accepted, an anonymous request is not', async () => {
      const loan = { loan: unique(), customer: unique(), status: 'funded', amount: 2.5, at: new Date().toISOString() }
      expect(await sendHook(relay.url, signedHook('loan', 'm1', loan))).toMatchObject({
        status: 200,
        answer: { status: 'submitted' },
      })
      expect(await sendHook(relay.url, signedHook('loan', 'm1', loan, new Date(Date.now() - 400_000)))).toMatchObject({
        status: 401,
      })
      const kiosk = kioskHook({ session: unique(), pcId: '1-2.3_4', page: '/', at: new Date().toISOString() })
      expect(await sendHook(relay.url, kiosk)).toMatchObject({ status: 200 })
      expect((await hook('/hooks/nobody', '{}', json)).status).toBe(404)
    })

    it('an event that its source cannot read is quarantined, and a dry run shows the calls', async () => {
      const body = JSON.stringify({ odd: canary })
      const headers = {
        ...json,
        'x-hub-signature-256': `sha256=${createHmac('sha256', 'old-hmac').update(body).digest('hex')}`,
      }
      expect(await hook('/hooks/hmac', body, headers)).toEqual({ status: 202, answer: { status: 'quarantined' } })
      expect((await hook('/hooks/hmac?dry_run=1', body, headers)).answer).toMatchObject({
        dryRun: true,
        status: 'unmappable',
      })
    })
  })

  describe('sizes and texts (G5, G6)', () => {
    it('an update of 150 KB is sent in parts of at most 60,000 bytes', async () => {
      const visitor = unique()
      const attributes = Object.fromEntries(
        Array.from({ length: 15 }, (_, n) => [`a${n}`, String(n % 10).repeat(10_000)]),
      )
      expect((await post(relay, update(visitor, attributes))).answer).toMatchObject({ status: 'submitted', calls: 3 })
      // All of it was sent; Target keeps 64 KB.
      expect(emulator.taken.flatMap(({ pairs }) => [...pairs.keys()])).toHaveLength(15)
      expect(emulator.statistics()).toMatchObject({ malformed: 0, byStatus: { 200: 3 } })
    })

    it('rejects what fits no call, a body too large and a bad visitor, at no cost', async () => {
      expect((await post(relay, update(unique(), { a: canary.repeat(6_000) }))).status).toBe(422)
      expect((await post(relay, update(unique(), { a: 'x'.repeat(1_100_000) }))).status).toBe(413)
      expect((await post(relay, update(`${canary}+`, { a: 'x' }))).status).toBe(422)
      expect(emulator.statistics().calls).toBe(0)
    })

    it('Target decodes any text as it was sent', async () => {
      const visitor = `ä&=%?# ${unique()}`
      const attributes = { 'a&b=c': '1&mbox3rdPartyId=other', ü: '💶 100%+', 'x y': '\t"<>\\', ['__proto__.z']: 'q' }
      expect((await post(relay, update(visitor, attributes))).answer).toMatchObject({ status: 'submitted' })
      expect(profile(visitor)).toEqual(attributes)
    })
  })

  describe('numbers (G6)', () => {
    it.each(['820982911946154508', '1.10', '-0', '1e3'])('%s is sent as it was written', async (number) => {
      const visitor = unique()
      const body = `{"visitor":{"thirdPartyId":"${visitor}"},"attributes":{"n":${number},"l":[${number}]}}`
      const { answer } = await hook('/v1/updates', body, { ...json, authorization: 'Bearer api-token-for-tests-only' })
      expect(answer).toMatchObject({ status: 'submitted' })
      expect(profile(visitor)).toEqual({ n: number, l: `[${number}]` })
    })

    it('an event’s id keeps every digit', async () => {
      const { path, headers, body } = kioskHook({ session: 0, pcId: '1-2.3_4', page: '/', at: Date.now() })
      const { answer } = await hook(path, body.replace('0', '9007199254740993'), headers)
      expect(answer).toMatchObject({ id: '9007199254740993', status: 'submitted' })
    })
  })

  describe('admission', () => {
    it('a repeated event costs no call, also under another body (G4)', async () => {
      const one = update(unique(), { tier: 'gold' })
      expect((await post(relay, one)).answer).toMatchObject({ status: 'submitted' })
      await until(async () => (await post(relay, one)).answer['status'] === 'duplicate')
      expect(emulator.statistics().calls).toBe(1)
    })

    it('an older value never overwrites a newer one, live or replayed (G3)', async () => {
      const visitor = unique()
      const sinceMs = Date.now() - 60_000
      const at = (ms: number) => ({ occurredAt: sinceMs + ms })
      await operate(relay, '/pause')
      await post(relay, update(visitor, { tier: 'waits', city: 'waits' }, at(10)))
      await operate(relay, '/resume')
      expect((await post(relay, update(visitor, { tier: 'newest' }, at(30)))).answer).toMatchObject({
        status: 'submitted',
      })
      await until(
        async () => (await post(relay, update(visitor, { tier: 'older' }, at(20)))).answer['status'] === 'superseded',
      )
      await flushAll()
      expect(profile(visitor)).toEqual({ tier: 'newest', city: 'waits' })
    })

    it('never more calls than the quota in any window (G1); deferred updates follow later (G7)', async () => {
      const own = newFolder()
      await upstash.command('FLUSHALL')
      const small = await startRelay(runtime, own, settings(ledger, { QUOTA_LIMIT: '20', REPLAY_RESERVE: '0.2' }))
      try {
        const visitors = Array.from({ length: 60 }, unique)
        const answers = await Promise.all(visitors.map((visitor) => post(small, update(visitor, { tier: 'x' }))))
        const statuses = answers.map(({ answer }) => answer['status'])
        // How many go at once depends on the machine's speed: but each is one of the two, and not all fit into the quota.
        expect(statuses.filter((status) => status !== 'submitted' && status !== 'deferred')).toEqual([])
        expect(statuses).toContain('deferred')
        const giveUpAtMs = Date.now() + 45_000
        for (;;) {
          await Promise.all([operate(small, '/flush'), operate(small, '/flush')])
          if (visitors.every((visitor) => profile(visitor)?.['tier'] === 'x')) break
          if (Date.now() > giveUpAtMs) throw new Error('the backlog does not drain')
          await sleep(100)
        }
        expect(emulator.statistics()).toMatchObject({ calls: 60 })
        expect(emulator.statistics().maxInWindow).toBeLessThanOrEqual(20)
      } finally {
        await small.end('SIGKILL')
        await upstash.command('FLUSHALL')
        await relay.end('SIGKILL')
        relay = await startRelay(runtime, newFolder(), settings(ledger))
      }
    })

    it('a Target that closes a kept-alive connection on a call gets no more calls than were admitted (G1)', async () => {
      for (let n = 0; n < 5; n++) await post(relay, update(unique(), { tier: 'x' }))
      emulator.faults.add({ kind: 'close-kept-alive', count: 3 })
      const answers = await Promise.all(Array.from({ length: 6 }, () => post(relay, update(unique(), { tier: 'x' }))))
      for (const { status } of answers) expect([200, 202]).toContain(status)
      // A call of unknown outcome is in flight for 6 s, and the same may happen once more.
      await flushAll(40_000)
      const { counters } = (await (
        await fetch(`${relay.url}/admin/api/status`, {
          headers: { authorization: 'Bearer admin-token-for-tests-only' },
        })
      ).json()) as { counters: { calls: number } }
      // The settles run after the answers.
      expect(emulator.statistics().calls).toBeLessThanOrEqual(counters.calls)
    })
  })

  describe('deferral and flush', () => {
    it('what Target fails on is deferred, and delivered later (G2)', async () => {
      const visitor = unique()
      emulator.faults.add({ kind: 'status', status: 503, headers: { 'retry-after': '0' }, count: 1 })
      expect(await post(relay, update(visitor, { tier: 'gold' }))).toMatchObject({
        status: 202,
        answer: { reason: 'target_unavailable' },
      })
      await flushAll()
      expect(profile(visitor)).toEqual({ tier: 'gold' })
    })

    it('deferred updates are merged into one call; what Target refuses becomes a dead letter', async () => {
      const [visitor, other] = [unique(), unique()]
      await operate(relay, '/pause')
      const at = Date.now() - 10_000
      for (const [n, tier] of ['a', 'c', 'b'].entries())
        await post(relay, update(visitor, { tier, [`n${n}`]: 'x' }, { occurredAt: at + tier.charCodeAt(0) }))
      await operate(relay, '/resume')
      emulator.faults.add({ kind: 'refuse', message: 'no', visitor: `3p:${other}` })
      expect((await post(relay, update(other, { tier: 'x' }))).answer).toMatchObject({ status: 'rejected' })
      expect(await flushAll()).toMatchObject({ stopped: 'drained' })
      expect(profile(visitor)).toEqual({ tier: 'c', n0: 'x', n1: 'x', n2: 'x' })
      expect(emulator.taken.filter(({ visitor: who }) => who === `3p:${visitor}`)).toHaveLength(1)
    })

    it('a source’s delay holds updates back', async () => {
      const visitor = unique()
      const body = JSON.stringify({ id: unique(), customer: visitor, tier: 'gold' })
      const headers = {
        ...json,
        'x-hub-signature-256': `sha256=${createHmac('sha256', 'new-hmac').update(body).digest('hex')}`,
      }
      expect((await hook('/hooks/later', body, headers)).answer).toMatchObject({
        status: 'deferred',
        reason: 'delayed',
      })
      await flush()
      expect(profile(visitor)).toBeUndefined()
      await flushAll()
      expect(profile(visitor)).toEqual({ tier: 'gold' })
    })

    it('erasure covers deferred updates', async () => {
      const visitor = unique()
      await operate(relay, '/pause')
      await post(relay, update(visitor, { tier: 'gold' }))
      await until(
        async () => (await operate(relay, '/visitor', { visitor: { thirdPartyId: visitor } }))['entries'] === 1,
      )
      expect(await operate(relay, '/erase', { visitor: { thirdPartyId: visitor } })).toMatchObject({
        entries: 1,
        complete: true,
      })
      await operate(relay, '/resume')
      await flush()
      expect(profile(visitor)).toBeUndefined()
    })
  })

  describe('a sender that hangs up', () => {
    it('in the middle of its request: nothing of it is accepted, and the relay goes on', async () => {
      const event = update(unique(), { tier: 'gold' })
      const body = JSON.stringify(event)
      for (const share of [0.1, 0.5, 0.9, 0.999]) (await beginRequest(relay.url, body, share)).resetAndDestroy()
      expect((await post(relay, update(unique(), { tier: 'x' }))).answer).toMatchObject({ status: 'submitted' })
      expect(profile(event.visitor.thirdPartyId)).toBeUndefined()
      expect((await post(relay, event)).answer).toMatchObject({ status: 'submitted' })
      expect(emulator.statistics().calls).toBe(2)
    })

    it('before its answer: nothing is cancelled; a repeat is a duplicate (G2, G4)', async () => {
      const event = update(unique(), { tier: 'gold' })
      emulator.faults.add({ kind: 'delay', delayMs: 300, count: 1 })
      const connection = await beginRequest(relay.url, JSON.stringify(event), 1)
      await until(() => emulator.statistics().calls === 1)
      connection.resetAndDestroy()
      await until(async () => (await post(relay, event)).answer['status'] === 'duplicate')
      expect(profile(event.visitor.thirdPartyId)).toEqual({ tier: 'gold' })
      expect(emulator.statistics().calls).toBe(1)
    })
  })

  describe('restart', () => {
    it('killed at any moment: what was acknowledged is still there, and what was done is not repeated (G2, G4)', async () => {
      const own = newFolder()
      const first = await startRelay(runtime, own, settings(ledger))
      const done = update(unique(), { tier: 'done' })
      const waits = update(unique(), { tier: 'waits' })
      await post(first, done)
      await until(async () => (await post(first, done)).answer['status'] === 'duplicate')
      await operate(first, '/pause')
      expect((await post(first, waits)).answer).toMatchObject({ status: 'deferred' })
      await first.end('SIGKILL')

      const second = await startRelay(runtime, own, settings(ledger))
      try {
        // The pause survives too.
        expect((await post(second, update(unique(), { tier: 'x' }))).answer).toMatchObject({ reason: 'paused' })
        await operate(second, '/resume')
        await until(async () => (await operate(second, '/flush'))['deferredAgain'] === 0)
        expect(profile(waits.visitor.thirdPartyId)).toEqual({ tier: 'waits' })
        expect((await post(second, done)).answer).toMatchObject({ status: 'duplicate' })
        expect(emulator.taken.filter(({ pairs }) => pairs.get('tier') === 'done')).toHaveLength(1)
      } finally {
        await second.end('SIGKILL')
      }
    })

    // A Worker is never asked to stop.
    if (runtime === 'workerd') return
    it('asked to stop: answers the requests it has, and exits with 0', async () => {
      const stopping = await startRelay(runtime, newFolder(), settings(ledger))
      emulator.faults.add({ kind: 'delay', delayMs: 300, count: 1 })
      const answer = post(stopping, update(unique(), { tier: 'x' }))
      await until(() => emulator.statistics().calls === 1)
      const ended = stopping.end('SIGTERM')
      expect((await answer).answer).toMatchObject({ status: 'submitted' })
      expect(await ended).toBe(0)
      expect(stopping.printed()).toContain('"event":"stopped","inTime":"yes"')
    })
  })
})

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAtMs = Date.now() + 15_000
  while (!(await what())) {
    if (Date.now() > giveUpAtMs) throw new Error('timed out waiting for a condition')
    await sleep(20)
  }
}
