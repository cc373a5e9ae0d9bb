/**
 * Secrets that are sent as they are. They authenticate the sender, not the body, and a copied request can be sent
 * again.
 */
import type { Lane } from '../../core/update/update.ts'
import { parseJsonBody } from '../http/body.ts'
import { decodeBase64 } from './encodings.ts'
import type { AuthFailure, AuthScheme, Verdict } from './scheme.ts'

/** RFC 6750 §3, RFC 7617 §2. */
export const bearerChallenge = 'Bearer'
export const basicChallenge = 'Basic realm="target-relay", charset="UTF-8"'

/** `Authorization: Bearer <secret>`. */
export function bearer(): AuthScheme {
  return {
    name: 'bearer',
    sending: { by: 'bearer' },
    challenge: bearerChallenge,
    carriesSecret: true,
    verify: ({ headers, secrets }) => judge(headers.get('authorization'), secrets, verifyBearer),
  }
}

/** The secret in a header of its own. */
export function apiKey(header: string): AuthScheme {
  return {
    name: 'api-key',
    sending: { by: 'header', name: header },
    challenge: `ApiKey header="${header}"`,
    carriesSecret: true,
    verify: ({ headers, secrets }) => judge(headers.get(header), secrets, isOneOf),
  }
}

/**
 * The secret in the query (`?code=…`), for senders that can add nothing else. URLs stand in the logs of proxies and of
 * the sender: prefer a header where there is a choice.
 *
 * @param name of the query parameter; given more than once it authenticates nobody
 */
export function queryKey(name: string): AuthScheme {
  return {
    name: 'query-key',
    sending: { by: 'query', name },
    challenge: `QueryKey name="${name}"`,
    carriesSecret: true,
    verify: async ({ url, secrets }) => {
      const [text = null, ...others] = new URL(url).searchParams.getAll(name)
      return others.length > 0 ? 'malformed' : judge(text, secrets, isOneOf)
    },
  }
}

/** More secrets than a rotation needs; each costs a hash. */
const maxBodyKeys = 8

/**
 * The secret in a field of the JSON body, for senders that can put it nowhere else: Microsoft Graph, Aircall.
 *
 * @param path names of fields joined by dots; of a list every item must have it
 */
export function bodyKey(path: string): AuthScheme {
  return {
    name: 'body-key',
    sending: { by: 'field', path },
    challenge: `BodyKey name="${path}"`,
    carriesSecret: true,
    verify: async ({ body, secrets }) => {
      const texts = [...new Set(fieldsAt(parseJsonBody(body), path.split('.')))]
      if (texts.length === 0) return 'header_missing'
      if (texts.length > maxBodyKeys) return 'malformed'
      const verdicts = await Promise.all(texts.map((text) => judge(text, secrets, isOneOf)))
      return verdicts.find((verdict) => verdict !== true) ?? true
    },
  }
}

/** The texts at a path, through lists (not through lists of lists); null for each that is not there or is no text. */
function fieldsAt(value: unknown, path: readonly string[]): readonly (string | null)[] {
  if (Array.isArray(value)) return value.flatMap((item) => (Array.isArray(item) ? null : fieldsAt(item, path)))
  const [name, ...rest] = path
  if (name === undefined) return [typeof value === 'string' ? value : null]
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? fieldsAt((value as Readonly<Record<string, unknown>>)[name], rest)
    : [null]
}

/** HTTP basic; each secret is `user:password`. */
export function basic(): AuthScheme {
  return {
    name: 'basic',
    sending: { by: 'basic' },
    challenge: basicChallenge,
    carriesSecret: true,
    verify: ({ headers, secrets }) => judge(headers.get('authorization'), secrets, verifyBasic),
    takesSecret: async (secret) => /^[^:]+:./.test(secret),
  }
}

async function judge(
  text: string | null,
  secrets: readonly string[],
  fits: (text: string, secrets: readonly string[]) => Promise<boolean>,
): Promise<Verdict> {
  if (text === null || text === '') return 'header_missing'
  if (secrets.length === 0) return 'no_secret'
  return (await fits(text, secrets)) || 'mismatch'
}

/** Whether an Authorization header carries one of the `user:password` pairs; in constant time. */
export async function verifyBasic(header: string | null, pairs: readonly string[]): Promise<boolean> {
  const text = basicText(header)
  return text !== undefined && isOneOf(text, pairs)
}

/** The `user:password` of an Authorization header, in UTF-8 (RFC 7617). */
function basicText(header: string | null): string | undefined {
  const bytes = decodeBase64(/^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(header ?? '')?.[1] ?? '')
  return bytes !== undefined && bytes.byteLength > 0 ? new TextDecoder().decode(bytes) : undefined
}

export function basicOf(header: string | null): { readonly user: string; readonly password: string } | undefined {
  const text = basicText(header)
  const colon = text?.indexOf(':') ?? -1
  return text === undefined || colon === -1
    ? undefined
    : { user: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** Whether an Authorization header carries one of the tokens; in constant time. */
export async function verifyBearer(header: string | null, tokens: readonly string[]): Promise<boolean> {
  const token = bearerOf(header)
  return token !== undefined && isOneOf(token, tokens)
}

export function bearerOf(header: string | null): string | undefined {
  return /^Bearer +([^\s]+)$/i.exec(header ?? '')?.[1]
}

/** A token of `API_TOKENS`, and the lane that it was granted. */
export interface ApiToken {
  readonly token: string
  readonly lane: Lane
}

/** The lane of the token that an Authorization header carries, or why it is none. All are compared. */
export async function laneOfBearer(
  header: string | null,
  tokens: readonly ApiToken[],
): Promise<{ readonly lane: Lane } | { readonly why: AuthFailure }> {
  if (tokens.length === 0) return { why: 'no_secret' }
  if (header === null) return { why: 'header_missing' }
  const given = bearerOf(header)
  if (given === undefined) return { why: 'mismatch' }
  const texts = tokens.map(({ token }) => token)
  const lane = tokens[await placeOf(given, texts)]?.lane
  return lane === undefined ? { why: 'mismatch' } : { lane }
}

/** Compares with every secret, so that time tells neither which one fits nor how much of it. */
export async function isOneOf(given: string, secrets: readonly string[]): Promise<boolean> {
  return (await placeOf(given, secrets)) !== -1
}

/** Where a secret is in a list, -1 where it is not in it. Compares with every one. */
export async function placeOf(given: string, secrets: readonly string[]): Promise<number> {
  const digest = await sha256(given)
  let place = -1
  for (const [at, secret] of secrets.entries()) {
    const other = await digestOf(secret)
    let different = 0
    for (let index = 0; index < digest.length; index++) different |= (digest[index] ?? 0) ^ (other[index] ?? 0)
    place = different === 0 ? at : place
  }
  return place
}

/**
 * Digests of the secrets of the settings, which are compared with every request. What a sender gives is never in here.
 */
const digests = new Map<string, Uint8Array>()
/** More than any settings hold: a process that has more of them hashes those anew each time. */
const maxDigests = 1_000

async function digestOf(secret: string): Promise<Uint8Array> {
  const known = digests.get(secret)
  if (known !== undefined) return known
  const digest = await sha256(secret)
  if (digests.size < maxDigests) digests.set(secret, digest)
  return digest
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
}
