/** Errors to the outside: `application/problem+json` (RFC 9457), one table of all types. */
import type { Context, MiddlewareHandler } from 'hono'
import type { Problem as FieldProblem } from '../../core/update/validate.ts'

/** Seconds after which a sender that was told to come back may do so. */
export const comeBackSeconds = 10

const problems = {
  malformed: [400, 'The request cannot be read'],
  unauthenticated: [401, 'The sender is not authenticated'],
  browser: [403, 'This API is server to server: requests from a web page are refused'],
  'view-only': [403, 'This token only looks'],
  'not-found': [404, 'There is nothing here'],
  'method-not-allowed': [405, 'This method is not for this route'],
  'too-slow': [408, 'The body took too long'],
  'in-flight': [409, 'A first attempt of this event is still under way'],
  'too-large': [413, 'The body is larger than this route takes'],
  'unsupported-media-type': [415, 'The body must be JSON'],
  'id-reused': [422, 'The id came before with other content'],
  invalid: [422, 'The update cannot be sent as it is'],
  internal: [500, 'Something went wrong here'],
  unavailable: [503, 'Nothing was kept: send it again'],
  misconfigured: [503, 'The relay is not configured'],
} as const satisfies Record<string, readonly [status: number, title: string]>

export type ProblemType = keyof typeof problems

/** All problem types; docs/http.md has a cause and a cure for each. */
export const problemTypes = Object.keys(problems) as readonly ProblemType[]

/** Anything may be thrown, and hono passes only errors to `onError`: anything else would end the process. */
export const throwsErrors: MiddlewareHandler = async (_c, next) => {
  try {
    await next()
  } catch (thrown) {
    throw thrown instanceof Error ? thrown : new Error('something that is no error was thrown')
  }
}

/** The status of a problem, for routes that answer in another format. */
export function problemStatus(type: ProblemType) {
  return problems[type][0]
}

export function problemTitle(type: ProblemType): string {
  return problems[type][1]
}

/** Answers with a problem. `detail` and `errors` must never repeat a value, an id or a secret. */
export function problem(
  c: Context,
  type: ProblemType,
  more: { detail?: string; errors?: readonly FieldProblem[]; id?: string; results?: readonly unknown[] } = {},
  headers: Record<string, string> = {},
): Response {
  const [status, title] = problems[type]
  const comeBack = type === 'unavailable' || type === 'in-flight' ? { 'retry-after': String(comeBackSeconds) } : {}
  return c.body(JSON.stringify({ type: `/problems/${type}`, title, status, ...more }), status, {
    'content-type': 'application/problem+json',
    ...comeBack,
    ...headers,
  })
}
