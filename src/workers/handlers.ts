/**
 * The handlers of a Worker that is nothing but a relay.
 *
 * Guarantee: what no request owns (settings, keys, hashes, routes) is built once for an `env` and used by every request
 * of the isolate. All else (the ledger's stub, timers, `waitUntil`) is a request's own: workerd lets no
 * request use another's I/O. Only what is finished is shared: a request never waits for a promise that another one
 * began, which would not settle if that one were cancelled.
 */
import type { Context } from 'hono'
import { errorName } from '../core/errors.ts'
import { given as optional } from '../core/given.ts'
import type { Span } from '../core/spans.ts'
import type { StartRun } from '../cron/beside.ts'
import type { FlushReport } from '../cron/report.ts'
import type { Segment } from '../cron/segments.ts'
import { answerOf, createBrokenApp, createRoutes } from '../edge/app.ts'
import { tracedLog, traceIdOf } from '../edge/http/trace.ts'
import type { AppParts } from '../edge/routes/parts.ts'
import type { Source } from '../edge/source/types.ts'
import { createBase, type RelayBase } from '../relay/base.ts'
import type { OpenRelay } from '../relay/compose.ts'
import { openFrom, parseAll, type RelayOptions } from '../relay/create.ts'
import { log } from '../relay/runtime.ts'
import type { Settings } from '../relay/settings.ts'
import type { Storage } from '../relay/storage.ts'

export interface HandlersOptions<Env extends object> {
  readonly sources: readonly Source[]
  readonly storageOf: (env: Env) => Storage
  /** What the settings ask for and an `env` has not; default: nothing. */
  readonly missing?: (env: Env, settings: Settings) => readonly string[]
  /** What starts the others of several runs; `exports` are the Worker's own. Default: each run is one alone. */
  readonly startRunOf?: (env: Env, exports: object | undefined) => StartRun | undefined
  /** Builds what requests share; for tests that count how often. */
  readonly build?: (settings: Settings, sources: readonly Source[]) => Promise<RelayBase>
}

/** What an isolate knows of one `env`. */
type Known =
  | {
      readonly ok: false
      readonly problems: readonly string[]
      readonly app: Pick<ReturnType<typeof createRoutes>, 'fetch'>
    }
  | { readonly ok: true; readonly settings: Settings; base?: RelayBase }

type Behind = Pick<ExecutionContext, 'waitUntil' | 'access'> & Partial<Pick<ExecutionContext, 'tracing' | 'exports'>>

export interface Handlers<Env> {
  fetch(request: Request, env: Env, ctx: Behind): Promise<Response>
  scheduled(controller: Pick<ScheduledController, 'noRetry'>, env: Env, ctx: Behind): Promise<void>
  /** One run, since the cron is silent. Never rejects. */
  flushForCron(env: Env, ctx: Behind): Promise<void>
  /** One of several runs. Rejects where it could not be begun. */
  flushPart(env: Env, ctx: Behind, segment: Segment): Promise<FlushReport>
}

export function relayHandlers<Env extends object>({
  sources,
  storageOf,
  missing = () => [],
  startRunOf = () => undefined,
  build = createBase,
}: HandlersOptions<Env>): Handlers<Env> {
  const known = new WeakMap<Env, Known>()
  const routes = createRoutes((c: Context<{ Bindings: AppParts }>) => c.env)

  return {
    async fetch(request, env, ctx) {
      const given = knownOf(env)
      if (!given.ok) return given.app.fetch(request)
      const traceId = traceIdOf(request.headers)
      const tracing = tracedLog(log, () => traceId)
      const { parts: shared } = await open(given, env, ctx, { log: tracing })
      const { access } = ctx
      const accessEmail = access && (async () => (await access.getIdentity())?.email)
      const parts: AppParts = { ...shared, ...optional({ accessEmail }) }
      const answer = answerOf({ fetch: (asked) => routes.fetch(asked, parts) }, request, tracing)
      // From the start, so that a sender that hangs up cancels nothing.
      ctx.waitUntil(answer)
      return answer
    },

    async scheduled(controller, env, ctx) {
      // A run that failed is followed by the next one in a minute; a retry would only overlap it.
      controller.noRetry()
      await flush(env, ctx, 'cron')
    },
    flushForCron: (env, ctx) => flush(env, ctx, 'alarm'),
    async flushPart(env, ctx, segment) {
      const given = knownOf(env)
      if (!given.ok) throw new Error(`settings: ${given.problems.join('; ')}`)
      const relay = await open(given, env, ctx, {})
      return relay.flushPart(segment)
    },
  }

  async function flush(env: Env, ctx: Behind, startedBy: 'cron' | 'alarm'): Promise<void> {
    const given = knownOf(env)
    if (!given.ok) return log('settings', { problems: given.problems.join('; ') })
    try {
      const relay = await open(given, env, ctx, { startedBy })
      await relay.flush()
    } catch (error) {
      log('flush_failed', { error: errorName(error) })
    }
  }

  function knownOf(env: Env): Known {
    const kept = known.get(env)
    if (kept !== undefined) return kept
    const parsed = parseAll(Object.fromEntries(Object.entries(env)), sources)
    const problems = parsed.ok ? missing(env, parsed.settings) : parsed.problems
    const fresh: Known =
      parsed.ok && problems.length === 0 ? parsed : { ok: false, problems, app: createBrokenApp(problems) }
    known.set(env, fresh)
    return fresh
  }

  async function open(
    given: Extract<Known, { ok: true }>,
    env: Env,
    ctx: Behind,
    own: Pick<RelayOptions, 'log' | 'startedBy'>,
  ): Promise<OpenRelay> {
    given.base ??= await build(given.settings, sources)
    return openFrom(given.base, {
      storage: storageOf(env),
      background: (work) => ctx.waitUntil(work),
      ...optional({ span: spanOf(ctx), startRun: startRunOf(env, ctx.exports) }),
      ...own,
    })
  }
}

/** Undefined where the platform has none: outside of Cloudflare, or by an older compatibility date. */
function spanOf({ tracing }: Behind): Span | undefined {
  return tracing && ((name, work) => tracing.enterSpan(name, () => work()))
}
