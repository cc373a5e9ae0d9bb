/** The line of the log for each request: its route and never its path (G8), which requests have one, and their trace. */
import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { type LogRequests, requestLine } from '../../../src/edge/http/request-line.ts'
import { startEmulator } from '../../../src/emulator/emulator.ts'
import { fakeClock } from '../../support/clock.ts'
import { testSecrets } from '../../support/secrets.ts'
import { startServer, type TestServer } from '../../support/server.ts'

const canary = 'canary-7f3a'
const [trace, span] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7']
const authorization = `Bearer ${testSecrets.adminToken}`
const requestsOf = ({ logged }: Pick<TestServer, 'logged'>) => logged.filter(({ event }) => event === 'request')

describe('the line of a request', () => {
  it('names the whole route of each that the relay has, with its parameters as placeholders', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    const routes = new Set(
      server.relay.app.routes.flatMap(({ path, method }) =>
        path.includes('*') || method === 'ALL' ? [] : [`${method} ${path}`],
      ),
    )
    expect(routes.size).toBeGreaterThan(15)
    for (const route of routes) {
      const [method = '', path = ''] = route.split(' ')
      const asked = path.replace(/:\w+/g, canary)
      await fetch(`${server.url}${asked}?${canary}=1`, { method, headers: { authorization } }).then((answer) =>
        answer.arrayBuffer(),
      )
    }
    expect(requestsOf(server).map(({ method, route }) => `${method} ${route}`)).toEqual(
      [...routes].map((route) => route.replace(/:(\w+)/g, '{$1}')),
    )
    expect(JSON.stringify(server.logged)).not.toContain(canary)
  })

  it.each([
    ['GET', `/${canary}`, 'other'],
    ['POST', `/hooks/${canary}`, '/hooks/{source}'],
    ['PUT', '/v1/updates', '/v1/updates'],
    ['GET', `/v1/${canary}`, '/v1/*'],
    ['GET', '/healthz/', '/healthz'],
  ])('%s %s has the route %s', async (method, path, route) => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    await fetch(`${server.url}${path}`, { method })
    expect(requestsOf(server)).toMatchObject([{ method, route }])
    expect(JSON.stringify(server.logged)).not.toContain(canary)
  })

  it('names the source of a webhook that is there, the status, and how long it took', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    await fetch(`${server.url}/hooks/loan`, { method: 'POST', body: '{}' })
    expect(requestsOf(server)).toEqual([
      {
        event: 'request',
        method: 'POST',
        route: '/hooks/{source}',
        status: 401,
        ms: expect.any(Number),
        source: 'loan',
      },
    ])
  })

  it('a method that nobody has heard of is another one', async () => {
    const lines: object[] = []
    const app = new Hono().use(
      requestLine(() => ({
        settings: { logRequests: 'all' },
        clock: fakeClock(),
        log: (event, details) => lines.push({ event, ...details }),
      })),
    )
    await app.request('/', { method: canary })
    expect(lines).toEqual([{ event: 'request', method: 'other', route: 'other', status: 404, ms: 0 }])
  })
})

describe('LOG_REQUESTS', () => {
  it.each<[LogRequests | undefined, readonly number[]]>([
    ['all', [200, 404, 401]],
    ['errors', [404]],
    ['off', []],
    // Servers; nobody bills their lines.
    [undefined, [200, 404, 401]],
  ])('%s logs the requests answered %j', async (logRequests, statuses) => {
    await using emulator = await startEmulator({ autoSeed: true })
    const settings = logRequests === undefined ? {} : { LOG_REQUESTS: logRequests }
    await using server = await startServer(emulator.origin, { settings })
    for (const path of ['/healthz', '/nowhere', '/admin/api/status']) await fetch(`${server.url}${path}`)
    expect(requestsOf(server).map(({ status }) => status)).toEqual(statuses)
  })
})

describe('traceparent', () => {
  it('stands in every line that its request causes, and in no other request’s', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    const ask = (traceparent?: string) =>
      fetch(`${server.url}/hooks/loan`, {
        method: 'POST',
        headers: traceparent === undefined ? {} : { traceparent },
      }).then((answer) => answer.arrayBuffer())
    await Promise.all([ask(`00-${trace}-${span}-01`), ask(), ask(`00-${canary}-${span}-01`)])
    const traced = server.logged.filter(({ trace_id }) => trace_id === trace)
    expect(traced.filter(({ event }) => event === 'request')).toHaveLength(1)
    expect(requestsOf(server)).toHaveLength(3)
    expect(server.logged.filter((line) => 'trace_id' in line)).toEqual(traced)
    expect(JSON.stringify(server.logged)).not.toContain(canary)
  })

  it('stands in what an operator does', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    const paused = { method: 'POST', headers: { authorization, 'content-type': 'application/json' } }
    await fetch(`${server.url}/admin/api/pause`, {
      ...paused,
      headers: { ...paused.headers, traceparent: `00-${trace}-${span}-01` },
    })
    const lines = server.logged.filter(({ trace_id }) => trace_id === trace).map(({ event }) => event)
    expect(lines).toEqual(expect.arrayContaining(['paused', 'request']))
  })
})
