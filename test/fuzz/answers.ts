/** Every answer that docs/http.md lists: what else comes is a fault. The one place that a new answer is written into. */

/** Problem types, and the status of each. `internal` is a fault of ours, so it is none of them. */
export const problems: Readonly<Record<string, number>> = {
  malformed: 400,
  unauthenticated: 401,
  browser: 403,
  'not-found': 404,
  'method-not-allowed': 405,
  'too-slow': 408,
  'in-flight': 409,
  'id-reused': 422,
  'too-large': 413,
  'unsupported-media-type': 415,
  invalid: 422,
  unavailable: 503,
  misconfigured: 503,
}

/** What became of an update, and the status where it is the only one. */
export const results: Readonly<Record<string, number>> = {
  submitted: 200,
  duplicate: 200,
  superseded: 200,
  rejected: 200,
  ignored: 200,
  deferred: 202,
  set_aside: 202,
  quarantined: 202,
}

/** What a webhook may be told though its sender proved itself: nothing was kept, and another try of the same may be taken. */
export const toldToProven: ReadonlySet<string> = new Set(['unavailable', 'too-large'])

/** Their senders take 200 alone for a yes, and may be told it for whatever was kept. */
export const only200 = /^\/hooks\/(line|mailgun|paddle|workos|zoom)\b/

/** A server's own, before any of our code: what was sent is no HTTP, or its head is too large, or too slow. */
export const serversOwn: ReadonlySet<number> = new Set([400, 408, 413, 417, 431, 501, 505])

interface Answer {
  readonly status: number
  readonly headers: Pick<Headers, 'get'>
  readonly text: string
}

/** What is wrong with an answer; undefined where the docs list it. */
export function faultOf(method: string, path: string, { status, headers, text }: Answer): string | undefined {
  const type = headers.get('content-type') ?? ''
  if (headers.get('cache-control') !== 'no-store' || headers.get('x-content-type-options') !== 'nosniff')
    return 'it may be cached or sniffed'
  if (status === 503 && !type.includes('xml') && headers.get('retry-after') === null && !text.includes('misconfigured'))
    return 'come back, but not when'
  if (status === 405 && headers.get('allow') === null) return '405 without what is allowed'
  if (method === 'HEAD' || status === 204) return text === '' ? undefined : 'a body where there is none'
  if (type.startsWith('application/xml'))
    return /^<response><success>(true|false)<\/success><pcId><\/pcId><message>[^<>]*<\/message><\/response>$/.test(text)
      ? undefined
      : 'no answer of Target’s shape'
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return 'no JSON'
  }
  if (typeof body !== 'object' || body === null) return 'no object'
  if (type === 'application/problem+json') return faultOfProblem(status, body as Record<string, unknown>)
  return faultOfResult(status, only200.test(path), body as Record<string, unknown>)
}

/** The name of the problem in an answer. */
export function problemIn(text: string): string | undefined {
  return /^\{"type":"\/problems\/([a-z-]+)"/.exec(text)?.[1]
}

function faultOfProblem(status: number, body: Record<string, unknown>): string | undefined {
  const name = String(body['type']).replace('/problems/', '')
  if (problems[name] === undefined) return `no problem of the docs: ${name}`
  return problems[name] === status && body['status'] === status && typeof body['title'] === 'string'
    ? undefined
    : `${name} with ${status}`
}

function faultOfResult(status: number, is200: boolean, body: Record<string, unknown>): string | undefined {
  const fits = (expected: number) => status === expected || (is200 && status === 200)
  const many = body['results']
  if (Array.isArray(many)) {
    const statuses = many.map((one: { status: string }) => results[one.status])
    if (statuses.includes(undefined)) return 'no result of the docs'
    return fits(Math.max(200, ...(statuses as number[]))) ? undefined : `results with ${status}`
  }
  const what = String(body['status'])
  if (body['dryRun'] === true)
    return status === 200 && ['mapped', 'unmappable', 'ignored'].includes(what) ? undefined : 'no dry run of the docs'
  if (results[what] !== undefined) return fits(results[what] ?? 0) ? undefined : `${what} with ${status}`
  // Health, and what senders that ask first are told.
  const isGreeting =
    ['challenge', 'plainToken'].some((name) => name in body) || body['type'] === 1 || Object.keys(body).length === 0
  return status === 200 && (isGreeting || ['ok', 'ready', 'pong'].includes(what)) ? undefined : 'no answer of the docs'
}
