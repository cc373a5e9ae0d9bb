import { describe, expect, it } from 'vitest'
import type { DeadLetter } from '../../src/core/backlog/port.ts'
import { createPrepare } from '../../src/core/delivery/prepare.ts'
import type { Receipt } from '../../src/core/delivery/receipt.ts'
import { createHasher } from '../../src/core/update/hash.ts'
import type { Lane, Update } from '../../src/core/update/update.ts'
import { encodeCalls } from '../../src/core/wire/calls.ts'
import { createApp, createBrokenApp } from '../../src/edge/app.ts'
import { readBody } from '../../src/edge/http/body.ts'
import { systemClock } from '../../src/relay/runtime.ts'
import { sources } from '../../src/sources.ts'
import { fakeClock } from '../support/clock.ts'
import { testSecrets } from '../support/secrets.ts'
import { kioskHook, signedHook } from '../support/sender.ts'

const canary = 'canary-9f3e'
const url = (path: string) => `https://relay.example${path}`
const wire = { method: 'post', origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' } as const

async function edge(
  receipts: (update: Update) => Receipt = () => ({ status: 'submitted', calls: 1 }),
  more: { apiTokens?: [] } = {},
) {
  const delivered: Update[] = []
  const lanes: Lane[] = []
  const buried: DeadLetter[] = []
  const app = createApp({
    settings: {
      targetClientCode: 'demo',
      apiTokens: [
        { token: testSecrets.apiToken, lane: 'live' },
        { token: 'another-token', lane: 'bulk' },
      ],
      ...more,
      operators: [{ role: 'admin', token: testSecrets.adminToken }],
      hookSecrets: new Map([
        ['call-centre', [testSecrets.hook('old-call-centre'), testSecrets.hook('call-centre')]],
        ['loan', [testSecrets.hook('loan')]],
        ['kiosk', [testSecrets.hook('kiosk')]],
      ]),
    },
    sources,
    prepare: createPrepare({ hasher: await createHasher(testSecrets.hashKey), wire, retentionMs: 72 * 3_600_000 }),
    deliver: async (updates, lane) => {
      delivered.push(...updates)
      lanes.push(lane)
      return updates.map(receipts)
    },
    wire,
    bury: async (dead) => {
      buried.push(dead)
      return 'd1/x'
    },
    ready: async () => ({ ready: true, ledger: 'embedded', checks: { ledger: 'ok' } }),
    operator: {
      formHash: async (parts) => parts.join(),
      prepareSample: () => Promise.reject(new Error('not here')),
      profile: async () => ({ kind: 'unknown' }),
      usage: () => Promise.reject(new Error('planted-id')),
      status: () => Promise.reject(new Error('planted-id')),
      backlog: () => Promise.reject(new Error('planted-id')),
      throughWith: () => Promise.reject(new Error('not here')),
      series: () => Promise.reject(new Error('not here')),
      flush: () => Promise.reject(new Error('not here')),
      pause: async () => {},
      restate: async () => {},
      confirmClock: async () => {},
      takeOver: async (client) => (client === 'amce' ? undefined : 'is not the client code that the ledger bears'),
      erase: () => Promise.reject(new Error('not here')),
      find: () => Promise.reject(new Error('not here')),
      seals: () => Promise.reject(new Error('not here')),
      moveOut: () => Promise.reject(new Error('not here')),
      moveIn: () => Promise.reject(new Error('not here')),
      restored: () => Promise.reject(new Error('not here')),
      hashKeyName: () => Promise.reject(new Error('not here')),
      // No route of these tests asks for it.
      dead: {} as never,
      closeBreaker: () => Promise.reject(new Error('not here')),
      record: async () => {},
      acts: () => Promise.reject(new Error('not here')),
    },
    clock: systemClock,
  })
  const send = async (path: string, init: RequestInit = {}) => app.fetch(new Request(url(path), init))
  const v1 = (body: unknown, headers: Record<string, string> = {}) =>
    send('/v1/updates', {
      method: 'POST',
      headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  const hook = (request: { path: string; headers: Record<string, string>; body: string }) =>
    send(request.path, { method: 'POST', headers: request.headers, body: request.body })
  return { send, v1, hook, delivered, lanes, buried }
}

const good = { id: 'evt_1', visitor: { thirdPartyId: '123456' }, attributes: { loanStatus: 'funded' } }
const call = { caseId: 'c1', customer: '42', outcome: 'resolved', at: new Date().toISOString() }

describe('ties (G3)', () => {
  it('of the updates of one batch, which arrived in the same millisecond, each later one is newer', async () => {
    const { v1, delivered } = await edge()
    await v1({ updates: Array.from({ length: 100 }, (_, n) => ({ ...good, id: `e${n}`, attributes: { n } })) })
    const stamps = delivered.map(({ stamp }) => stamp)
    expect(stamps).toHaveLength(100)
    expect(stamps).toEqual([...stamps].sort())
  })
})

describe('POST /v1/updates: receipts', () => {
  it.each<[Receipt, number, unknown]>([
    [{ status: 'submitted', calls: 1 }, 200, { id: 'evt_1', status: 'submitted', calls: 1 }],
    [{ status: 'deferred', reason: 'quota' }, 202, { id: 'evt_1', status: 'deferred', reason: 'quota' }],
    [{ status: 'duplicate' }, 200, { id: 'evt_1', status: 'duplicate' }],
    [{ status: 'superseded' }, 200, { id: 'evt_1', status: 'superseded' }],
    [{ status: 'rejected', detail: 'no' }, 200, { id: 'evt_1', status: 'rejected', detail: 'no' }],
    [{ status: 'set_aside', reason: 'ledger_lost' }, 202, { id: 'evt_1', status: 'set_aside', reason: 'ledger_lost' }],
    [{ status: 'in_flight' }, 409, { type: '/problems/in-flight', id: 'evt_1' }],
    [{ status: 'id_reused' }, 422, { type: '/problems/id-reused', id: 'evt_1', errors: [{ path: 'id' }] }],
    [{ status: 'unavailable' }, 503, { type: '/problems/unavailable', id: 'evt_1' }],
  ])('%j is answered %i', async (receipt, status, body) => {
    const { v1 } = await edge(() => receipt)
    const answer = await v1(good)
    expect(answer.status).toBe(status)
    expect(await answer.json()).toMatchObject(body as object)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    if (status === 503 || status === 409) expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
  })

  it('a batch is answered with one result for each update, in order; 202 if any is deferred', async () => {
    const { v1 } = await edge((update) =>
      update.attributes[0]?.value === '1' ? { status: 'deferred', reason: 'quota' } : { status: 'submitted', calls: 1 },
    )
    const answer = await v1({ updates: [0, 1, 2].map((n) => ({ ...good, id: `e${n}`, attributes: { n } })) })
    expect(answer.status).toBe(202)
    expect(await answer.json()).toEqual({
      results: [
        { id: 'e0', status: 'submitted', calls: 1 },
        { id: 'e1', status: 'deferred', reason: 'quota' },
        { id: 'e2', status: 'submitted', calls: 1 },
      ],
    })
  })

  it('a batch with a reused id names it, with the results of the others', async () => {
    const { v1 } = await edge((update) =>
      update.attributes[0]?.value === '1' ? { status: 'id_reused' } : { status: 'submitted', calls: 1 },
    )
    const answer = await v1({ updates: [0, 1, 2].map((n) => ({ ...good, id: `e${n}`, attributes: { n } })) })
    expect(answer.status).toBe(422)
    expect(await answer.json()).toMatchObject({
      type: '/problems/id-reused',
      errors: [{ path: 'updates[1].id' }],
      results: [{ status: 'submitted' }, { id: 'e1', status: 'id_reused' }, { status: 'submitted' }],
    })
  })

  it('accepts any of the tokens, each on the lane that it was granted', async () => {
    const { v1, send, lanes } = await edge()
    expect((await v1(good)).status).toBe(200)
    expect((await v1(good, { authorization: 'Bearer another-token' })).status).toBe(200)
    await send('/m2/demo/profile/update?mboxPC=1&profile.a=1', { headers: { authorization: 'Bearer another-token' } })
    expect(lanes).toEqual(['live', 'bulk', 'bulk'])
  })
})

describe('bad input: the status and problem type, nothing sent, nothing echoed (G8)', () => {
  const token = { authorization: `Bearer ${testSecrets.apiToken}` }
  const json = { ...token, 'content-type': 'application/json' }
  const post = (body: string | undefined, headers: Record<string, string> = json): RequestInit => ({
    method: 'POST',
    headers,
    ...(body === undefined ? {} : { body }),
  })
  const update = (more: object) => post(JSON.stringify({ ...good, ...more }))
  const signed = signedHook('call-centre', 'm1', call)
  const old = signedHook('call-centre', 'm1', call, new Date(Date.now() - 301_000))
  const asPost = (
    { headers, body }: { headers: Record<string, string>; body: string },
    more: Record<string, string> = {},
  ) => ({
    method: 'POST',
    headers: { ...headers, ...more },
    body,
  })

  const table: [what: string, path: string, init: RequestInit, status: number, type: string][] = [
    ['malformed JSON', '/v1/updates', post(`{"${canary}`), 400, 'malformed'],
    [
      'not UTF-8',
      '/v1/updates',
      { method: 'POST', headers: json, body: Uint8Array.of(0x22, 0xff, 0x22) },
      400,
      'malformed',
    ],
    ['nested a thousand deep', '/v1/updates', post(`${'['.repeat(1_000)}${']'.repeat(1_000)}`), 400, 'malformed'],
    ['wrong types', '/v1/updates', update({ id: 5, attributes: canary }), 422, 'invalid'],
    ['an unknown field', '/v1/updates', update({ lane: 'high' }), 422, 'invalid'],
    ['both ids', '/v1/updates', update({ visitor: { pcId: canary, thirdPartyId: canary } }), 422, 'invalid'],
    ['no id', '/v1/updates', update({ visitor: {} }), 422, 'invalid'],
    ['+ in a thirdPartyId', '/v1/updates', update({ visitor: { thirdPartyId: `${canary}+` } }), 422, 'invalid'],
    ['an attribute of 70 KB', '/v1/updates', update({ attributes: { big: canary.repeat(6_400) } }), 422, 'invalid'],
    ['a null', '/v1/updates', update({ attributes: { a: null } }), 422, 'invalid'],
    ['an event of the future', '/v1/updates', update({ occurredAt: '2999-01-01T00:00:00Z' }), 422, 'invalid'],
    ['an event before the retention', '/v1/updates', update({ occurredAt: '2001-01-01T00:00:00Z' }), 422, 'invalid'],
    ['a local time', '/v1/updates', update({ occurredAt: '2026-11-24T00:00:00' }), 422, 'invalid'],
    ['an empty batch', '/v1/updates', post('{"updates":[]}'), 422, 'invalid'],
    [
      'a batch of 101 updates',
      '/v1/updates',
      post(JSON.stringify({ updates: Array.from({ length: 101 }, () => good) })),
      422,
      'invalid',
    ],
    [
      'one bad update in a batch',
      '/v1/updates',
      post(JSON.stringify({ updates: [good, { ...good, visitor: {} }] })),
      422,
      'invalid',
    ],
    ['a body of 10 MB', '/v1/updates', post(JSON.stringify({ a: canary.repeat(1_000_000) })), 413, 'too-large'],
    [
      'not JSON by type',
      '/v1/updates',
      post('x=y', { ...token, 'content-type': 'text/plain' }),
      415,
      'unsupported-media-type',
    ],
    [
      'a wrong token',
      '/v1/updates',
      post(JSON.stringify(good), { ...json, authorization: `Bearer ${canary}` }),
      401,
      'unauthenticated',
    ],
    [
      'no token, with an invalid body',
      '/v1/updates',
      post('{', { 'content-type': 'application/json' }),
      401,
      'unauthenticated',
    ],
    [
      'a browser',
      '/v1/updates',
      post(JSON.stringify(good), { ...json, origin: 'https://shop.example' }),
      403,
      'browser',
    ],
    ['GET', '/v1/updates', { headers: token }, 405, 'method-not-allowed'],
    ['an ambiguous dry_run', '/v1/updates?dry_run=yes', post(JSON.stringify(good)), 400, 'malformed'],
    ['a misspelled dry_run', '/v1/updates?dry-run=1', post(JSON.stringify(good)), 400, 'malformed'],
    ['a query', '/v1/updates?lane=high', post(JSON.stringify(good)), 400, 'malformed'],
    ['a dry run of an invalid update', '/v1/updates?dry_run=1', update({ visitor: {} }), 422, 'invalid'],
    [
      'a dry run without a token',
      '/v1/updates?dry_run=1',
      post(JSON.stringify(good), { 'content-type': 'application/json' }),
      401,
      'unauthenticated',
    ],
    [
      'dry_run at an operator’s route',
      '/admin/api/flush?dry_run=1',
      post('{}', { authorization: `Bearer ${testSecrets.adminToken}`, 'content-type': 'application/json' }),
      400,
      'malformed',
    ],
    ['OPTIONS where nothing is', '/other', { method: 'OPTIONS' }, 404, 'not-found'],
    ['no such route', `/${canary}`, {}, 404, 'not-found'],
    ['an unknown source', `/hooks/${canary}`, asPost(signed), 404, 'not-found'],
    [
      'a missing signature',
      '/hooks/call-centre',
      post(JSON.stringify(call), { 'content-type': 'application/json' }),
      401,
      'unauthenticated',
    ],
    [
      'a signature of another body',
      '/hooks/call-centre',
      { method: 'POST', headers: signed.headers, body: `${signed.body} ` },
      401,
      'unauthenticated',
    ],
    ['a signature by another secret', '/hooks/loan', asPost(signed), 401, 'unauthenticated'],
    [
      'a signature under another id',
      '/hooks/call-centre',
      asPost(signed, { 'webhook-id': 'm2' }),
      401,
      'unauthenticated',
    ],
    ['a stale timestamp', '/hooks/call-centre', asPost(old), 401, 'unauthenticated'],
    [
      'a timestamp that is not an integer',
      '/hooks/call-centre',
      asPost(signed, { 'webhook-timestamp': `${signed.headers['webhook-timestamp']}.0` }),
      401,
      'unauthenticated',
    ],
    ['a source without a secret', '/hooks/loyalty', asPost(signedHook('loyalty', 'm', {})), 503, 'unavailable'],
    [
      'a wrong bearer token at a source',
      '/hooks/kiosk',
      asPost({ ...kioskHook({}), headers: { authorization: `Bearer ${canary}` } }),
      401,
      'unauthenticated',
    ],
    ['a browser at a hook', '/hooks/call-centre', asPost(signed, { origin: 'null' }), 403, 'browser'],
  ]
  it.each(table)('%s', async (_, path, init, status, type) => {
    const { send, delivered, buried } = await edge()
    const answer = await send(path, init)
    const text = await answer.text()
    expect(answer.status).toBe(status)
    expect(JSON.parse(text)).toMatchObject({ type: `/problems/${type}`, status })
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(text).not.toContain(canary)
    expect(text).not.toContain(testSecrets.apiToken)
    expect(delivered).toEqual([])
    expect(buried).toEqual([])
  })

  it('names the fields of a batch', async () => {
    const { v1 } = await edge()
    const { errors } = (await (await v1({ updates: [good, { ...good, attributes: { orderId: 'x' } }] })).json()) as {
      errors: { path: string }[]
    }
    expect(errors.map(({ path }) => path)).toEqual(['updates[1].attributes.orderId'])
  })

  it('a chunked body of 10 MB is cut off at the limit: hardly more than that is read', async () => {
    const { send } = await edge()
    let pulled = 0
    const body = new ReadableStream({
      pull(controller) {
        pulled += 65_536
        if (pulled > 10_000_000) controller.close()
        else controller.enqueue(new Uint8Array(65_536))
      },
    })
    const answer = await send('/v1/updates', { method: 'POST', headers: json, body, duplex: 'half' } as RequestInit)
    expect(answer.status).toBe(413)
    expect(pulled).toBeLessThan(1_048_576 + 5 * 65_536)
  })
})

describe('POST /hooks/{source}', () => {
  it('accepts what a third party’s library signed, also under a second secret, and maps it', async () => {
    const { hook, delivered } = await edge()
    const answer = await hook(signedHook('call-centre', 'msg_1', call))
    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({ id: 'c1', status: 'submitted', calls: 1 })
    expect(delivered).toMatchObject([
      {
        source: 'call-centre',
        visitor: { thirdPartyId: '42' },
        attributes: [{ name: 'lastCallOutcome', value: 'resolved' }],
      },
    ])
  })

  it('uses the lane that the source was granted', async () => {
    const { hook, lanes } = await edge()
    await hook(signedHook('loan', 'm', { loan: 'l', customer: '1', status: 'funded', amount: 5, at: call.at }))
    expect(lanes).toEqual(['high'])
  })

  it('an event that maps to nothing is ignored', async () => {
    const { hook, delivered } = await edge()
    const answer = await hook(kioskHook({ session: 's', pcId: null, page: '/', at: call.at }))
    expect(await answer.json()).toEqual({ status: 'ignored' })
    expect(delivered).toEqual([])
  })

  it('quarantines an authenticated event that the source cannot read, instead of refusing it (G2)', async () => {
    const { hook, buried } = await edge()
    const request = signedHook('call-centre', 'm', { unexpected: canary })
    const answer = await hook(request)
    expect(answer.status).toBe(202)
    expect(await answer.json()).toEqual({ status: 'quarantined' })
    expect(buried).toMatchObject([{ reason: 'unmappable', source: 'call-centre', raw: request.body }])
    expect(buried[0]?.detail).not.toContain(canary)
  })

  it('tells a webhook sender to retry with 503, since some treat a 409 as final', async () => {
    const { hook } = await edge(() => ({ status: 'in_flight' }))
    const answer = await hook(signedHook('call-centre', 'm', call))
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
  })
})

describe('a dry run on /v1', () => {
  it('shows the calls, and sends and stores nothing', async () => {
    const { send, delivered } = await edge()
    const init = {
      method: 'POST',
      headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ updates: [good, { ...good, id: 'evt_2' }] }),
    }
    const answer = await send('/v1/updates?dry_run=1', init)
    expect([answer.status, delivered]).toEqual([200, []])
    expect(await answer.json()).toMatchObject({
      dryRun: true,
      status: 'mapped',
      units: 2,
      updates: [
        { id: 'evt_1', calls: [{ body: 'mbox3rdPartyId=123456&profile.loanStatus=funded' }] },
        { id: 'evt_2', units: 1 },
      ],
    })
    expect((await send('/v1/updates?dry_run=0', init)).status).toBe(200)
    expect(delivered.length).toBe(2)
  })
})

describe('routes', () => {
  it.each([
    ['POST', '/v1/updates/'],
    ['GET', '/healthz/'],
    ['GET', '/readyz/'],
    ['POST', '/m2/demo/profile/update/?mboxPC=1&profile.a=1'],
    ['GET', '/admin/api/ledger/state/'],
  ])('%s %s is the same route with a trailing slash', async (method, path) => {
    const { send } = await edge()
    const headers = {
      authorization: `Bearer ${path.startsWith('/admin') ? testSecrets.adminToken : testSecrets.apiToken}`,
      'content-type': path.startsWith('/m2') ? 'application/x-www-form-urlencoded' : 'application/json',
    }
    const answer = await send(path, {
      method,
      headers,
      ...(path.startsWith('/v1') ? { body: JSON.stringify(good) } : {}),
    })
    expect([200, 503]).toContain(answer.status)
  })

  it('a source’s route may have a trailing slash too, but not two', async () => {
    const { send, delivered } = await edge()
    const { headers, body } = signedHook('call-centre', 'm1', call)
    expect((await send('/hooks/call-centre/', { method: 'POST', headers, body })).status).toBe(200)
    expect((await send('/hooks/call-centre//', { method: 'POST', headers, body })).status).toBe(404)
    expect(delivered.length).toBe(1)
  })

  it.each(['/v1/updates', '/m2/demo/profile/update?mboxPC=1&profile.a=1'])(
    '%s: without API tokens nobody is authenticated or rejected',
    async (path) => {
      const { send, delivered } = await edge(undefined, { apiTokens: [] })
      const answer = await send(path, {
        method: 'POST',
        headers: { authorization: 'Bearer x', 'content-type': 'application/json' },
        body: '{}',
      })
      expect([answer.status, Number(answer.headers.get('retry-after')) > 0, delivered]).toEqual([503, true, []])
    },
  )
})

describe('the drop-in route answers as Target does', () => {
  it('HEAD changes nothing', async () => {
    const { send, delivered } = await edge()
    const answer = await send('/m2/demo/profile/update?mboxPC=1&profile.a=1', {
      method: 'HEAD',
      headers: { authorization: `Bearer ${testSecrets.apiToken}` },
    })
    expect([answer.status, answer.headers.get('allow'), delivered]).toEqual([405, 'GET, POST', []])
  })

  const bearer = { authorization: `Bearer ${testSecrets.apiToken}` }
  const success =
    '<response><success>true</success><pcId></pcId><message>Request successfully submitted</message></response>'
  it.each([
    ['GET', '/m2/client/profile/update?mboxPC=1368007744041-575948.01_00&profile.attr=0&profile.attr2=1', undefined],
    ['GET', '/m2/demo/profile/update?mbox3rdPartyId=123456&profile.attr=0&profile.attr2=1', undefined],
    ['POST', '/m2/client/profile/update?mboxPC=1368007744041-575948.01_00&profile.attr=0&profile.attr2=1', undefined],
    ['POST', '/m2/client/profile/update', 'mbox3rdPartyId=123456&profile.attr=0&profile.attr2=1'],
    ['POST', '/m2/client/profile/update?mbox3rdPartyId=123456', 'profile.attr=9&profile.attr=0&profile.attr2=1'],
    ['POST', '/m2/client/profile/update?mbox3rdPartyId=123456&profile.attr=9', 'profile.attr=0&profile.attr2=1'],
  ])('%s %s', async (method, path, body) => {
    const { send, delivered } = await edge()
    const form =
      body === undefined ? {} : { body, headers: { ...bearer, 'content-type': 'application/x-www-form-urlencoded' } }
    const answer = await send(path, { method, headers: bearer, ...form })
    expect(answer.status).toBe(200)
    expect(await answer.text()).toBe(success)
    expect(delivered).toMatchObject([
      {
        attributes: [
          { name: 'attr', value: '0' },
          { name: 'attr2', value: '1' },
        ],
      },
    ])
  })

  it.each([
    ['another client', '/m2/other/profile/update?mboxPC=1&profile.a=1', bearer, 404],
    ['no token', '/m2/demo/profile/update?mboxPC=1&profile.a=1', {}, 401],
    ['both ids', '/m2/demo/profile/update?mboxPC=1&mbox3rdPartyId=1&profile.a=1', bearer, 422],
    ['no prefix', '/m2/demo/profile/update?mboxPC=1&a=1', bearer, 422],
    ['a malformed escape', '/m2/demo/profile/update?mboxPC=1&profile.a=%zz', bearer, 400],
    ['malformed UTF-8', '/m2/demo/profile/update?mboxPC=1&profile.a=%ff', bearer, 400],
  ])('answers failures in XML: %s', async (_, path, headers, status) => {
    const { send, delivered } = await edge()
    const answer = await send(path, { headers })
    expect(answer.status).toBe(status)
    expect(await answer.text()).toContain('<success>false</success>')
    expect(delivered).toEqual([])
  })

  it.each<[Receipt, number]>([
    [{ status: 'rejected' }, 200],
    [{ status: 'in_flight' }, 409],
    [{ status: 'unavailable' }, 503],
  ])('answers success false for what Target did not get: %j (G2)', async (receipt, status) => {
    const { send } = await edge(() => receipt)
    const answer = await send('/m2/demo/profile/update?mboxPC=1&profile.a=1', { headers: bearer })
    expect([answer.status, answer.headers.has('retry-after')]).toEqual([status, status !== 200])
    expect(await answer.text()).toContain('<success>false</success>')
  })

  it('answers a deferred update with 202 and success', async () => {
    const { send } = await edge(() => ({ status: 'deferred', reason: 'quota' }))
    const answer = await send('/m2/demo/profile/update?mboxPC=1&profile.a=1', { headers: bearer })
    expect([answer.status, await answer.text()]).toEqual([202, success])
  })
})

describe('an update that was set aside without a call', () => {
  it('is not a success on the drop-in route, which gives the reason', async () => {
    const { send } = await edge(() => ({ status: 'set_aside', reason: 'expired' }))
    const answer = await send('/m2/demo/profile/update?mboxPC=1&profile.a=1', {
      headers: { authorization: `Bearer ${testSecrets.apiToken}` },
    })
    expect(answer.status).toBe(202)
    expect(await answer.text()).toMatch(/<success>false<\/success>.*set aside.*expired/)
  })

  it('makes a batch 202, since an operator has to look at it', async () => {
    const { v1 } = await edge(() => ({ status: 'set_aside', reason: 'expired' }))
    expect((await v1({ updates: [good] })).status).toBe(202)
  })
})

describe('health and readiness', () => {
  it('give strangers no details', async () => {
    const { send } = await edge()
    expect(await (await send('/healthz')).json()).toEqual({ status: 'ok' })
    expect(await (await send('/readyz')).json()).toEqual({ status: 'ready' })
    // As a load balancer's plain check asks.
    for (const path of ['/', '/readyz'])
      expect(await (await send(path, { method: 'OPTIONS' })).json()).toEqual({ status: 'ready' })
    expect((await send('/')).status).toBe(404)
    expect(
      await (await send('/readyz', { headers: { authorization: `Bearer ${testSecrets.adminToken}` } })).json(),
    ).toMatchObject({
      ledger: 'embedded',
    })
  })

  it('a relay without its settings names the missing ones everywhere except at /healthz', async () => {
    const app = createBrokenApp(['HASH_KEY is required'])
    expect((await app.fetch(new Request(url('/healthz')))).status).toBe(200)
    const answer = await app.fetch(new Request(url('/v1/updates'), { method: 'POST' }))
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({ type: '/problems/misconfigured', detail: 'HASH_KEY is required' })
  })
})

describe('hostile JSON', () => {
  it.each<[string, string]>([
    ['a repeated name', '{"id":"a","id":"b","visitor":{"thirdPartyId":"1"},"attributes":{"tier":"gold"}}'],
    ['a repeated attribute', '{"visitor":{"thirdPartyId":"1"},"attributes":{"tier":"gold","tier":"iron"}}'],
    [
      'a repeated name, once escaped',
      '{"visitor":{"thirdPartyId":"1"},"attributes":{"tier":"gold","ti\\u0065r":"iron"}}',
    ],
    ['nesting without end', `{"visitor":{"thirdPartyId":"1"},"attributes":${'{"a":'.repeat(500)}1${'}'.repeat(500)}}`],
    ['brackets without end', '['.repeat(100_000)],
    ['an unterminated string', '{"visitor":{"thirdPartyId":"1'],
    ['a string that ends in a backslash', '{"a\\'],
    ['colons without end', `"${'a'.repeat(400_000)}"${':'.repeat(400_000)}`],
    ['a colon too many', '{"a"::1}'],
  ])('%s is malformed', async (_, body) => {
    const { v1, delivered } = await edge()
    expect((await v1(body)).status).toBe(400)
    expect(delivered).toEqual([])
  })

  it('the same name in two objects, and quotes and colons in strings, are accepted', async () => {
    const { v1, delivered } = await edge()
    const attributes = { a: { tier: 'x:"y"' }, b: { tier: '{":"' } }
    expect((await v1({ ...good, attributes })).status).toBe(200)
    expect(delivered[0]?.attributes).toEqual([
      { name: 'a.tier', value: 'x:"y"' },
      { name: 'b.tier', value: '{":"' },
    ])
  })

  it('names of Object.prototype are ordinary names, and change no object', async () => {
    const { v1, delivered } = await edge()
    const body =
      '{"visitor":{"thirdPartyId":"1"},"attributes":{"__proto__":{"admin":"yes"},"constructor":"x","toString":"y"}}'
    const { status } = await v1(body)
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined()
    expect(status).toBe(200)
    expect(delivered[0]?.attributes.map(({ name }) => name)).toEqual(['__proto__.admin', 'constructor', 'toString'])
  })

  it('a visitor is never read from a prototype', async () => {
    const { v1 } = await edge()
    expect((await v1('{"visitor":{"__proto__":{"thirdPartyId":"1"}},"attributes":{"tier":"gold"}}')).status).toBe(422)
  })

  it.each(['\r\nx-evil: 1', '\u0000', '&mboxPC=1', '%0d%0aHost: evil', '/../../x', '?a=b#c'])(
    'an id with %j adds nothing to a call (G6)',
    async (text) => {
      const { v1, delivered } = await edge()
      const { status } = await v1({ ...good, visitor: { thirdPartyId: `1${text}` } })
      if (status === 422) return
      const encoded = encodeCalls(delivered[0]?.visitor ?? { pcId: '' }, delivered[0]?.attributes ?? [], {
        method: 'get',
        origin: 'https://demo.tt.omtrdc.net',
        clientCode: 'demo',
      })
      const called = new URL(encoded.ok ? (encoded.calls[0]?.url ?? '') : '')
      expect(called.host + called.pathname + called.hash).toBe('demo.tt.omtrdc.net/m2/demo/profile/update')
      expect([...called.searchParams]).toEqual([
        ['mbox3rdPartyId', `1${text}`],
        ['profile.loanStatus', 'funded'],
      ])
    },
  )

  it('a body that never ends is aborted', async () => {
    const clock = fakeClock()
    const stalled = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(new Uint8Array([123])) })
    const reading = readBody(
      new Request('https://relay.example/', { method: 'POST', body: stalled, duplex: 'half' } as RequestInit),
      100,
      clock,
    )
    await clock.advance(10_001)
    expect(await reading).toEqual({ ok: false, problem: 'too-slow' })
  })
})
