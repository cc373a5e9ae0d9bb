/** Webhooks of every kind at one relay in a process: dry runs, handshakes, forms, delays, quarantine and remapping. */
import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import type { Backlog } from '../../../src/core/backlog/port.ts'
import { createRemap, type Reading } from '../../../src/core/operator/remap.ts'
import type { Lane, Update } from '../../../src/core/update/update.ts'
import { createApp } from '../../../src/edge/app.ts'
import { apiKey, basic, bearer, github, slack, twilio, zoom } from '../../../src/edge/auth/index.ts'
import { mapEvent, parseEvent } from '../../../src/edge/source/mapping.ts'
import { source } from '../../../src/edge/source/source.ts'
import type { MappedUpdate, Source } from '../../../src/edge/source/types.ts'
import { createWorld, type World } from '../../support/world.ts'

const secret = 'a-made-up-secret'
const old = 'the-secret-before'
const origin = 'https://relay.example'
const customer = z.object({ id: z.string(), customer: z.string(), tier: z.string(), at: z.number().optional() })
const toUpdate = (e: z.output<typeof customer>): MappedUpdate => ({
  id: e.id,
  visitor: { thirdPartyId: e.customer },
  attributes: { tier: e.tier },
  occurredAt: e.at,
})

const wire = { method: 'post', origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' } as const

function edge(world: World, sources: readonly Source[], lanes: Lane[] = []) {
  const app = createApp({
    settings: {
      targetClientCode: 'demo',
      apiTokens: [],
      hookSecrets: new Map(sources.map(({ name }) => [name, [old, secret, `user:${secret}`]])),
    },
    sources,
    prepare: world.prepare,
    wire,
    deliver: (updates, lane) => {
      lanes.push(lane)
      return world.deliver(updates, lane)
    },
    bury: (dead) => world.backlog.bury(dead),
    ready: () => Promise.reject(new Error('not here')),
    operator: {} as never,
    clock: world.clock,
  })
  return async (path: string, body: string, headers: Record<string, string> = {}) => {
    const answer = await app.fetch(
      new Request(`${origin}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      }),
    )
    return { status: answer.status, answer: (await answer.json()) as Record<string, unknown> }
  }
}
const proof = { authorization: `Bearer ${secret}` }
const event = (more: object = {}) => JSON.stringify({ id: 'e1', customer: 'visitor-1', tier: 'gold', ...more })

describe('ties (G3)', () => {
  it('of several updates from one event the last one wins, also when they are merged from the backlog', async () => {
    const tiers = Array.from({ length: 40 }, (_, index) => `tier-${index}`)
    const many = source('many', {
      auth: bearer(),
      schema: customer,
      map: (e) => tiers.map((tier) => ({ visitor: { thirdPartyId: e.customer }, attributes: { tier } })),
    })
    const world = await createWorld()
    await world.ledger.pause(true)
    expect((await edge(world, [many])('/hooks/many', event(), proof)).status).toBe(202)
    await world.settled()
    await world.ledger.pause(false)
    await world.flush()
    expect(world.profile()).toEqual({ tier: tiers.at(-1) })
    expect(await world.entries()).toBe(0)
  })
})

describe('dry run', () => {
  const sources = [source('desk', { auth: bearer(), schema: customer, map: toUpdate, delay: '1h' })]

  it('shows the exact calls that the event would make, and sends, stores and records nothing', async () => {
    const world = await createWorld()
    const send = edge(world, sources)
    const { status, answer } = await send('/hooks/desk?dry_run=1', event({ tier: 'a&b' }), proof)
    expect([status, answer]).toEqual([
      200,
      {
        dryRun: true,
        status: 'mapped',
        units: 1,
        updates: [
          {
            id: 'e1',
            visitor: { thirdPartyId: 'visitor-1' },
            attributes: [{ name: 'tier', value: 'a&b' }],
            occurredAt: new Date(world.clock.now()).toISOString(),
            notBefore: new Date(world.clock.now() + 3_600_000).toISOString(),
            calls: [
              {
                method: 'POST',
                url: 'https://demo.tt.omtrdc.net/m2/demo/profile/update',
                body: 'mbox3rdPartyId=visitor-1&profile.tier=a%26b',
                bytes: 43,
                units: 1,
              },
            ],
            units: 1,
          },
        ],
      },
    ])
    expect([world.target.calls.length, await world.entries(), await world.dead()]).toEqual([0, 0, []])
    // The event is still new to the relay.
    expect((await send('/hooks/desk', event(), proof)).answer).toEqual({
      id: 'e1',
      status: 'deferred',
      reason: 'delayed',
    })
  })

  it('says why an event cannot be mapped, and quarantines nothing', async () => {
    const world = await createWorld()
    const { status, answer } = await edge(world, sources)('/hooks/desk?dry_run=1', '{"id":1}', proof)
    expect([status, answer['status'], await world.dead()]).toEqual([200, 'unmappable', []])
    expect(answer['reason']).toContain('customer')
  })

  it.each(['true', '1'])('?dry_run=%s is a dry run', async (text) => {
    const world = await createWorld()
    expect((await edge(world, sources)(`/hooks/desk?dry_run=${text}`, event(), proof)).answer).toMatchObject({
      dryRun: true,
    })
  })

  it.each(['yes', '2', 'TRUE'])('?dry_run=%s is rejected: what looks like a dry run never sends', async (text) => {
    const world = await createWorld()
    expect((await edge(world, sources)(`/hooks/desk?dry_run=${text}`, event(), proof)).status).toBe(400)
    expect([world.target.calls.length, await world.entries()]).toEqual([0, 0])
  })

  it.each([
    'dryrun=1',
    'dry-run=1',
    'dryRun=true',
    'Dry_Run=1',
    'DRY_RUN=1',
    'dry%20run=1',
    'dry_run%20=1',
    'dry_run[]=1',
  ])('?%s is rejected: a misspelt dry run never sends', async (query) => {
    const world = await createWorld()
    expect((await edge(world, sources)(`/hooks/desk?${query}`, event(), proof)).status).toBe(400)
    expect([world.target.calls.length, await world.entries()]).toEqual([0, 0])
    expect((await edge(world, sources)('/hooks/desk?dry=1&run=1', event(), proof)).status).toBeLessThan(300)
  })

  it('needs the sender’s authentication', async () => {
    const world = await createWorld()
    expect((await edge(world, sources)('/hooks/desk?dry_run=1', event())).status).toBe(401)
  })
})

describe('authentication', () => {
  const sources = [
    source('key', { auth: apiKey('x-api-key'), schema: customer, map: toUpdate }),
    source('basic', { auth: basic(), schema: customer, map: toUpdate }),
    source('gone', {
      auth: { name: 'gone', needsSecret: false, verify: async () => 'unavailable' },
      schema: customer,
      map: toUpdate,
    }),
  ]
  const encoded = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })
  it.each<[string, string, Record<string, string>, number]>([
    ['the key', 'key', { 'x-api-key': secret }, 200],
    ['the previous key', 'key', { 'x-api-key': old }, 200],
    ['another key', 'key', { 'x-api-key': `${secret}x` }, 401],
    ['no key', 'key', {}, 401],
    ['user and password', 'basic', encoded(`user:${secret}`), 200],
    ['another user', 'basic', encoded(`admin:${secret}`), 401],
    ['credentials that are not base64', 'basic', { authorization: `Basic user:${secret}` }, 401],
    ['empty credentials', 'basic', { authorization: 'Basic ' }, 401],
    ['keys that cannot be fetched', 'gone', proof, 503],
  ])('%s', async (_, name, headers, status) => {
    const world = await createWorld()
    expect((await edge(world, sources)(`/hooks/${name}`, event(), headers)).status).toBe(status)
    // An unauthenticated request leaves nothing behind.
    if (status !== 200)
      expect([world.target.calls.length, await world.entries(), await world.dead(), world.logged]).toEqual([
        0,
        0,
        [],
        [],
      ])
  })
})

describe('handshakes: a sender checks that the address is ours', () => {
  const hmac = (key: string, content: string) => createHmac('sha256', key).update(content).digest('hex')

  it.each([secret, old])('Zoom’s URL validation, under the secret that it signed with (%s)', async (key) => {
    const world = await createWorld()
    const send = edge(world, [source('zoom', { auth: zoom(), schema: z.unknown(), map: () => null })])
    const body = JSON.stringify({ event: 'endpoint.url_validation', payload: { plainToken: 'qgg8vlvZRS6UYooatFL8Aw' } })
    const seconds = String(Math.floor(world.clock.now() / 1_000))
    const { status, answer } = await send('/hooks/zoom', body, {
      'x-zm-request-timestamp': seconds,
      'x-zm-signature': `v0=${hmac(key, `v0:${seconds}:${body}`)}`,
    })
    expect([status, answer]).toEqual([
      200,
      { plainToken: 'qgg8vlvZRS6UYooatFL8Aw', encryptedToken: hmac(key, 'qgg8vlvZRS6UYooatFL8Aw') },
    ])
    expect(
      (await send('/hooks/zoom', body, { 'x-zm-request-timestamp': seconds, 'x-zm-signature': 'v0=00' })).status,
    ).toBe(401)
  })

  it('Slack’s challenge is answered when it is signed, and its events are processed', async () => {
    const world = await createWorld()
    const send = edge(world, [source('slack', { auth: slack(), schema: customer, map: toUpdate })])
    const seconds = String(Math.floor(world.clock.now() / 1_000))
    const post = (body: string) =>
      send('/hooks/slack', body, {
        'x-slack-request-timestamp': seconds,
        'x-slack-signature': `v0=${hmac(secret, `v0:${seconds}:${body}`)}`,
      })
    expect((await post('{"type":"url_verification","challenge":"3eZbrw1a"}')).answer).toEqual({ challenge: '3eZbrw1a' })
    expect((await post(event())).answer).toMatchObject({ status: 'submitted' })
    expect((await send('/hooks/slack', '{"type":"url_verification","challenge":"x"}')).status).toBe(401)
  })
})

describe('forms', () => {
  const sources = [
    source('twilio', {
      auth: twilio(),
      acceptsCopies: true,
      format: 'form',
      schema: z.object({ CallSid: z.string(), From: z.string(), CallStatus: z.string() }),
      map: (e) => ({
        id: e.CallSid,
        visitor: { thirdPartyId: e.From.slice(1) },
        attributes: { lastCall: e.CallStatus },
      }),
    }),
  ]
  const body = 'CallSid=CA1&CallStatus=completed&From=%2B4790000000'
  const signature = createHmac('sha1', secret)
    .update(`${origin}/hooks/twilioCallSidCA1CallStatuscompletedFrom+4790000000`)
    .digest('base64')

  it('are verified, read and mapped', async () => {
    const world = await createWorld()
    const { answer } = await edge(world, sources)('/hooks/twilio', body, {
      'content-type': 'application/x-www-form-urlencoded',
      'x-twilio-signature': signature,
    })
    expect(answer).toEqual({ id: 'CA1', status: 'submitted', calls: 1 })
    expect(world.profile('4790000000')).toEqual({ lastCall: 'completed' })
  })

  it('JSON is not a form, and is quarantined', async () => {
    const world = await createWorld()
    const send = edge(world, [source('desk', { auth: bearer(), format: 'form', schema: customer, map: toUpdate })])
    expect(await send('/hooks/desk', event(), proof)).toEqual({ status: 202, answer: { status: 'quarantined' } })
    expect(await world.dead()).toEqual(['unmappable'])
  })
})

describe('delay', () => {
  const sources = [source('desk', { auth: bearer(), schema: customer, map: toUpdate, delay: '1h' })]
  const hourMs = 3_600_000

  it('holds an update back in the backlog, then sends it', async () => {
    const world = await createWorld()
    const send = edge(world, sources)
    expect(await send('/hooks/desk', event(), proof)).toEqual({
      status: 202,
      answer: { id: 'e1', status: 'deferred', reason: 'delayed' },
    })
    await world.settled()
    await world.clock.advance(hourMs - 1)
    await world.flush()
    expect([world.target.calls.length, await world.entries()]).toEqual([0, 1])
    await world.clock.advance(1)
    expect(await world.flush()).toMatchObject({ replayed: 1 })
    expect([world.profile(), await world.entries()]).toEqual([{ tier: 'gold' }, 0])
  })

  it('deferred updates are merged, and the newest wins: one call (G3)', async () => {
    const world = await createWorld()
    const send = edge(world, sources)
    for (const [index, tier] of ['bronze', 'gold', 'silver'].entries())
      await send(
        '/hooks/desk',
        event({ id: `e${index}`, tier, at: world.clock.now() - ([30_000, 10_000, 20_000][index] ?? 0) }),
        proof,
      )
    await world.clock.advance(hourMs)
    await world.flush()
    expect([world.target.calls.length, world.profile()]).toEqual([1, { tier: 'gold' }])
  })

  it('a newer update that came without delay is not overwritten by a delayed one (G3)', async () => {
    const world = await createWorld()
    await edge(world, sources)('/hooks/desk', event({ at: world.clock.now() }), proof)
    await world.clock.advance(1_000)
    await world.deliver([await world.update({ attributes: { tier: 'platinum' } })])
    await world.settled()
    await world.clock.advance(hourMs)
    expect(await world.flush()).toMatchObject({ superseded: 1, calls: 0 })
    expect(world.profile()).toEqual({ tier: 'platinum' })
  })

  it('a repeated event is a duplicate, and is in the backlog once (G4)', async () => {
    const world = await createWorld()
    const send = edge(world, sources)
    await send('/hooks/desk', event(), proof)
    await world.settled()
    expect((await send('/hooks/desk', event(), proof)).answer).toEqual({ id: 'e1', status: 'duplicate' })
    expect(await world.entries()).toBe(1)
  })

  it('costs no quota, and works with none left, paused, or without the ledger (G2)', async () => {
    const world = await createWorld({ settings: { quotaLimit: 1 } })
    await world.deliver([await world.update({ attributes: { a: 'x' } })])
    await world.settled()
    expect((await edge(world, sources)('/hooks/desk', event(), proof)).answer).toMatchObject({ reason: 'delayed' })
    const silent = world.isolate({ ledger: { ...world.ledger, admit: () => Promise.reject(new Error('silent')) } })
    const [receipt] = await silent.deliver([
      await world.update({ id: 'e2', attributes: { tier: 'x' } }, 'desk', hourMs),
    ])
    expect(receipt).toEqual({ status: 'deferred', reason: 'ledger_unavailable' })
    await world.clock.advance(hourMs - 1)
    await world.flush()
    expect([world.target.calls.length, await world.entries()]).toEqual([1, 2])
  })
})

describe('quarantine', () => {
  const strict = source('desk', { auth: github(), schema: customer, map: toUpdate, lane: 'high' })
  const fixed = source('desk', {
    auth: github(),
    acceptsCopies: true,
    lane: 'high',
    schema: z.object({ client: z.string(), tier: z.string() }),
    map: (e) => ({ visitor: { thirdPartyId: e.client }, attributes: { tier: e.tier } }),
  })
  const body = '{"client":"visitor-1","tier":"gold","note":"ä"}'
  const signed = (text: string, more: Record<string, string> = {}) => ({
    'x-github-delivery': 'delivery-1',
    'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(text).digest('hex')}`,
    ...more,
  })
  /** As `relay/compose.ts` composes it. */
  const remapOf = (
    world: World,
    now: Source | undefined,
    backlog: Pick<Backlog, 'readDead' | 'delete'> = world.backlog,
  ) =>
    createRemap({
      backlog,
      deliver: world.deliver,
      map: async ({ raw, eventId }, arrivalMs): Promise<Reading> => {
        if (now === undefined) return { ok: false, reason: 'no source' }
        const parsed = parseEvent(now.format, new TextEncoder().encode(raw))
        if (!parsed.ok) return parsed
        const mapped = await mapEvent(now, parsed.event, { eventId, arrivalMs }, world.prepare)
        return mapped.ok ? { ok: true, updates: mapped.updates, lane: now.lane } : mapped
      },
    })
  const keyOf = async (world: World) => (await world.backlog.listDead()).items[0]?.key ?? ''
  const quarantined = async () => {
    const world = await createWorld()
    expect(await edge(world, [strict])('/hooks/desk', body, signed(body))).toEqual({
      status: 202,
      answer: { status: 'quarantined' },
    })
    return world
  }

  it('keeps an authenticated event whole, with the reason and the id that its sender gave it', async () => {
    const world = await quarantined()
    const [item] = (await world.backlog.listDead()).items
    expect(item).toMatchObject({
      dead: {
        reason: 'unmappable',
        source: 'desk',
        raw: body,
        eventId: 'delivery-1',
        detail: expect.stringContaining('customer'),
      },
    })
    expect(world.target.calls).toEqual([])
  })

  it('that cannot be stored is not acknowledged (G2)', async () => {
    const world = await createWorld()
    const failing = {
      ...world,
      backlog: { ...world.backlog, bury: () => Promise.reject(new Error('KV PUT failed: 503')) },
    } as World
    expect((await edge(failing, [strict])('/hooks/desk', body, signed(body))).status).toBe(503)
  })

  it('an event is mapped again once the mapping is fixed: it is sent, and its dead letter removed', async () => {
    const world = await quarantined()
    const key = await keyOf(world)
    expect(await remapOf(world, strict)(key)).toMatchObject({ status: 'unmappable' })
    expect(await world.dead()).toEqual(['unmappable'])
    expect(await remapOf(world, fixed)(key)).toEqual({
      status: 'mapped',
      receipts: [{ status: 'submitted', calls: 1 }],
      removed: true,
    })
    expect([world.profile(), await world.dead()]).toEqual([{ tier: 'gold' }, []])
    expect(await remapOf(world, fixed)(key)).toEqual({ status: 'gone' })
  })

  it('a remapped event keeps its place in time: a later value is not overwritten (G3)', async () => {
    const world = await quarantined()
    await world.clock.advance(60_000)
    await world.deliver([await world.update({ attributes: { tier: 'platinum' } })])
    await world.settled()
    expect(await remapOf(world, fixed)(await keyOf(world))).toMatchObject({
      receipts: [{ status: 'superseded' }],
      removed: true,
    })
    expect(world.profile()).toEqual({ tier: 'platinum' })
  })

  it('an event that is mapped twice, the first time by a process that died before removing it, is sent once (G4)', async () => {
    const world = await quarantined()
    const key = await keyOf(world)
    const dying = remapOf(world, fixed, {
      readDead: world.backlog.readDead,
      delete: () => Promise.reject(new Error('died')),
    })
    await expect(dying(key)).rejects.toThrow('died')
    await world.settled()
    expect(await remapOf(world, fixed)(key)).toMatchObject({ receipts: [{ status: 'duplicate' }], removed: true })
    expect(world.target.calls.length).toBe(1)
  })

  it('an event stays if its update could be neither sent nor stored (G2)', async () => {
    const world = await quarantined()
    const failing = {
      ...world,
      deliver: async (updates: readonly Update[]) => updates.map(() => ({ status: 'unavailable' as const })),
    }
    expect(await remapOf(failing as World, fixed)(await keyOf(world))).toMatchObject({ removed: false })
    expect(await world.dead()).toEqual(['unmappable'])
  })

  it('an event that now maps to nothing is removed, one without a source stays', async () => {
    const world = await quarantined()
    const ignoring = source('desk', { auth: github(), schema: z.unknown(), map: () => null })
    expect(await remapOf(world, undefined)(await keyOf(world))).toMatchObject({ status: 'unmappable' })
    expect(await remapOf(world, ignoring)(await keyOf(world))).toEqual({
      status: 'mapped',
      receipts: [],
      removed: true,
    })
    expect(await world.dead()).toEqual([])
  })

  it('dead letters of other kinds are not mapped', async () => {
    const world = await createWorld()
    const atMs = world.clock.now()
    const key = await world.backlog.bury({ reason: 'rejected', source: 'desk', atMs, firstSeenMs: atMs, attempts: 1 })
    expect(await remapOf(world, fixed)(key)).toEqual({ status: 'not_unmappable' })
  })

  it('an unauthenticated event leaves nothing behind', async () => {
    const world = await createWorld()
    const { status } = await edge(world, [strict])('/hooks/desk', body, signed(`${body} `))
    expect([status, await world.dead(), await world.entries(), world.logged]).toEqual([401, [], 0, []])
  })
})

it('a source that skips what is unchanged answers so, once Target has the value', async () => {
  const desk = source('desk', { auth: bearer(), schema: customer, map: toUpdate, skipUnchanged: true })
  expect([
    desk.skipsUnchanged,
    source('other', { auth: bearer(), schema: customer, map: toUpdate }).skipsUnchanged,
  ]).toEqual([true, false])
  const world = await createWorld({ skipping: [desk.name] })
  const send = edge(world, [desk])
  const answers: unknown[] = []
  for (const id of ['e1', 'e2', 'e2']) {
    await world.clock.advance(1_000)
    const { status, answer } = await send('/hooks/desk', event({ id }), proof)
    answers.push([status, answer['status']])
    await world.settled()
  }
  expect(answers).toEqual([
    [200, 'submitted'],
    [200, 'unchanged'],
    [200, 'duplicate'],
  ])
  expect(world.target.calls).toHaveLength(1)
})
