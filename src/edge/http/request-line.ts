/**
 * A line of the log for each request: what was asked, of which route, and how it was answered. The route is the pattern
 * that matched (`/hooks/{source}`), never the path, which may hold anything.
 */
import type { Context, MiddlewareHandler } from 'hono'
import { matchedRoutes } from 'hono/route'
import type { Clock } from '../../core/clock.ts'
import { given } from '../../core/given.ts'
import type { Log } from '../../core/log.ts'
import { traceIdOf } from './trace.ts'

/** `errors`: those that were answered 400 or above, but for 401: these have lines of their own, once a minute. */
export const logRequestsChoices = ['all', 'errors', 'off'] as const
export type LogRequests = (typeof logRequestsChoices)[number]

export interface RequestLineParts {
  readonly settings: { readonly logRequests?: LogRequests }
  readonly clock: Clock
  readonly log?: Log
}

/** To be before all that handles a request, but for the bound on how many are handled. */
export function requestLine(partsOf: (c: Context) => RequestLineParts): MiddlewareHandler {
  return async (c, next) => {
    const { settings, clock, log } = partsOf(c)
    const tickMs = () => clock.elapsed?.() ?? clock.now()
    const startedMs = tickMs()
    await next()
    const { status } = c.res
    const { logRequests = 'errors' } = settings
    if (logRequests === 'off' || (logRequests === 'errors' && (status < 400 || status === 401))) return
    log?.('request', {
      method: methodOf(c),
      route: routeOf(c),
      status,
      ms: Math.round(tickMs() - startedMs),
      ...given({ source: sourceOf(c), trace_id: traceIdOf(c.req.raw.headers) }),
    })
  }
}

/** Runtimes pass on methods that nobody has heard of. */
function methodOf({ req }: Context): string {
  return methods.has(req.method) ? req.method : 'other'
}
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** The first pattern of a route that matched, with parameters in braces; `other` for what the relay does not have. */
function routeOf(c: Context): string {
  const paths = matchedRoutes(c).map(({ path }) => path)
  // Those with a star are of middleware.
  const path = paths.find((one) => !one.endsWith('*')) ?? paths.at(-1) ?? '*'
  return path === '*' || path === '/*' ? 'other' : path.replace(/:(\w+)/g, '{$1}')
}

/** Of a webhook for a source that exists. */
function sourceOf(c: Context): string | undefined {
  const source: unknown = c.get('source')
  return typeof source === 'object' && source !== null && 'name' in source ? String(source.name) : undefined
}
