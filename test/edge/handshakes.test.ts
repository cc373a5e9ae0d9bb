/** Handshakes, the success status that each sender accepts, and what is logged of unauthenticated requests. */
import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { createApp } from '../../src/edge/app.ts'
import { createAuthFailed } from '../../src/edge/auth/failed-authentications.ts'
import {
  type AuthScheme,
  anyOf,
  apiKey,
  bearer,
  discord,
  github,
  line,
  mailgun,
  type Preset,
  paddle,
  slack,
  stripe,
  workos,
  zoom,
} from '../../src/edge/auth/index.ts'
import { eitherOf } from '../../src/edge/auth/scheme.ts'
import { source } from '../../src/edge/source/source.ts'
import { createWorld, type World } from '../support/world.ts'
import { senders } from './auth/senders.ts'

const wire = { method: 'post', origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' } as const
const event = z.object({ id: z.string(), customer: z.string(), tier: z.string() }).loose()

/** A relay whose one source accepts events that have an id, and quarantines all others. */
function relayFor(world: World, auth: AuthScheme, secrets: readonly string[]) {
  const told: [string, string][] = []
  const app = createApp({
    settings: {
      targetClientCode: 'demo',
      apiTokens: [],
      hookSecrets: new Map(secrets.length === 0 ? [] : [['desk', secrets]]),
    },
    sources: [
      source('desk', {
        auth,
        schema: event,
        acceptsCopies: true,
        map: (e) => ({ id: e.id, visitor: { thirdPartyId: e.customer }, attributes: { tier: e.tier } }),
      }),
    ],
    prepare: world.prepare,
    wire,
    deliver: (updates, lane) => world.deliver(updates, lane),
    bury: (dead) => world.backlog.bury(dead),
    ready: () => Promise.reject(new Error('not here')),
    operator: {} as never,
    clock: world.clock,
    authFailed: (name, why) => void told.push([name, why]),
  })
  const post = async (body: string, headers: Readonly<Record<string, string>>, path = '/hooks/desk') => {
    const answer = await app.fetch(
      new Request(`https://relay.example${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      }),
    )
    const text = await answer.text()
    return {
      status: answer.status,
      headers: answer.headers,
      answer: text === '' ? undefined : (JSON.parse(text) as object),
    }
  }
  return { post, told }
}

/** Sends with the signature that the preset's sender makes. */
async function asVendor(name: string, make: Preset) {
  const world = await createWorld()
  const vendor = senders[name]
  if (vendor === undefined) throw new Error(name)
  const [secret] = vendor.secrets
  const { post } = relayFor(world, make(), [secret])
  return {
    world,
    send: async (body: object, more: Readonly<Record<string, string>> = {}) => {
      const text = JSON.stringify(body)
      const { headers } = await vendor.sign(text, world.clock.now(), secret)
      return post(text, { ...headers, ...more })
    },
  }
}

const update = { id: 'e1', customer: 'visitor-1', tier: 'gold' }

describe('Discord', () => {
  const application = { version: 1, application_id: '1' }
  it('a ping is answered 204 without a body, and an event is processed', async () => {
    const { world, send } = await asVendor('discord', discord)
    expect(await send({ ...application, type: 0 })).toMatchObject({ status: 204, answer: undefined })
    const sent = {
      ...application,
      ...update,
      type: 1,
      event: { type: 'APPLICATION_AUTHORIZED', timestamp: '2026-11-25T10:00:00Z' },
    }
    expect(await send(sent)).toMatchObject({ status: 204, answer: undefined })
    expect([world.profile(), await world.dead()]).toEqual([{ tier: 'gold' }, []])
  })

  it('the ping of an interactions endpoint is answered with a pong', async () => {
    const { send } = await asVendor('discord', discord)
    expect(await send({ ...application, id: '5', token: 't', type: 1 })).toMatchObject({
      status: 200,
      answer: { type: 1 },
    })
  })

  it.each([
    { ...application, type: 1, event: { type: 'ENTITLEMENT_CREATE' } },
    { ...application, type: 0, event: { type: 'ENTITLEMENT_CREATE' } },
    { ...application, type: 1, token: 't', event: null },
    { ...application, type: 1 },
    { type: 0 },
    { ...application, type: 2, token: 't' },
  ])('%j is not a ping', async (body) => {
    const { world, send } = await asVendor('discord', discord)
    expect(await send(body)).toMatchObject({ status: 204 })
    expect((await world.dead()).length).toBe(1)
  })
})

describe('GitHub', () => {
  const ping = { zen: 'Keep it logically awesome.', hook_id: 1, hook: { type: 'Repository', id: 1 } }
  it('a ping is answered, and not stored', async () => {
    const { world, send } = await asVendor('github', github)
    expect(await send(ping, { 'x-github-event': 'ping' })).toMatchObject({ status: 200, answer: { status: 'pong' } })
    expect(await world.dead()).toEqual([])
    expect(
      await github().handshake?.({ payload: JSON.stringify(ping) }, '', new Headers({ 'x-github-event': 'ping' })),
    ).toBeDefined()
  })

  it('neither an event under a ping’s unsigned header nor a ping under another header counts as a ping', async () => {
    const { world, send } = await asVendor('github', github)
    expect(await send(update, { 'x-github-event': 'ping' })).toMatchObject({ answer: { status: 'submitted' } })
    expect(await send({ ...update, ...ping, id: 'e2' }, { 'x-github-event': 'push' })).toMatchObject({
      answer: { id: 'e2' },
    })
    expect(await world.dead()).toEqual([])
  })
})

describe('LINE and Slack', () => {
  it('LINE’s verification has no events, and is answered 200', async () => {
    const { world, send } = await asVendor('line', line)
    expect(await send({ destination: 'U1', events: [] })).toMatchObject({ status: 200 })
    expect(await world.dead()).toEqual([])
    expect(await send({ destination: 'U1', events: [{ type: 'follow' }] })).toMatchObject({
      status: 200,
      answer: { status: 'quarantined' },
    })
  })

  it('Slack’s certificate check of a command’s URL is not taken for a command', async () => {
    const { handshake } = slack()
    expect(await handshake?.({ ssl_check: '1', token: 't' }, '', new Headers())).toEqual({})
    expect(await handshake?.({ ssl_check: '1', command: '/tier', token: 't' }, '', new Headers())).toBeUndefined()
    expect(await handshake?.({ type: 'event_callback', challenge: 'c' }, '', new Headers())).toBeUndefined()
  })
})

describe('the success status that the sender accepts', () => {
  it.each(Object.entries({ zoom, paddle, line, workos }))(
    '%s accepts only 200, and gets it for deferred, quarantined and repeated events too',
    async (name, make) => {
      const { world, send } = await asVendor(name, make)
      await world.ledger.pause(true)
      expect(await send(update)).toMatchObject({ status: 200, answer: { id: 'e1', status: 'deferred' } })
      await world.settled()
      expect(await send(update)).toMatchObject({ status: 200, answer: { status: 'duplicate' } })
      expect(await send({ strange: 1 })).toMatchObject({ status: 200, answer: { status: 'quarantined' } })
    },
  )

  it('Mailgun, whose signature is in the body, gets 200 too', async () => {
    const world = await createWorld()
    const { post } = relayFor(world, mailgun(), ['key-made-up'])
    const timestamp = String(Math.floor(world.clock.now() / 1_000))
    const signature = {
      timestamp,
      token: 'token',
      signature: createHmac('sha256', 'key-made-up').update(`${timestamp}token`).digest('hex'),
    }
    await world.ledger.pause(true)
    expect(await post(JSON.stringify({ ...update, signature }), {})).toMatchObject({
      status: 200,
      answer: { status: 'deferred' },
    })
    expect(await post(JSON.stringify({ signature }), {})).toMatchObject({
      status: 200,
      answer: { status: 'quarantined' },
    })
    expect((await post('{}', {})).status).toBe(401)
  })

  it('an event that could not be stored is answered 503, so the sender repeats it', async () => {
    const { world, send } = await asVendor('zoom', zoom)
    world.backlog.bury = () => Promise.reject(new Error('KV PUT failed: 503'))
    expect(await send({ strange: 1 })).toMatchObject({ status: 503, answer: { type: '/problems/unavailable' } })
  })

  it('a rejection stays a rejection, and a sender that accepts any 2xx is answered 202', async () => {
    const { world, send } = await asVendor('stripe', stripe)
    expect(await send({ strange: 1 })).toMatchObject({ status: 202, answer: { status: 'quarantined' } })
    expect(await relayFor(world, zoom(), ['a-made-up-secret']).post('{}', {})).toMatchObject({ status: 401 })
  })

  it('several schemes with different statuses use 200, which most accept', () => {
    expect(eitherOf('x', [zoom(), paddle()]).yes).toBe(200)
    expect(anyOf('x', { zoom: zoom(), plain: bearer() }).yes).toBe(200)
    expect(anyOf('x', { key: apiKey('x-key'), plain: bearer() })).not.toHaveProperty('yes')
    expect(eitherOf('x', [discord()]).yes).toBe(204)
  })
})

describe('an unauthenticated sender', () => {
  it('is not told the reason, which is logged with the source’s name', async () => {
    const world = await createWorld()
    const { post, told } = relayFor(world, bearer(), ['a-made-up-secret'])
    const missing = await post('{}', {})
    const other = await post('{}', { authorization: 'Bearer other' })
    expect([missing.status, other.status, missing.answer]).toEqual([401, 401, other.answer])
    expect(told).toEqual([
      ['desk', 'header_missing'],
      ['desk', 'mismatch'],
    ])
  })

  it('is told to retry, not rejected, when no secret is set or the scheme can read none', async () => {
    const world = await createWorld()
    for (const [auth, secrets] of [
      [bearer(), []],
      [discord(), ['no-public-key']],
    ] as const) {
      const { post, told } = relayFor(world, auth, secrets)
      const signed = {
        authorization: 'Bearer x',
        'x-signature-timestamp': String(Math.floor(world.clock.now() / 1_000)),
        'x-signature-ed25519': 'ab'.repeat(64),
      }
      const { status, headers, answer } = await post('{}', signed)
      expect([status, Number(headers.get('retry-after')) > 0, told]).toEqual([503, true, [['desk', 'no_secret']]])
      expect(JSON.stringify(answer)).not.toContain('secret')
    }
  })

  it('is logged as a mismatch when a custom scheme says false or gives an unknown verdict', async () => {
    const world = await createWorld()
    for (const verdict of [false, 'yes', undefined]) {
      const { post, told } = relayFor(world, { name: 'own', verify: async () => verdict as never }, [
        'a-made-up-secret',
      ])
      expect([(await post('{}', {})).status, told]).toEqual([401, [['desk', 'mismatch']]])
    }
  })

  it('gives one log line a minute for each source and reason, with the count', () => {
    const lines: object[] = []
    const counted: object[] = []
    let nowMs = 0
    const tell = createAuthFailed({
      clock: { now: () => nowMs },
      memory: new Map(),
      log: (name, details) => lines.push({ name, ...details }),
      add: (counters) => counted.push(counters),
      count: (counters) => counted.push(counters),
    })
    for (; nowMs < 60_000; nowMs += 1_000) tell('desk', 'mismatch')
    tell('desk', 'stale')
    tell('desk', 'mismatch')
    expect(lines).toEqual([
      { name: 'unauthenticated', source: 'desk', why: 'mismatch', count: 1 },
      { name: 'unauthenticated', source: 'desk', why: 'stale', count: 1 },
      { name: 'unauthenticated', source: 'desk', why: 'mismatch', count: 60 },
    ])
    // Each is counted, with a settle that is made anyway or with its own.
    expect(counted.filter((counts) => 'desk/-/unauthenticated_mismatch' in counts)).toHaveLength(61)
    expect(counted.at(-2)).toEqual({ 'desk/-/unauthenticated_stale': 1 })
    // The clock was set back.
    nowMs = -1e9
    tell('desk', 'mismatch')
    expect(lines.length).toBe(4)
  })
})
