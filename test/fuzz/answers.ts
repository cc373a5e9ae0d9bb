/** Every answer that docs/http.md lists; any other is a fault. A new answer is added here only. */

/** Problem types, and the status of each. `internal` is left out: it is a bug of the relay. */
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

/** Receipts, and the status of an answer with one update. */
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

/** Problems that an authenticated webhook may be answered: nothing was stored, and a repeat may succeed. */
export const toldToProven: ReadonlySet<string> = new Set(['unavailable', 'too-large'])

/** Their senders accept only 200, and may get it for whatever was stored. */
export const only200 = /^\/hooks\/(line|mailgun|paddle|workos|zoom)\b/

/** Answers of the HTTP server itself, before the relay's code: not HTTP, a head too large, or too slow. */
export const serversOwn: ReadonlySet<number> = new Set([400, 408, 413, 417, 431, 501, 505])

interface Answer {
  readonly status: number
  readonly headers: Pick<Headers, 'get'>
  readonly text: string
}

/** What is wrong with an answer; undefined if the docs list it. */
export function faultOf(method: string, path: string, { status, headers, text }: Answer): string | undefined {
  const type = headers.get('content-type') ?? ''
  if (headers.get('cache-control') !== 'no-store' || headers.get('x-content-type-options') !== 'nosniff')
    return 'may be cached or sniffed'
  if (status === 503 && !type.includes('xml') && headers.get('retry-after') === null && !text.includes('misconfigured'))
    return '503 without Retry-After'
  if (status === 405 && headers.get('allow') === null) return '405 without Allow'
  if (method === 'HEAD' || status === 204) return text === '' ? undefined : 'an unexpected body'
  if (type.startsWith('application/xml'))
    return /^<response><success>(true|false)<\/success><pcId><\/pcId><message>[^<>]*<\/message><\/response>$/.test(text)
      ? undefined
      : 'not of the shape of Target’s answers'
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return 'not JSON'
  }
  if (typeof body !== 'object' || body === null) return 'not an object'
  if (type === 'application/problem+json') return faultOfProblem(status, body as Record<string, unknown>)
  return faultOfResult(status, only200.test(path), body as Record<string, unknown>)
}

/** The name of the problem in an answer. */
export function problemIn(text: string): string | undefined {
  return /^\{"type":"\/problems\/([a-z-]+)"/.exec(text)?.[1]
}

function faultOfProblem(status: number, body: Record<string, unknown>): string | undefined {
  const name = String(body['type']).replace('/problems/', '')
  if (problems[name] === undefined) return `an undocumented problem: ${name}`
  return problems[name] === status && body['status'] === status && typeof body['title'] === 'string'
    ? undefined
    : `${name} with ${status}`
}

function faultOfResult(status: number, is200: boolean, body: Record<string, unknown>): string | undefined {
  const fits = (expected: number) => status === expected || (is200 && status === 200)
  const many = body['results']
  if (Array.isArray(many)) {
    const statuses = many.map((one: { status: string }) => results[one.status])
    if (statuses.includes(undefined)) return 'an undocumented result'
    return fits(Math.max(200, ...(statuses as number[]))) ? undefined : `results with ${status}`
  }
  const what = String(body['status'])
  if (body['dryRun'] === true)
    return status === 200 && ['mapped', 'unmappable', 'ignored'].includes(what) ? undefined : 'an undocumented dry run'
  if (results[what] !== undefined) return fits(results[what] ?? 0) ? undefined : `${what} with ${status}`
  // Health, the contract, and handshakes.
  const isGreeting =
    ['challenge', 'plainToken', 'openapi'].some((name) => name in body) ||
    body['type'] === 1 ||
    Object.keys(body).length === 0
  return status === 200 && (isGreeting || ['ok', 'ready', 'pong'].includes(what)) ? undefined : 'an undocumented answer'
}
