/** No more requests are handled at once than the bound says; what is over it is told to come back, and nothing is kept. */
import { Hono } from 'hono'
import { expect, it, vi } from 'vitest'
import { createPrepare } from '../../../src/core/delivery/prepare.ts'
import type { Receipt } from '../../../src/core/delivery/receipt.ts'
import type { LogDetails, LogEvent } from '../../../src/core/log.ts'
import { createHasher } from '../../../src/core/update/hash.ts'
import { createApp } from '../../../src/edge/app.ts'
import { comeBackSeconds } from '../../../src/edge/http/problem.ts'
import { boundUnderWay, newUnderWay } from '../../../src/edge/http/under-way.ts'
import { sources } from '../../../src/sources.ts'
import { fakeClock, settleMicrotasks } from '../../support/clock.ts'
import { testSecrets } from '../../support/secrets.ts'

const most = 3
const minuteMs = 60_000
const wire = { method: 'post', origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' } as const

/** An app whose deliveries wait until they are released. */
async function busy() {
  const clock = fakeClock()
  const lines: [LogEvent, LogDetails | undefined][] = []
  const waiting: (() => void)[] = []
  let delivered = 0
  const app = createApp(
    {
      settings: {
        targetClientCode: 'demo',
        apiTokens: [{ token: testSecrets.apiToken, lane: 'live' }],
        operators: [{ role: 'admin', token: testSecrets.adminToken }],
        hookSecrets: new Map(),
        logRequests: 'all',
      },
      sources,
      prepare: createPrepare({ hasher: await createHasher(testSecrets.hashKey), wire, retentionMs: 72 * 3_600_000 }),
      wire,
      deliver: async (updates) => {
        delivered++
        await new Promise<void>((resolve) => waiting.push(resolve))
        return updates.map((): Receipt => ({ status: 'submitted', calls: 1 }))
      },
      bury: () => Promise.reject(new Error('not here')),
      ready: async () => ({ ready: true, ledger: 'embedded', checks: {} }),
      operator: {} as never,
      clock,
      log: (event, details) => lines.push([event, details]),
    },
    { bytesUnauthenticated: 1e6, requestsAtOnce: most },
  )
  const headers = { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ visitor: { thirdPartyId: 'v' }, attributes: { tier: 'gold' } })
  return {
    app,
    headers,
    clock,
    overloads: () => lines.filter(([event]) => event === 'overloaded').map(([, details]) => details),
    requestLines: () => lines.filter(([event]) => event === 'request').length,
    delivered: () => delivered,
    send: () => app.request('/v1/updates', { method: 'POST', headers, body }),
    release: () => {
      for (const resolve of waiting.splice(0)) resolve()
    },
  }
}

it('a request over the bound is answered 503 with Retry-After, and is not delivered', async () => {
  const { app, send, delivered, release } = await busy()
  const first = Array.from({ length: most }, send)
  await vi.waitFor(() => expect(delivered()).toBe(most))
  const refused = await send()
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, String(comeBackSeconds)])
  expect(await refused.json()).toMatchObject({ type: '/problems/unavailable' })
  expect(refused.headers.get('cache-control')).toBe('no-store')
  for (const path of ['/hooks/loan', '/m2/demo/profile/update'])
    expect([(await app.request(path, { method: 'POST' })).status, path]).toEqual([503, path])
  const xml = await app.request('/m2/demo/profile/update', { method: 'POST' })
  expect([xml.headers.get('retry-after'), await xml.text()]).toEqual([
    String(comeBackSeconds),
    expect.stringContaining('<success>false</success>'),
  ])
  expect(delivered()).toBe(most)
  release()
  expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200, 200])
})

/** A body of which only the beginning has come; `read` once somebody waits for the rest. */
function slowBody() {
  let rest: ReadableStreamDefaultController<Uint8Array> | undefined
  let isRead = () => {}
  const read = new Promise<void>((resolve) => {
    isRead = resolve
  })
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        rest = controller
        controller.enqueue(new TextEncoder().encode('{'))
      },
      pull: () => isRead(),
    },
    { highWaterMark: 1 },
  )
  return { body, read, end: () => rest?.close() }
}

it.each(['/v1/updates', '/hooks/loan', '/m2/demo/profile/update'])(
  'senders that are slow with their bodies to %s take no places from the others',
  async (path) => {
    const { app, headers, send, delivered, release, overloads } = await busy()
    const slow = Array.from({ length: 2 * most }, slowBody)
    const reading: (Response | Promise<Response>)[] = []
    for (const { body, read } of slow) {
      reading.push(app.request(path, { method: 'POST', headers, body, duplex: 'half' } as RequestInit))
      await read
    }
    const first = Array.from({ length: most }, send)
    await vi.waitFor(() => expect(delivered()).toBe(most))
    // Now that all places are taken, theirs is none once they are there.
    for (const { end } of slow) end()
    expect((await Promise.all(reading)).map(({ status }) => status)).toEqual(reading.map(() => 503))
    expect(overloads()).toEqual([{ count: 1 }])
    release()
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200, 200])
  },
)

it('a place is free again once its request is answered, also by an error', async () => {
  const { app, send, delivered, release } = await busy()
  for (let n = 0; n < 2 * most; n++) expect((await app.request('/v1/updates', { method: 'POST' })).status).toBe(401)
  const first = Array.from({ length: most }, send)
  await vi.waitFor(() => expect(delivered()).toBe(most))
  release()
  await Promise.all(first)
  const again = Array.from({ length: most }, send)
  await vi.waitFor(() => expect(delivered()).toBe(2 * most))
  release()
  await Promise.all(again)
})

it('operators and load balancers are answered while senders are refused', async () => {
  const { app, send, delivered, release } = await busy()
  const first = Array.from({ length: most }, send)
  await vi.waitFor(() => expect(delivered()).toBe(most))
  expect((await app.request('/readyz')).status).toBe(200)
  expect((await app.request('/healthz')).status).toBe(200)
  expect((await app.request('/admin/api/nothing')).status).not.toBe(503)
  release()
  await Promise.all(first)
})

it('an overload writes one line a minute, however many are refused', async () => {
  const { send, delivered, release, clock, overloads, requestLines } = await busy()
  const first = Array.from({ length: most }, send)
  await vi.waitFor(() => expect(delivered()).toBe(most))
  for (let n = 0; n < 10; n++) await send()
  expect(overloads()).toEqual([{ count: 1 }])
  await clock.advance(minuteMs / 2)
  for (let n = 0; n < 10; n++) await send()
  expect(overloads()).toEqual([{ count: 1 }])
  await clock.advance(minuteMs / 2)
  await send()
  expect(overloads()).toEqual([{ count: 1 }, { count: 20 }])
  release()
  await Promise.all(first)
  expect(requestLines()).toBe(most)
})

it('a request that its platform ended does not take its place for ever', async () => {
  const clock = fakeClock()
  const underWay = { ...newUnderWay(), most: 1 }
  const app = new Hono()
  app.use(
    boundUnderWay(
      () => ({ clock, underWay }),
      (c) => c.body(null, 503),
    ),
  )
  let end = () => {}
  app.get('/', async (c) => {
    await new Promise<void>((resolve) => {
      end = resolve
    })
    return c.body(null, 204)
  })
  const ended = app.request('/')
  await settleMicrotasks()
  await clock.advance(minuteMs)
  expect((await app.request('/')).status).toBe(503)
  await clock.advance(1)
  const next = app.request('/')
  await settleMicrotasks()
  // The first one comes back all the same: the place is the second one's now.
  const endNext = end
  expect((await app.request('/')).status).toBe(503)
  endNext()
  expect((await next).status).toBe(204)
  void ended
})
