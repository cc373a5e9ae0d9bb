/** The kinds of settings: how the text of each is read, and what is said of one that cannot be read. */
import * as z from 'zod'
import { readIsoTime } from '../core/time.ts'
import { decodeBase64 } from '../edge/auth/encodings.ts'
import { namedToken, type OperatorToken } from '../edge/auth/operators.ts'

/** A random token is as long; a word could be guessed. */
const minTokenChars = 20
/** Standard Webhooks: 24 to 64. */
const minWebhookSecretBytes = 24

/** For settings whose default depends on another setting. */
export const wholeOrNone = (min: number, max: number) => whole(min, max, undefined)

export const whole = <Fallback extends number | undefined>(min: number, max: number, fallback: Fallback) =>
  z
    .string()
    .optional()
    .transform((text): number | Fallback =>
      text === undefined || text === '' ? fallback : /^\d{1,15}$/.test(text.trim()) ? Number(text) : Number.NaN,
    )
    .refine(
      (value) => value === undefined || (Number.isInteger(value) && value >= min && value <= max),
      `must be a whole number from ${min} to ${max}`,
    )

export const fraction = (max: number, fallback: number) =>
  z
    .string()
    .optional()
    .transform((text) =>
      text === undefined || text === ''
        ? fallback
        : /^(0|0?\.\d+|0\.\d+)$/.test(text.trim())
          ? Number(text)
          : Number.NaN,
    )
    .refine((value) => value >= 0 && value <= max, `must be a number from 0 to ${max}`)

export const optional = z
  .string()
  .optional()
  .transform((text) => (text === '' ? undefined : text))

/** Comma-separated, or a JSON list if an item holds a comma. All items are accepted, so that secrets can be rotated. */
export const list = z
  .string()
  .optional()
  .transform((text, context) => {
    if (text === undefined || text === '') return []
    const items = text.startsWith('[') ? jsonItems(text) : text.split(',').map((item) => item.trim())
    if (items === undefined)
      context.addIssue(
        'begins with [ and is no JSON list of texts: write ["…","…"], or without the bracket, with commas between',
      )
    else if (items.includes(''))
      context.addIssue(
        'has an empty item: remove the extra comma, or write a JSON list, ["…","…"], where a secret holds a comma',
      )
    return items ?? []
  })

function jsonItems(text: string): readonly string[] | undefined {
  try {
    const items: unknown = JSON.parse(text)
    return Array.isArray(items) && items.every((item) => typeof item === 'string')
      ? items.map((item) => item.trim())
      : undefined
  } catch {
    return undefined
  }
}

/** What is wrong with a token for an Authorization header; undefined if it is good. */
export function tokenProblem(token: string): string | undefined {
  if (token.length < minTokenChars) return `must have ${minTokenChars} characters or more`
  return /^[\x21-\x7e]+$/.test(token) ? undefined : 'must be ASCII without white space: no header could carry it'
}

/** Tokens of operators, each perhaps with a name before it. */
export const operatorTokens = (role: OperatorToken['role']) =>
  list.transform((items, context) =>
    items.map((item, index): OperatorToken => {
      const named = namedToken(item)
      const problem = tokenProblem(named.token)
      if (problem !== undefined) context.addIssue(problem + perItem(index, items.length))
      return { role, ...named }
    }),
  )

/** Names an item of several, and what may have split it. */
export function perItem(index: number, count: number): string {
  return count === 1
    ? ''
    : `, and item ${index + 1} of ${count} does not (a secret that holds a comma goes into a JSON list: ["…"])`
}

/** Epoch milliseconds of a time, or of a date's first moment in UTC; undefined where it is neither. */
export function readDay(text: string): number | undefined {
  return readIsoTime(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00Z` : text)
}

export const origin = optional.refine(
  (text) => text === undefined || isOrigin(text),
  'must be an https:// origin without a path (http:// for loopback only)',
)

export const webhookUrl = optional.refine(
  (text) => text === undefined || isSafeUrl(text),
  'must be an https:// address (http:// for loopback only), without a user and a password',
)

/** Secrets of Standard Webhooks: base64, usually behind `whsec_`. */
export const webhookSecrets = list.transform((items, context) =>
  items.map((text) => {
    const bytes = decodeBase64(text.replace(/^whsec_/, '')) ?? new Uint8Array()
    if (bytes.byteLength < minWebhookSecretBytes)
      context.addIssue(`must be base64 of ${minWebhookSecretBytes} bytes or more, with or without whsec_ before it`)
    return { text, bytes }
  }),
)

function isOrigin(text: string): boolean {
  if (!isSafeUrl(text)) return false
  const { pathname, search, hash } = new URL(text)
  return pathname === '/' && search === '' && hash === ''
}

/** Where a secret may be sent. */
function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, username, password } = new URL(text)
  const loopback = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
  return username === '' && password === '' && (protocol === 'https:' || (protocol === 'http:' && loopback))
}
