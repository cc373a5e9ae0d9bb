/**
 * Handshakes: how a sender checks that an address is ours before it sends anything, whatever its scheme.
 *
 * Guarantee: a greeting only answers. It is asked for before authentication, so nothing is mapped, kept, fetched or
 * recorded because of it; and what it answers is short, plain ASCII, and never HTML, so that the relay is no mirror for
 * what a stranger writes.
 */
import { given } from '../../core/given.ts'
import { fields } from '../auth/preset.ts'

export interface GreetRequest {
  readonly method: 'GET' | 'HEAD' | 'OPTIONS' | 'POST' | 'PUT'
  readonly query: URLSearchParams
  readonly headers: Headers
  /** The body as the source's format reads it; undefined where there is none, or it can't be read. */
  readonly event: unknown
}

export interface Greeted {
  readonly status: 200 | 204
  /** Names begin with `x-` or `webhook-`, or are `validation-token`. */
  readonly headers?: Readonly<Record<string, string>>
  /** Text, or an object that is sent as JSON. Default, with 200: `ok`. */
  readonly body?: string | object
}

/** Answers a handshake; undefined for anything else. */
export interface Greet {
  (request: GreetRequest): Greeted | undefined
  /** Headers that each later answer to a success carries too, for senders that ask again with every event. */
  readonly onAnswers?: (headers: Headers) => Readonly<Record<string, string>>
}

/** Longer than any vendor's challenge, and too short to be of use to anybody else. */
const maxEchoChars = 256
const maxBodyChars = 1_024
/** What challenges consist of: tokens, UUIDs, base64, host names; Microsoft Graph's are several words. */
const echoable = /^[A-Za-z0-9._~:/+=@*-]+(?: [A-Za-z0-9._~:/+=@*-]+)*$/
const plainText = /^[\x20-\x7e]*$/
/** `x-accel-*` and `x-sendfile` make a proxy send a file; `validation-token` is RingCentral's. */
const headerName = /^(?:(?:webhook|x)-(?!accel-|sendfile)[a-z0-9-]{1,64}|validation-token)$/i

/** A greeting within its bounds; undefined where it is outside of them. */
export function bounded(greeted: Greeted): Greeted | undefined {
  const { status, headers = {}, body } = greeted
  const text = body === undefined || typeof body === 'string' ? (body ?? '') : JSON.stringify(body)
  const fits =
    [200, 204].includes(status) &&
    Object.entries(headers).every(([name, value]) => headerName.test(name) && isShort(value)) &&
    text.length <= maxBodyChars &&
    plainText.test(text) &&
    !/[<>]/.test(text)
  return fits ? greeted : undefined
}

/** `bounded` for headers alone. */
export function boundedHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).filter(([name, value]) => headerName.test(name) && isShort(value)))
}

function isShort(value: string): boolean {
  return value.length <= maxEchoChars && plainText.test(value)
}

/** What was given once, is not empty, and may be repeated. */
function echo(values: readonly (string | null)[]): string | undefined {
  const [value, ...others] = values
  return value != null && others.length === 0 && value.length <= maxEchoChars && echoable.test(value)
    ? value
    : undefined
}

/** By which a sender asks: by GET unless it says else. No event may come by it that has what is repeated. */
interface AskedBy {
  readonly method?: 'GET' | 'POST'
}

/**
 * Repeats a query parameter as the body: Adobe I/O (`challenge`), Meta (`hub.challenge`), Dropbox; by POST Microsoft
 * Graph (`validationToken`).
 *
 * @param options.as the name of a JSON field; default: the value alone, as text
 * @param options.where parameters that must have these values, as Meta's `hub.verify_token`
 */
export function echoQuery(
  name: string,
  {
    as,
    where = {},
    method: askedBy = 'GET',
  }: { readonly as?: string; readonly where?: Readonly<Record<string, string>> } & AskedBy = {},
): Greet {
  return ({ method, query }) => {
    if (method !== askedBy) return undefined
    const value = echo(query.getAll(name))
    const fits = Object.entries(where).every(([other, expected]) => query.get(other) === expected)
    return value !== undefined && fits ? { status: 200, body: as === undefined ? value : { [as]: value } } : undefined
  }
}

/**
 * Repeats a field of a POST's JSON body in the answer's: monday.com (`challenge`).
 *
 * @param options.as the name of the field in the answer; default: the same
 * @param options.where fields that must have these values, as `type: 'url_verification'`
 */
export function echoField(
  name: string,
  { as = name, where = {} }: { readonly as?: string; readonly where?: Readonly<Record<string, string>> } = {},
): Greet {
  return ({ method, event }) => {
    const asked = fields(event)
    const written = asked[name]
    const value = method === 'POST' && typeof written === 'string' ? echo([written]) : undefined
    const fits = Object.entries(where).every(([other, expected]) => asked[other] === expected)
    return value !== undefined && fits ? { status: 200, body: { [as]: value } } : undefined
  }
}

/**
 * Repeats a header: Acrobat Sign (`x-adobesign-clientid`, also on the answers to its events), Okta; by POST RingCentral
 * (`validation-token`).
 *
 * @param options.as the name of a JSON field that holds it; default: the same header
 * @param options.only the only values repeated; default: any
 * @param options.onAnswers whether the answers to events carry it too
 */
export function echoHeader(
  name: string,
  {
    as,
    only,
    onAnswers = false,
    method: askedBy = 'GET',
  }: { readonly as?: string; readonly only?: readonly string[]; readonly onAnswers?: boolean } & AskedBy = {},
): Greet {
  const valueIn = (headers: Headers): string | undefined => {
    const value = echo([headers.get(name)])
    return value !== undefined && only?.includes(value) !== false ? value : undefined
  }
  const greet: Greet = ({ method, headers }) => {
    const value = method === askedBy ? valueIn(headers) : undefined
    if (value === undefined) return undefined
    return as === undefined ? { status: 200, headers: { [name]: value } } : { status: 200, body: { [as]: value } }
  }
  if (!onAnswers) return greet
  return Object.assign(greet, { onAnswers: (headers: Headers) => given({ [name]: valueIn(headers) }) })
}

/**
 * The abuse protection of CloudEvents' HTTP webhooks (§4): an OPTIONS that names its origin is allowed to send, at the
 * rate it asks for.
 *
 * @param options.origins the only origins that may send; default: any
 */
export function cloudEvents({ origins }: { readonly origins?: readonly string[] } = {}): Greet {
  return ({ method, headers }) => {
    if (method !== 'OPTIONS') return undefined
    const origin = echo([headers.get('webhook-request-origin')])
    if (origin === undefined || origins?.includes(origin) === false) return undefined
    const rate = headers.get('webhook-request-rate') === null ? undefined : '*'
    return {
      status: 200,
      headers: { 'webhook-allowed-origin': origin, ...given({ 'webhook-allowed-rate': rate }) },
    }
  }
}

/** Azure Event Grid's validation in its own schema: the code in the event is answered. */
export function eventGrid(): Greet {
  return ({ method, event }) => {
    if (method !== 'POST' || !Array.isArray(event) || event.length !== 1) return undefined
    const { eventType, data } = fields(event[0])
    if (eventType !== 'Microsoft.EventGrid.SubscriptionValidationEvent') return undefined
    const code = fields(data)['validationCode']
    const echoed = typeof code === 'string' ? echo([code]) : undefined
    return echoed === undefined ? undefined : { status: 200, body: { validationResponse: echoed } }
  }
}

/** 200 for senders that only look whether somebody answers: Mailchimp by GET, Trello by HEAD. */
export function ok(...methods: readonly ('GET' | 'HEAD')[]): Greet {
  const asked: readonly string[] = methods.length === 0 ? ['GET', 'HEAD'] : methods
  return ({ method }) => (asked.includes(method) ? { status: 200 } : undefined)
}

/** Several handshakes at one source: the first that has an answer gives it. */
export function greetings(...greets: readonly Greet[]): Greet {
  const greet: Greet = (request) => {
    for (const one of greets) {
      const greeted = one(request)
      if (greeted !== undefined) return greeted
    }
    return undefined
  }
  const later = greets.flatMap(({ onAnswers }) => onAnswers ?? [])
  return later.length === 0
    ? greet
    : Object.assign(greet, { onAnswers: (headers: Headers) => Object.assign({}, ...later.map((one) => one(headers))) })
}
