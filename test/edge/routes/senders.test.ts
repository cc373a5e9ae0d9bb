/** What senders need beyond a signature and JSON: handshakes, headers, other formats and answers, bodies of many events. */
import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import type { DeadLetter } from '../../../src/core/backlog/port.ts'
import { createApp } from '../../../src/edge/app.ts'
import { anyOf, apiKey, basic, bearer, jwt, queryKey, shopify } from '../../../src/edge/auth/index.ts'
import { createKeepConfirmation } from '../../../src/edge/source/confirmations.ts'
import { cloudEvents, echoHeader, echoQuery, eventGrid, type Greet } from '../../../src/edge/source/greet.ts'
import { createMapAgain } from '../../../src/edge/source/map-again.ts'
import { id, text } from '../../../src/edge/source/schemas.ts'
import { source } from '../../../src/edge/source/source.ts'
import type { Source } from '../../../src/edge/source/types.ts'
import { createWorld, type World } from '../../support/world.ts'

const secret = 'a-made-up-secret'
const key = { 'x-relay-key': secret }
const event = z.object({ id: id(), customer: id(), tier: text() })
const toUpdate = (e: z.output<typeof event>) => ({
  id: e.id,
  visitor: { thirdPartyId: e.customer },
  attributes: { tier: e.tier },
})
const base = { auth: apiKey('x-relay-key'), schema: event, map: toUpdate }
const one = { id: 'e-1', customer: 'c-1', tier: 'gold' }

interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | object
}

async function edge(sources: readonly Source[], world?: World) {
  const on = world ?? (await createWorld())
  const buried: DeadLetter[] = []
  const logged: string[] = []
  const greeted: string[] = []
  const backlog = {
    bury: async (dead: DeadLetter) => {
      buried.push(dead)
      return `d1/${buried.length}`
    },
  }
  const app = createApp({
    settings: {
      targetClientCode: 'demo',
      apiTokens: [],
      hookSecrets: new Map(sources.map(({ name }) => [name, [secret]])),
    },
    sources,
    prepare: on.prepare,
    wire: { method: 'post', origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' },
    deliver: on.deliver,
    bury: backlog.bury,
    greeted: (name) => greeted.push(name),
    keepConfirmation: createKeepConfirmation({
      backlog,
      ledger: on.ledger,
      random: { hex: () => String(buried.length) },
      count: () => {},
    }),
    ready: () => Promise.reject(new Error('not here')),
    operator: {} as never,
    clock: on.clock,
    log: (name, details) => logged.push(JSON.stringify({ event: name, ...details })),
  })
  const send = async (path: string, { body, ...init }: Asked = {}) => {
    const answer = await app.fetch(
      new Request(`https://relay.example/hooks/${path}`, {
        method: 'POST',
        ...init,
        headers: { 'content-type': 'application/json', ...init.headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      }),
    )
    return { status: answer.status, headers: answer.headers, text: await answer.text() }
  }
  return { send, buried, logged, greeted, world: on }
}

describe('a 401', () => {
  it.each([
    ['basic', basic(), 'Basic realm="target-relay", charset="UTF-8"'],
    ['bearer', bearer(), 'Bearer'],
    ['a header', apiKey('x-relay-key'), 'ApiKey header="x-relay-key"'],
    ['the query', queryKey('code'), 'QueryKey name="code"'],
    ['one of two', anyOf('two', { a: basic(), b: bearer() }), 'Basic realm="target-relay", charset="UTF-8", Bearer'],
  ])('says that %s is asked for', async (_, auth, challenge) => {
    const { send } = await edge([source('asked', { ...base, auth, acceptsCopies: true })])
    const { status, headers } = await send('asked', { body: one })
    expect([status, headers.get('www-authenticate')]).toEqual([401, challenge])
  })

  it('names a bearer token where a JWT is asked for', () => {
    expect(jwt({ issuer: 'i', audience: 'a', jwksUrl: 'https://i.example/keys' }).challenge).toBe('Bearer')
  })
})

describe('handshakes before authentication', () => {
  const ask = echoQuery('challenge')

  it('answer GET, OPTIONS and POST of a source that has one', async () => {
    const { send, greeted, buried } = await edge([
      source('io', { ...base, greet: ask }),
      source('cloud', { ...base, greet: cloudEvents() }),
      source('grid', { ...base, greet: eventGrid() }),
    ])
    expect(await send('io?challenge=8ec8', { method: 'GET' })).toMatchObject({ status: 200, text: '8ec8' })
    const origin = { 'webhook-request-origin': 'eventgrid.azure.net' }
    for (const headers of [origin, { ...origin, origin: 'https://portal.example' }]) {
      const allowed = await send('cloud', { method: 'OPTIONS', headers })
      expect([allowed.status, allowed.headers.get('webhook-allowed-origin')]).toEqual([200, 'eventgrid.azure.net'])
      expect(allowed.headers.get('access-control-allow-origin')).toBeNull()
    }
    const code = { eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent', data: { validationCode: 'CODE-1' } }
    expect(await send('grid', { body: [code] })).toMatchObject({
      status: 200,
      text: '{"validationResponse":"CODE-1"}',
    })
    expect(greeted).toEqual(['io', 'cloud', 'cloud', 'grid'])
    expect(buried).toEqual([])
  })

  it('leave everything else to authentication: no greeting lets an event in', async () => {
    const { send, world } = await edge([source('io', { ...base, greet: ask })])
    expect((await send('io?challenge=8ec8', { body: one })).status).toBe(401)
    expect((await send('io', { body: one, headers: key })).status).toBe(200)
    expect(world.profile('c-1')).toEqual({ tier: 'gold' })
  })

  it('a method that nobody asked for is 405, with those that are taken', async () => {
    const { send } = await edge([source('plain', base), source('put', { ...base, methods: ['POST', 'PUT'] })])
    for (const method of ['GET', 'OPTIONS', 'PUT', 'DELETE'])
      expect((await send('plain', { method })).status, method).toBe(405)
    expect((await send('plain', { method: 'HEAD' })).status).toBe(405)
    expect((await send('put', { method: 'GET' })).headers.get('allow')).toBe('POST, PUT')
    expect((await send('put', { method: 'PUT', body: one, headers: key })).status).toBe(200)
  })

  it('one that throws, or that answers beyond its bounds, is not given, and logged', async () => {
    const thrown: Greet = () => {
      throw new Error('with a value')
    }
    const { send, logged } = await edge([
      source('throws', { ...base, greet: thrown }),
      source('wide', { ...base, greet: () => ({ status: 200, body: '<b>' }) }),
    ])
    expect((await send('throws', { body: one, headers: key })).status).toBe(200)
    expect((await send('wide', { method: 'GET' })).status).toBe(405)
    expect(logged.join()).toContain('greeting_failed')
    expect(logged.join()).toContain('greeting_unbounded')
    expect(logged.join()).not.toContain('with a value')
  })

  it('a sender that asks again with every event finds its header on the answer', async () => {
    const { send } = await edge([source('sign', { ...base, greet: echoHeader('x-client', { onAnswers: true }) })])
    const headers = { ...key, 'x-client': 'client-1' }
    expect((await send('sign', { method: 'GET', headers })).headers.get('x-client')).toBe('client-1')
    expect((await send('sign', { body: one, headers })).headers.get('x-client')).toBe('client-1')
    expect((await send('sign', { body: one, headers: { 'x-client': 'client-1' } })).headers.get('x-client')).toBeNull()
  })
})

describe('a confirmation that a person must act on', () => {
  const sns = source('sns', {
    ...base,
    confirmation: ({ headers }) =>
      headers.get('x-amz-sns-message-type') === 'SubscriptionConfirmation' ? 'visit SubscribeURL' : undefined,
  })
  const asked = {
    body: { SubscribeURL: 'https://sns.example/confirm?Token=t' },
    headers: { 'x-amz-sns-message-type': 'SubscriptionConfirmation', 'content-type': 'text/plain' },
  }

  it('is kept for an operator, and its address is not called', async () => {
    const { send, buried, logged } = await edge([sns])
    expect(await send('sns', asked)).toMatchObject({ status: 200, text: '{"status":"kept"}' })
    expect(buried).toMatchObject([
      { reason: 'confirmation', source: 'sns', detail: 'visit SubscribeURL', raw: JSON.stringify(asked.body) },
    ])
    expect(logged.join()).not.toContain('sns.example')
  })

  it('is kept once in ten minutes, since anybody may send one', async () => {
    const { send, buried, world } = await edge([sns])
    await send('sns', asked)
    expect((await send('sns', asked)).status).toBe(503)
    await world.clock.advance(600_001)
    expect((await send('sns', asked)).status).toBe(200)
    expect(buried).toHaveLength(2)
  })

  it('that can’t be kept is logged, and its sender comes back', async () => {
    const { send, buried, logged } = await edge([sns])
    buried.push = () => {
      throw new RangeError('full')
    }
    expect((await send('sns', asked)).status).toBe(503)
    expect(logged).toContain(JSON.stringify({ event: 'quarantine_failed', source: 'sns', error: 'RangeError' }))
  })

  it('of many bytes is none', async () => {
    const { send, buried } = await edge([sns])
    const body = { SubscribeURL: 'x'.repeat(20_000) }
    expect((await send('sns', { ...asked, body })).status).toBe(401)
    expect(buried).toEqual([])
  })
})

describe('headers for the mapping', () => {
  const orders = source('shop', {
    auth: shopify(),
    acceptsCopies: true,
    headers: ['X-Shopify-Topic'],
    schema: z.object({ id: id(), customer: z.object({ id: id() }) }),
    eventId: (e, { headers }) => `${e.id}-${headers['x-shopify-topic']}`,
    map: (e, { headers }) => {
      const topic = headers['x-shopify-topic']
      if (topic === undefined) throw new Error('no topic')
      return { visitor: { thirdPartyId: e.customer.id }, attributes: { lastOrder: topic } }
    },
  })
  const body = '{"id":47,"customer":{"id":4700}}'
  const signed = (topic?: string) => ({
    'x-shopify-hmac-sha256': createHmac('sha256', secret).update(body).digest('base64'),
    'x-other': 'not named',
    ...(topic === undefined ? {} : { 'x-shopify-topic': topic }),
  })

  it('two topics of one order are two events', async () => {
    const { send, world } = await edge([orders])
    expect(JSON.parse((await send('shop', { body, headers: signed('orders/create') })).text).status).toBe('submitted')
    expect(JSON.parse((await send('shop', { body, headers: signed('orders/cancelled') })).text).status).toBe(
      'submitted',
    )
    expect(world.profile('4700')).toEqual({ lastOrder: 'orders/cancelled' })
  })

  it('are kept with a dead letter, so that mapping again gives the same; others are not', async () => {
    const strict = source('shop', {
      auth: shopify(),
      acceptsCopies: true,
      headers: ['x-shopify-topic'],
      schema: z.object({ id: id(), customer: z.object({ id: id(), email: text() }) }),
      map: () => null,
    })
    const { send, buried, world } = await edge([strict])
    expect((await send('shop', { body, headers: signed('orders/create') })).status).toBe(202)
    expect(buried[0]?.headers).toEqual({ 'x-shopify-topic': 'orders/create' })
    const again = createMapAgain({ sources: [orders], prepare: world.prepare })
    const letter = buried[0] as DeadLetter & { raw: string }
    expect(await again(letter, world.clock.now())).toMatchObject({
      ok: true,
      updates: [{ attributes: [{ name: 'lastOrder', value: 'orders/create' }] }],
    })
  })

  it.each(['Authorization', 'cookie', 'proxy-authorization'])('never %s, which carries a secret', (header) => {
    expect(() => source('a', { ...base, headers: [header] })).toThrow(/carries a secret/)
  })
})

describe('the body as the source says', () => {
  it('text goes to the schema as it is, whatever its type', async () => {
    const lines = z.string().transform((body, context) => {
      const [customer, tier] = body.split(';')
      if (customer !== undefined && tier !== undefined) return { customer, tier }
      context.addIssue({ code: 'custom', message: body })
      return z.NEVER
    })
    const { send, buried, world } = await edge([
      source('lines', {
        auth: bearer(),
        format: 'text',
        schema: lines,
        map: (e) => ({ visitor: { thirdPartyId: e.customer }, attributes: { tier: e.tier } }),
        reply: { contentType: 'text/xml; charset=utf-8', body: '<Ack>true</Ack>' },
      }),
    ])
    const headers = { authorization: `Bearer ${secret}`, 'content-type': 'text/xml; charset=utf-8' }
    const sent = await send('lines', { body: 'c-1;Zürich', headers })
    expect([sent.status, sent.text, sent.headers.get('content-type')]).toEqual([
      200,
      '<Ack>true</Ack>',
      'text/xml; charset=utf-8',
    ])
    expect(world.profile('c-1')).toEqual({ tier: 'Zürich' })
    // Also where it is kept for an operator; not where the sender is to come back.
    expect(await send('lines', { body: 'no separator', headers })).toMatchObject({
      status: 200,
      text: '<Ack>true</Ack>',
    })
    expect(buried).toMatchObject([{ reason: 'unmappable', raw: 'no separator' }])
    expect(buried[0]?.detail).not.toContain('no separator')
    expect((await send('lines', { body: 'c-1;x', headers: {} })).text).toContain('unauthenticated')
    buried.push = () => {
      throw new Error('full')
    }
    expect(await send('lines', { body: 'no separator', headers })).toMatchObject({
      status: 503,
      text: expect.not.stringContaining('Ack'),
    })
  })
})

describe('a body of several events', () => {
  const many = source('many', {
    ...base,
    each: (body) => z.object({ records: z.array(z.unknown()) }).parse(body).records,
  })

  it('one that can’t be mapped is kept alone, and the others go', async () => {
    const { send, buried, world } = await edge([many])
    const records = Array.from({ length: 100 }, (_, n) => ({ id: `e-${n}`, customer: `c-${n}`, tier: `t-${n}` }))
    const bad = { id: 820_982_911_946_154_508n, customer: 'c-57' }
    const body = JSON.stringify({ records: records.with(57, 'BAD' as never) }).replace(
      '"BAD"',
      `{"id":${bad.id},"customer":"c-57"}`,
    )
    const { status, text: answer } = await send('many', { body, headers: key })
    expect(status).toBe(202)
    expect(JSON.parse(answer).results).toHaveLength(100)
    expect(JSON.parse(answer).results.at(-1)).toEqual({ status: 'quarantined' })
    for (const n of [0, 56, 58, 99]) expect(world.profile(`c-${n}`)).toEqual({ tier: `t-${n}` })
    expect(buried).toMatchObject([
      {
        part: true,
        raw: '{"id":820982911946154508,"customer":"c-57"}',
        detail: expect.stringMatching(/^event 58 of 100/),
      },
    ])
    // Mapped again it is one event, with every digit of its id.
    const mended = source('many', {
      ...base,
      each: () => {
        throw new Error('not asked')
      },
      schema: z.object({ id: id(), customer: id() }),
      map: (e) => ({ visitor: { thirdPartyId: e.customer }, attributes: { order: e.id } }),
    })
    const again = createMapAgain({ sources: [mended], prepare: world.prepare })
    expect(await again(buried[0] as DeadLetter & { raw: string }, world.clock.now())).toMatchObject({
      ok: true,
      updates: [{ attributes: [{ value: '820982911946154508' }] }],
    })
  })

  it('of two events of one moment the later one wins', async () => {
    const { send, world } = await edge([many])
    const records = ['first', 'last'].map((tier) => ({ id: tier, customer: 'c-1', tier }))
    await world.ledger.pause(true)
    await send('many', { body: { records }, headers: key })
    await world.settled()
    await world.ledger.pause(false)
    await world.flush()
    expect(world.profile('c-1')).toEqual({ tier: 'last' })
  })

  it('a body that can’t be taken apart is kept whole', async () => {
    const { send, buried } = await edge([many])
    expect((await send('many', { body: { other: [] }, headers: key })).status).toBe(202)
    expect(buried).toMatchObject([{ raw: '{"other":[]}', detail: 'each threw ZodError' }])
    expect(buried[0]?.part).toBeUndefined()
    const records = Array.from({ length: 1_001 }, () => one)
    await send('many', { body: { records }, headers: key })
    expect(buried[1]?.detail).toBe('the body holds more than 1000 events')
  })

  it('none at all is ignored', async () => {
    const { send } = await edge([many])
    expect(await send('many', { body: { records: [] }, headers: key })).toMatchObject({
      status: 200,
      text: '{"status":"ignored"}',
    })
  })

  it('where one can’t be kept, the sender is to send all again', async () => {
    const world = await createWorld()
    const { send, buried } = await edge([many], world)
    buried.push = () => {
      throw new Error('full')
    }
    expect((await send('many', { body: { records: [one, { id: 'bad' }] }, headers: key })).status).toBe(503)
    expect(world.profile('c-1')).toEqual({ tier: 'gold' })
  })
})
