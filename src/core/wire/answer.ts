import { given } from '../given.ts'
/**
 * What Target's answer means. Its envelope is XML, whose content type no page states and which today's
 * documentation prints with the tags lost, so it is read by content and never by header.
 */

export type Answer =
  | { readonly kind: 'delivered' }
  /** A verdict on the content: a retry would not help. */
  | {
      readonly kind: 'refused'
      readonly message: string
      /**
       * Whether Target itself says no. A bare 4xx may come from a wrong address as well, and says nothing of earlier
       * tries.
       */
      readonly own: boolean
    }
  /** A 2xx without Target's own answer in it: not taken for a yes. */
  | { readonly kind: 'disbelieved' }
  /** The address or the token of this relay is wrong. */
  | { readonly kind: 'misconfigured'; readonly status: number }
  /** A failure that may be temporary. */
  | { readonly kind: 'unavailable'; readonly status: number; readonly retryAfterMs?: number }

export interface RawAnswer {
  readonly status: number
  /** The beginning of the body. */
  readonly body: string
  /** The Retry-After header, unparsed. */
  readonly retryAfter?: string
  /** The answer's own `Date`: a Retry-After given as a date is counted from it. */
  readonly date?: string
}

const mayPass = new Set([408, 420, 425, 429])
const maxMessageChars = 200

/**
 * @param strict whether a 2xx must carry Target's own yes (`TARGET_STRICT_ANSWER`)
 * @param nowMs for a Retry-After that is a date, epoch ms
 * @param retentionMs the longest Retry-After that is honoured
 */
export function readAnswer(
  { status, body, retryAfter, date }: RawAnswer,
  { strict, nowMs, retentionMs }: { strict: boolean; nowMs: number; retentionMs: number },
): Answer {
  if (status >= 200 && status < 300) {
    const verdict = readVerdict(body)
    if (verdict === 'no') return { kind: 'refused', message: readMessage(body) ?? 'success=false', own: true }
    return verdict === 'yes' || !strict ? { kind: 'delivered' } : { kind: 'disbelieved' }
  }
  if ((status >= 300 && status < 400) || status === 401 || status === 403) return { kind: 'misconfigured', status }
  if (status >= 500 || mayPass.has(status)) {
    const retryAfterMs = readRetryAfter(retryAfter, answeredAtMs(date, nowMs), retentionMs)
    return { kind: 'unavailable', status, ...given({ retryAfterMs }) }
  }
  return { kind: 'refused', message: readMessage(body) ?? `status ${status}`, own: readVerdict(body) === 'no' }
}

function readVerdict(body: string): 'yes' | 'no' | undefined {
  const envelope = /<success>\s*(true|false)\s*<\/success>/i.exec(body)
  // Without tags, as Adobe's page prints it: `true` and then the message, which runs into it (`trueRequest …`).
  const word = envelope?.[1] ?? /^\s*(true|false)(?![a-z])/.exec(body)?.[1]
  return word === undefined ? undefined : word.toLowerCase() === 'true' ? 'yes' : 'no'
}

function readMessage(body: string): string | undefined {
  const message = /<message>([^<]*)<\/message>/i
    .exec(body)?.[1]
    ?.replace(/\p{Cc}+/gu, ' ')
    .trim()
  return message === undefined || message === '' ? undefined : message.slice(0, maxMessageChars).toWellFormed()
}

/**
 * When an answer was given, by the clock that a date in its Retry-After was written by: ours may be wrong.
 *
 * @param date the answer's `Date`
 * @returns epoch ms; `nowMs` where there is no `Date` that can be read
 */
export function answeredAtMs(date: string | undefined, nowMs: number): number {
  return httpDate.test(date ?? '') ? Date.parse(date ?? '') : nowMs
}

/**
 * Retry-After in both forms of RFC 9110 §10.2.3, strictly. A longer wait than the retention is cut to it: then the
 * update becomes a dead letter.
 *
 * @returns milliseconds from now; undefined where there is none, or none that can be read
 */
export function readRetryAfter(header: string | undefined, nowMs: number, retentionMs: number): number | undefined {
  const text = header?.trim() ?? ''
  const waitMs = /^\d{1,10}$/.test(text)
    ? Number(text) * 1_000
    : httpDate.test(text)
      ? Date.parse(text) - nowMs
      : Number.NaN
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(0, waitMs), retentionMs)
}

const httpDate = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/
