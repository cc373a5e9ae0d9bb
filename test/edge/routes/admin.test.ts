/** The operator's routes: who may use them, and what they do to a whole relay in one process. */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { failuresThatOpen } from '../../../src/core/ledger/rules/health.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { adminOf, basic, bearer, logged, origin } from '../../support/admin.ts'
import { sqlWatched } from '../../support/ledger.ts'
import { testSecrets } from '../../support/secrets.ts'
import { createWorld, type World, worldSettings } from '../../support/world.ts'

async function admin(world: World, adminToken: string | null = testSecrets.adminToken, maxOperations = 900) {
  return adminOf(world, {
    operators: adminToken === null ? [] : [{ role: 'admin', token: adminToken }],
    maxOperations,
  })
}

describe('access', () => {
  it.each<[string, object, number]>([
    ['the token as bearer', bearer, 200],
    ['the token as basic, user admin', basic('admin', testSecrets.adminToken), 200],
    ['no credentials', { authorization: '' }, 401],
    ['another token', { authorization: 'Bearer wrong' }, 401],
    ['an API token', { authorization: `Bearer ${testSecrets.apiToken}` }, 401],
    ['the token as basic, another role’s user', basic('view', testSecrets.adminToken), 401],
    ['another user', basic('root', testSecrets.adminToken), 401],
    ['the beginning of the token', { authorization: `Bearer ${testSecrets.adminToken.slice(0, -1)}` }, 401],
    ['broken base64', { authorization: 'Basic ====' }, 401],
  ])('%s', async (_, headers, status) => {
    const ask = await admin(await createWorld())
    const { status: got, headers: answered } = await ask('/pause', { headers: { ...headers } })
    expect(got).toBe(status)
    expect(answered.has('www-authenticate')).toBe(status === 401)
  })

  it('without a token in the settings these routes answer 404', async () => {
    const ask = await admin(await createWorld(), null)
    expect((await ask('/pause')).status).toBe(404)
    expect((await ask('/pause', { headers: { authorization: 'Bearer undefined' } })).status).toBe(404)
  })

  it.each<[string, object, number]>([
    ['a page of another origin', { origin: 'https://evil.example' }, 403],
    ['a sandboxed page', { origin: 'null' }, 403],
    ['a page of the same site', { 'sec-fetch-site': 'same-site' }, 403],
    ['a page of another port', { origin: 'https://relay.example:8443' }, 403],
    ['the console behind a proxy that ends TLS', { origin: 'http://relay.example' }, 200],
    ['the same, in a browser that says it', { origin: 'http://relay.example', 'sec-fetch-site': 'same-origin' }, 200],
    ['a page that pretends to be another', { origin, 'sec-fetch-site': 'cross-site' }, 403],
    ['a form, which cannot send JSON', { 'content-type': 'application/x-www-form-urlencoded' }, 415],
    ['a form with type text/plain', { 'content-type': 'text/plain' }, 415],
    ['the console itself', { origin, 'sec-fetch-site': 'same-origin' }, 200],
    ['no browser', {}, 200],
  ])('with credentials that a browser sends by itself, from %s: %i', async (_, headers, status) => {
    const world = await createWorld()
    const ask = await admin(world)
    const credentials = basic('admin', testSecrets.adminToken)
    expect((await ask('/pause', { headers: { ...credentials, ...headers } })).status).toBe(status)
    expect((await world.ledger.usage()).health.paused).toBe(status === 200)
  })

  it('a bearer, which no browser sends by itself, needs no JSON where there is nothing to say', async () => {
    const world = await createWorld()
    const ask = await admin(world)
    expect((await ask('/pause', { headers: { ...bearer, 'content-type': 'text/plain' } })).status).toBe(200)
    expect((await ask('/resume', { headers: { ...bearer, origin: 'https://evil.example' } })).status).toBe(403)
    expect((await world.ledger.usage()).health.paused).toBe(true)
  })

  it('a GET changes nothing', async () => {
    const world = await createWorld()
    const ask = await admin(world)
    expect((await ask('/pause', { method: 'GET' })).status).toBe(404)
    expect((await world.ledger.usage()).health.paused).toBe(false)
  })
})

describe('pause', () => {
  it('defers everything, live and replay, makes no call, and resumes (G1, G2)', async () => {
    const world = await createWorld()
    const ask = await admin(world)
    expect((await ask('/pause')).answer).toEqual({ paused: true })
    expect(await world.deliver([await world.update({ id: 'a', attributes: { tier: 'gold' } })])).toEqual([
      { status: 'deferred', reason: 'paused' },
    ])
    expect((await ask('/flush')).answer).toMatchObject({ stopped: 'paused', calls: 0 })
    expect(world.target.calls).toEqual([])
    expect((await ask('/resume')).answer).toEqual({ paused: false })
    await ask('/flush')
    expect(world.profile()).toEqual({ tier: 'gold' })
  })
})

describe('breaker/close', () => {
  it('lets calls go again before the next probe is due, and says whether it was open', async () => {
    const world = await createWorld()
    const ask = await admin(world)
    const down = { visitorHash: 'v', token: 't', attributes: [], signal: 'down' } as const
    await world.ledger.settle(Array.from({ length: failuresThatOpen }, () => down))
    expect((await ask('/breaker/close')).answer).toEqual({ closed: true })
    expect(await world.deliver([await world.update({ id: 'a', attributes: { tier: 'gold' } })])).toEqual([
      { status: 'submitted', calls: 1 },
    ])
    expect((await ask('/breaker/close')).answer).toEqual({ closed: false })
  })
})

describe('clock/confirm', () => {
  it('tells the ledger that its clock is right, and answers with the state', async () => {
    let nowMs = 1_790_000_000_000
    const world = await createWorld({
      ledger: sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), worldSettings, { now: () => nowMs }),
    })
    const ask = await admin(world)
    await world.deliver([await world.update({ id: 'e', attributes: { tier: 'gold' } })])
    nowMs -= 3_600_000
    expect((await world.ledger.usage()).clock).toEqual({ jumpedByMs: -3_600_000 })
    expect((await ask('/clock/confirm', { headers: {} })).status).toBe(401)
    expect((await ask('/clock/confirm')).answer).toMatchObject({ used: 1, clock: { jumpedByMs: 0 } })
    nowMs += worldSettings.longestInFlightMs + 1
    expect(await world.ledger.usage()).not.toHaveProperty('clock')
  })
})

describe('quota/spent', () => {
  it.each([{}, { units: -1 }, { units: 1.5 }, { units: '5' }, { units: 5, more: 1 }, [], 'null'])(
    'rejects %j',
    async (body) => {
      const ask = await admin(await createWorld())
      expect((await ask('/quota/spent', { body })).status).toBe(422)
    },
  )

  it('sets what was spent', async () => {
    const ask = await admin(await createWorld())
    expect((await ask('/quota/spent', { body: { units: 400 } })).answer).toMatchObject({ used: 400, remaining: 600 })
  })
})

describe('ledger/state', () => {
  const nothing = { hashKey: 'a-key', units: [], visitors: [], events: [] }
  const units = (count: unknown, more: object = {}) => ({
    ...nothing,
    units: [{ account: '', lastMs: Date.now(), units: count, ...more }],
  })

  it.each<[object, RegExp]>([
    [units(-5), /units\.0\.units/],
    [units(0.5), /units\.0\.units/],
    [units(5, { more: 1 }), /not known/],
    [{ hashKey: 'a-key', visitors: [], events: [] }, /units/],
    [{ ...nothing, lostMs: Date.now() + 365 * 86_400_000 }, /lostMs/],
    [{ ...nothing, hashKey: 'another' }, /another HASH_KEY/],
    [{ ...nothing, end: true }, /not known/],
  ])('rejects what is not part of a ledger, imports nothing of it, and names the field: %j', async (body, message) => {
    const world = await createWorld()
    const { status, answer } = await (await admin(world))('/ledger/state', { body })
    expect([status, JSON.stringify(answer)]).toEqual([422, expect.stringMatching(message)])
    expect((await world.ledger.usage()).used).toBe(0)
  })

  it('imports a part', async () => {
    const world = await createWorld()
    expect((await (await admin(world))('/ledger/state', { body: units(5) })).answer).toMatchObject({ used: 5 })
  })
})

describe('ledger/restored', () => {
  it('counts the whole quota as spent, and answers with the state', async () => {
    const world = await createWorld()
    const ask = await admin(world)
    expect((await ask('/ledger/restored', { headers: {} })).status).toBe(401)
    expect((await ask('/ledger/restored')).answer).toMatchObject({ remaining: 0, lostAtMs: expect.any(Number) })
  })
})

describe('erase', () => {
  it('removes one visitor from backlog, registers and dead letters, and nothing of theirs is sent afterwards', async () => {
    const world = await createWorld()
    const ask = await admin(world)
    await world.ledger.pause(true)
    const erased = { visitor: { thirdPartyId: 'erase-me' } }
    const before = await world.update({ id: 'a', attributes: { tier: 'gold' }, ...erased })
    await world.deliver([before, await world.update({ id: 'b', attributes: { tier: 'gold' } })])
    const { items } = await world.backlog.list()
    const copies = items.flatMap((item) =>
      'entry' in item && item.entry.visitorHash === before.visitorHash ? [item.entry] : [],
    )
    const dead = { reason: 'rejected', source: 'api', atMs: 1, firstSeenMs: 1, attempts: 1 } as const
    for (const entry of copies) await world.backlog.bury({ ...dead, entry })
    await world.backlog.bury({ ...dead, reason: 'unmappable', raw: '{"customer":"erase-me"}' })
    await world.backlog.bury({ ...dead, reason: 'unmappable', raw: '{"customer":"somebody else"}' })
    expect((await ask('/erase', { body: erased })).answer).toEqual({
      entries: 1,
      deadLetters: 2,
      mentioned: 0,
      unreadable: 0,
      complete: true,
    })
    expect(await world.entries()).toBe(1)
    expect(await world.dead()).toHaveLength(1)

    // A stale list shows the entry again.
    for (const entry of copies) await world.backlog.put(entry)
    await world.ledger.pause(false)
    await world.flush()
    expect(world.profile('erase-me')).toEqual({})
    expect(world.profile()).toEqual({ tier: 'gold' })
    expect(await world.entries()).toBe(0)

    await world.clock.advance(1)
    await world.deliver([await world.update({ id: 'c', attributes: { tier: 'iron' }, ...erased })])
    expect(world.profile('erase-me')).toEqual({ tier: 'iron' })
  })

  it('leaves an event of another visitor that holds the id within a longer text, and reports it', async () => {
    const world = await createWorld()
    const ask = await admin(world)
    const dead = { reason: 'unmappable', source: 'loan', atMs: 1, firstSeenMs: 1, attempts: 0 } as const
    for (const raw of ['{"customer":"1425"}', '{"customer":42}']) await world.backlog.bury({ ...dead, raw })
    const { answer } = await ask('/erase', { body: { visitor: { thirdPartyId: '42' } } })
    expect(answer).toEqual({ entries: 0, deadLetters: 1, mentioned: 1, unreadable: 0, complete: true })
    expect((await world.backlog.listDead()).items).toMatchObject([{ dead: { raw: '{"customer":"1425"}' } }])
  })

  it('answers with a cursor when its budget ends, and continues from it to the end', async () => {
    const world = await createWorld()
    const ask = await admin(world, testSecrets.adminToken, 5)
    const dead = {
      reason: 'unmappable',
      source: 'loan',
      firstSeenMs: 1,
      attempts: 0,
      raw: '{"customer":"erase-me"}',
    } as const
    for (let atMs = 0; atMs < 9; atMs++) await world.backlog.bury({ ...dead, atMs })
    const visitor = { thirdPartyId: 'erase-me' }
    let removed = 0
    let answer: Record<string, unknown> = {}
    for (let calls = 0; answer['complete'] !== true; calls++) {
      expect(calls).toBeLessThan(20)
      answer = (await ask('/erase', { body: { visitor, ...(calls === 0 ? {} : { cursor: answer['cursor'] }) } })).answer
      removed += Number(answer['deadLetters'])
    }
    expect([removed, await world.dead()]).toEqual([9, []])
    const { status, answer: refused } = await ask('/erase', {
      body: { visitor: { thirdPartyId: 'other' }, cursor: 'made up' },
    })
    expect([status, refused['errors']]).toEqual([422, [{ path: 'cursor', message: expect.any(String) }]])
  })

  it.each([
    {},
    { visitor: {} },
    { visitor: { thirdPartyId: 'a/b' } },
    { visitor: { pcId: '1' }, more: 1 },
    { visitor: { pcId: '1' }, cursor: 1 },
  ])('rejects %j', async (body) => {
    const ask = await admin(await createWorld())
    expect((await ask('/erase', { body })).status).toBe(422)
  })
})

it('an operator is not told why the ledger is silent; the error’s name is logged', async () => {
  const world = await createWorld()
  const silent = Object.assign(new Error('what was asked'), { name: 'LedgerSilent' })
  const ask = await admin({ ...world, ledger: { ...world.ledger, look: () => Promise.reject(silent) } })
  logged.length = 0
  expect((await ask('/status', { method: 'GET' })).status).toBe(503)
  expect(logged).toContainEqual(['request_failed', { error: 'LedgerSilent' }])
})
