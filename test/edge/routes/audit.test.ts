/** Who may look and who may act; and that no act is without its record. */
import { beforeEach, describe, expect, it } from 'vitest'
import { adminOf, basic, bearerOf, logged } from '../../support/admin.ts'
import { createWorld } from '../../support/world.ts'

const alice = 'token-of-alice-for-tests-only'
const nameless = 'token-of-nobody-for-tests-only'
const viewer = 'token-that-looks-for-tests-only'
const operators = [
  { role: 'admin', name: 'alice', token: alice },
  { role: 'admin', token: nameless },
  { role: 'view', name: 'bob', token: viewer },
] as const
const visitor = { thirdPartyId: 'planted-visitor' }
const changes = [
  ['/flush'],
  ['/pause'],
  ['/resume'],
  ['/breaker/close'],
  ['/clock/confirm'],
  ['/quota/spent', { units: 5 }],
  ['/erase', { visitor }],
  ['/ledger/state', { hashKey: 'a-key', units: [], visitors: [], events: [] }],
  ['/ledger/restored'],
] as const

beforeEach(() => {
  logged.length = 0
})

describe('roles', () => {
  it.each(changes)('one who only looks cannot POST %s, and nothing is recorded', async (path, body?: object) => {
    const world = await createWorld()
    const ask = await adminOf(world, { operators })
    const { status, answer } = await ask(path, { headers: bearerOf(viewer), body })
    expect([status, answer['type']]).toEqual([403, '/problems/view-only'])
    expect(await world.ledger.acts()).toEqual([])
  })

  it('one who only looks reads the state, the audit, and where a visitor’s attributes are, but exports no ledger', async () => {
    const ask = await adminOf(await createWorld(), { operators })
    const headers = bearerOf(viewer)
    for (const path of ['/status', '/audit']) expect((await ask(path, { method: 'GET', headers })).status).toBe(200)
    expect((await ask('/visitor', { headers, body: { visitor } })).status).toBe(200)
    expect((await ask('/ledger/state', { method: 'GET', headers })).status).toBe(403)
  })

  it.each<[user: string, token: string, status: number]>([
    ['admin', alice, 200],
    ['alice', alice, 200],
    ['bob', alice, 401],
    ['view', viewer, 200],
    ['bob', viewer, 200],
    ['admin', viewer, 401],
  ])('as basic, user %s with the token %s: %i', async (user, token, status) => {
    const ask = await adminOf(await createWorld(), { operators })
    expect((await ask('/status', { method: 'GET', headers: basic(user, token) })).status).toBe(status)
  })
})

describe('Cloudflare Access', () => {
  const asked = async (email: string | undefined, adminAccess: readonly string[], headers: object = {}) => {
    const world = await createWorld()
    const ask = await adminOf(world, { operators: [], adminAccess, accessEmail: async () => email })
    const { status } = await ask('/pause', { headers: { authorization: '', ...headers } })
    return { status, acts: (await world.ledger.acts()).map((act) => JSON.parse(act) as object) }
  }

  it('lets in whom the list names, under their address', async () => {
    const { status, acts } = await asked('Alice@Example.com', ['alice@example.com'])
    expect([status, acts]).toEqual([200, [expect.objectContaining({ who: 'alice@example.com', what: 'pause' })]])
  })

  it.each([
    ['another address', 'eve@example.com', ['alice@example.com']],
    ['a service token, which has none', undefined, ['alice@example.com']],
  ])('not %s', async (_, email, list) => {
    expect((await asked(email, list)).status).toBe(401)
  })

  it('is nobody where the list is empty', async () => {
    expect((await asked('alice@example.com', [])).status).toBe(404)
  })

  it('a browser sends its cookie by itself: a change must be JSON', async () => {
    const list = ['alice@example.com']
    expect((await asked('alice@example.com', list, { 'content-type': 'text/plain' })).status).toBe(415)
  })
})

describe('the audit', () => {
  it.each(changes)(
    'has who did POST %s, when and what, and so has the log; no visitor',
    async (path, body?: object) => {
      const ask = await adminOf(await createWorld(), { operators })
      expect((await ask(path, { headers: bearerOf(alice), body })).status).toBe(200)
      const { answer } = await ask('/audit', { method: 'GET', headers: bearerOf(viewer) })
      const what = path.slice(1).replace('/', '_').replace('ledger_state', 'ledger_import')
      expect((answer['acts'] as object[]).at(-1)).toEqual({
        at: expect.stringMatching(/^20..-..-..T..:..:..\....Z$/),
        who: 'alice',
        role: 'admin',
        what,
        ...(path === '/quota/spent' ? { details: { units: 5 } } : {}),
      })
      expect(logged).toContainEqual(['audit', expect.objectContaining({ who: 'alice', role: 'admin', what })])
      expect(JSON.stringify([answer, logged])).not.toContain('planted')
    },
  )

  it('a token without a name stands there as its role, and the newest act is the first', async () => {
    const ask = await adminOf(await createWorld(), { operators })
    await ask('/pause', { headers: bearerOf(alice) })
    await ask('/resume', { headers: basic('admin', nameless) })
    const { answer } = await ask('/audit', { method: 'GET', headers: bearerOf(alice) })
    expect(answer['acts']).toMatchObject([
      { who: 'admin', what: 'resume' },
      { who: 'alice', what: 'pause' },
    ])
  })

  it('what cannot be recorded is not done', async () => {
    const world = await createWorld()
    const silent = { ...world.ledger, recordAct: () => Promise.reject(new Error('silent')) }
    const ask = await adminOf({ ...world, ledger: silent }, { operators })
    for (const [path, body] of changes)
      expect((await ask(path, { headers: bearerOf(alice), body })).status, path).toBe(503)
    expect(await world.ledger.usage()).toMatchObject({ used: 0, health: { paused: false } })
  })

  it('an erasure says behind it what came of it', async () => {
    const world = await createWorld()
    const ask = await adminOf(world, { operators })
    await world.ledger.pause(true)
    await world.deliver([await world.update({ id: 'a', attributes: { tier: 'gold' }, visitor })])
    await ask('/erase', { headers: bearerOf(alice), body: { visitor } })
    const { answer } = await ask('/audit', { method: 'GET', headers: bearerOf(alice) })
    expect(answer['acts']).toMatchObject([
      { what: 'erase_done', details: { entries: 1, deadLetters: 0, complete: 'yes' } },
      { what: 'erase' },
    ])
  })

  it('one act of many requests has one record, but a line in the log for each', async () => {
    const world = await createWorld()
    const ask = await adminOf(world, { operators })
    const part = { hashKey: 'a-key', units: [], visitors: [], events: [] }
    for (let count = 0; count < 3; count++) await ask('/ledger/state', { headers: bearerOf(alice), body: part })
    expect(await world.ledger.acts()).toHaveLength(1)
    expect(logged).toHaveLength(3)
    await ask('/ledger/state', { headers: bearerOf(nameless), body: part })
    expect(await world.ledger.acts()).toHaveLength(2)
  })
})
