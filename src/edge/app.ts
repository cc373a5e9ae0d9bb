/** The routes (DESIGN.md §8). Composition gives the parts; nothing here knows a runtime. */
import { Hono } from 'hono'
import type { Backlog } from '../core/backlog/port.ts'
import type { Clock } from '../core/clock.ts'
import type { Prepare } from '../core/delivery/prepare.ts'
import type { Deliver } from '../core/delivery/receipt.ts'
import { errorName } from '../core/errors.ts'
import type { Ledger } from '../core/ledger/port.ts'
import { defaultLimits, type Limits } from '../core/limits.ts'
import type { Erase } from '../core/operator/erase.ts'
import type { FindVisitor } from '../core/operator/find-visitor.ts'
import type { Wire } from '../core/wire/calls.ts'
import type { ApiToken } from './auth/tokens.ts'
import type { TellUnproven } from './auth/unproven.ts'
import type { BodyRoom } from './http/body.ts'
import { problem, throwsErrors } from './http/problem.ts'
import { adminApi } from './routes/admin.ts'
import { takeDropIn } from './routes/drop-in.ts'
import { takeHook } from './routes/hooks.ts'
import { type Readiness, takeReadyz } from './routes/readyz.ts'
import { provenToken, takeUpdates, trialQuery, updatesBody } from './routes/updates.ts'
import type { Source } from './source/source.ts'

export interface AppParts {
  readonly settings: {
    readonly targetClientCode: string
    readonly apiTokens: readonly ApiToken[]
    readonly adminToken?: string
    readonly hookSecrets: ReadonlyMap<string, readonly string[]>
  }
  readonly sources: readonly Source[]
  readonly prepare: Prepare
  /** For dry runs. */
  readonly wire: Wire
  readonly deliver: Deliver
  readonly bury: Backlog['bury']
  readonly ready: () => Promise<Readiness>
  /** For who proves nothing: may be some seconds old. Default: `ready`. */
  readonly readyForAnybody?: () => Promise<Readiness>
  readonly operator: Operator
  readonly clock: Clock
  readonly log?: Log
  /** Told of each failed authentication. */
  readonly unproven?: TellUnproven
}

type Log = (event: string, details?: Readonly<Record<string, string | number>>) => void

/** What `/admin/api` can do. */
export interface Operator
  extends Pick<Ledger, 'usage' | 'pause' | 'restate' | 'confirmClock' | 'moveOut' | 'moveIn' | 'restored'> {
  /** Names `HASH_KEY` without telling it: under another one, a ledger's state means nothing. */
  hashKeyName(): Promise<string>
  /** One run; its report. */
  flush(): Promise<object>
  readonly erase: Erase
  readonly find: FindVisitor
}

export function createApp(parts: AppParts, { bytesUnproven }: Pick<Limits, 'bytesUnproven'> = defaultLimits): Hono {
  const app = base(parts.log)
  const room: BodyRoom = { maxBytes: bytesUnproven, heldBytes: 0 }
  for (const path of ['/v1/*', '/hooks/*', '/m2/*'])
    app.use(path, async (c, next) => (c.req.header('origin') === undefined ? next() : problem(c, 'browser')))

  app.post('/v1/updates', provenToken(parts), trialQuery, updatesBody(parts), (c) => takeUpdates(c, parts))
  app.post('/hooks/:source', (c) => takeHook(c, parts, c.req.param('source'), room))
  app.on(['GET', 'POST'], '/m2/:client/profile/update', (c) => takeDropIn(c, parts, c.req.param('client')))
  app.route('/admin/api', adminApi(parts))
  app.get('/readyz', (c) => takeReadyz(c, parts))

  app.all('/v1/updates', (c) => problem(c, 'method-not-allowed', {}, { allow: 'POST' }))
  app.all('/hooks/:source', (c) => problem(c, 'method-not-allowed', {}, { allow: 'POST' }))
  app.all('/m2/:client/profile/update', (c) => problem(c, 'method-not-allowed', {}, { allow: 'GET, POST' }))
  app.all('/readyz', (c) => problem(c, 'method-not-allowed', {}, { allow: 'GET' }))
  return app
}

/** Where settings are missing or bad: every route but `/healthz` says which. */
export function createBrokenApp(problems: readonly string[]): Hono {
  const app = base()
  app.all('*', (c) => problem(c, 'misconfigured', { detail: problems.join('; ') }))
  return app
}

/** An app's answer to a request. Never rejects: where all else failed, the sender may come back. */
export async function answerOf(app: Pick<Hono, 'fetch'>, request: Request, log: Log): Promise<Response> {
  try {
    return await app.fetch(request)
  } catch (error) {
    log('request_failed', { error: errorName(error) })
    return new Response(null, { status: 500 })
  }
}

function base(log?: Log): Hono {
  // One slash at the end names the same route.
  const app = new Hono({ strict: false })
  app.use(async (c, next) => {
    await next()
    c.header('cache-control', 'no-store')
    c.header('x-content-type-options', 'nosniff')
  })
  app.use(throwsErrors)
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  app.all('/healthz', (c) => problem(c, 'method-not-allowed', {}, { allow: 'GET' }))
  app.notFound((c) => problem(c, 'not-found'))
  // What went wrong may quote an id or a value: nothing of it is told.
  app.onError((error, c) => {
    log?.('request_failed', { error: errorName(error) })
    return problem(c, 'internal')
  })
  return app
}
