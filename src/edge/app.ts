/** The app: which route answers what. Composition gives the parts; nothing here knows a runtime. */
import { type Context, Hono } from 'hono'
import { errorName } from '../core/errors.ts'
import { defaultLimits, type Limits } from '../core/limits.ts'
import { consolePages } from './console/index.ts'
import { problem, throwsErrors } from './http/problem.ts'
import { requestLine } from './http/request-line.ts'
import { boundUnderWay, newUnderWay, type UnderWayParts } from './http/under-way.ts'
import { openapi } from './openapi.ts'
import { adminApi } from './routes/admin/index.ts'
import { refuseDropIn, takeDropIn } from './routes/drop-in.ts'
import { hooksApi } from './routes/hooks.ts'
import { metricsApi } from './routes/metrics.ts'
import type { AppParts, Log } from './routes/parts.ts'
import { takeReadyz } from './routes/readyz.ts'
import { updatesApi } from './routes/updates.ts'

/**
 * An app with the parts of one relay.
 *
 * @param limits how much memory the bodies of unauthenticated senders may hold together, and how many requests are handled
 *   at once
 */
export function createApp(
  parts: Omit<AppParts, 'room' | 'underWay'>,
  { bytesUnauthenticated, requestsAtOnce }: Pick<Limits, 'bytesUnauthenticated' | 'requestsAtOnce'> = defaultLimits,
): Hono {
  const all: AppParts = {
    ...parts,
    room: { maxBytes: bytesUnauthenticated, heldBytes: 0 },
    underWay: { ...newUnderWay(), most: requestsAtOnce },
  }
  return createRoutes(() => all)
}

/**
 * The routes alone, for parts that are each request's own: a router is built once, whatever a request brings along.
 *
 * @param partsOf the parts of the request, found in its context; the same ones each time for one request
 */
export function createRoutes(partsOf: (c: Context) => AppParts): Hono {
  const app = base(partsOf)
  // OPTIONS changes nothing, and CloudEvents' senders ask by it; no answer to it lets a page send anything.
  for (const path of ['/v1/*', '/hooks/*', '/m2/*'])
    app.use(path, async (c, next) =>
      c.req.header('origin') === undefined || c.req.method === 'OPTIONS' ? next() : problem(c, 'browser'),
    )

  app.route('/v1/updates', updatesApi(partsOf))
  app.route('/hooks', hooksApi(partsOf))
  app.on(['GET', 'POST'], '/m2/:client/profile/update', (c) => takeDropIn(c, partsOf(c), c.req.param('client')))
  const api = adminApi(partsOf)
  app.route('/admin/api', api)
  app.route('/admin', consolePages(partsOf, api))
  app.route('/metrics', metricsApi(partsOf))
  // A load balancer's plain check asks OPTIONS, of / unless it was told a path (HAProxy's `option httpchk`).
  app.on(['GET', 'OPTIONS'], '/readyz', (c) => takeReadyz(c, partsOf(c)))
  app.options('/', (c) => takeReadyz(c, partsOf(c)))
  app.get('/openapi.json', (c) => c.body(openapi, 200, { 'content-type': 'application/json' }))

  app.all('/v1/updates', (c) => problem(c, 'method-not-allowed', {}, { allow: 'POST' }))
  app.all('/hooks/:source', (c) => problem(c, 'method-not-allowed', {}, { allow: 'POST' }))
  app.all('/m2/:client/profile/update', (c) => problem(c, 'method-not-allowed', {}, { allow: 'GET, POST' }))
  app.all('/metrics', (c) => problem(c, 'method-not-allowed', {}, { allow: 'GET' }))
  app.all('/openapi.json', (c) => problem(c, 'method-not-allowed', {}, { allow: 'GET' }))
  app.all('/readyz', (c) => problem(c, 'method-not-allowed', {}, { allow: 'GET, OPTIONS' }))
  return app
}

/** The app of a relay whose settings are missing or bad: every route but `/healthz` says which. */
export function createBrokenApp(problems: readonly string[]): Hono {
  const app = base()
  app.all('*', (c) => problem(c, 'misconfigured', { detail: problems.join('; ') }))
  return app
}

/** An app's answer to a request. Never rejects: if the app fails, the sender gets a 500 and may send again. */
export async function answerOf(app: Pick<Hono, 'fetch'>, request: Request, log: Log): Promise<Response> {
  try {
    return await app.fetch(request)
  } catch (error) {
    log('request_failed', { error: errorName(error) })
    return new Response(null, { status: 500 })
  }
}

function refuse(c: Context): Response {
  return problem(c, 'unavailable', { detail: 'More requests are under way than the relay handles at once.' })
}

function base(partsOf?: (c: Context) => Pick<AppParts, 'settings'> & UnderWayParts): Hono {
  // A trailing slash names the same route.
  const app = new Hono({ strict: false })
  app.use(async (c, next) => {
    await next()
    c.header('cache-control', 'no-store')
    c.header('x-content-type-options', 'nosniff')
  })
  if (partsOf !== undefined) {
    // Before the line of the log: of an overload there is one a minute.
    for (const path of ['/v1/*', '/hooks/*']) app.use(path, boundUnderWay(partsOf, refuse))
    app.use('/m2/*', boundUnderWay(partsOf, refuseDropIn))
    app.use(requestLine(partsOf))
  }
  app.use(throwsErrors)
  app.on(['GET', 'OPTIONS'], '/healthz', (c) => c.json({ status: 'ok' }))
  app.all('/healthz', (c) => problem(c, 'method-not-allowed', {}, { allow: 'GET, OPTIONS' }))
  app.notFound((c) => problem(c, 'not-found'))
  // The error may quote an id or a value: only its name is logged, and the sender gets neither.
  app.onError((error, c) => {
    partsOf?.(c).log?.('request_failed', { error: errorName(error) })
    return problem(c, 'internal')
  })
  return app
}
