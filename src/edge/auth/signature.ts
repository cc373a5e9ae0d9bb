/**
 * Webhook signatures of every kind, from one description. On WebCrypto, on the raw bytes, without a dependency.
 *
 * Guarantee: a request is authenticated only where the content as described was signed under one of the secrets, and
 * its timestamp, where there is one, is near. All secrets are tried, so that time does not tell which one fits.
 * Known hole: what the description does not sign is not authenticated. Without a timestamp a copied request stays good:
 * then the event's id must make it a duplicate.
 */
import { given } from '../../core/given.ts'
import { readHttpDate, readIsoTime } from '../../core/time.ts'
import { decodeUtf8, parseJsonBody } from '../http/body.ts'
import { decodeForm, isForm } from '../http/form.ts'
import type { Algorithm, Part, SignatureDescriptor, SignatureOptions, TimeUnit } from './descriptor.ts'
import { decodeBase64, decodeBase64url, decodeHex, derToP1363, encodeHex, encodeUtf8 } from './encodings.ts'
import type { AuthRequest, AuthScheme, Verdict } from './scheme.ts'
import { urlForms } from './url-forms.ts'

export type { Algorithm, Part, SignatureDescriptor, SignatureOptions } from './descriptor.ts'

const defaultToleranceSeconds = 300
/** More than any rotation of secrets needs; each costs a verification. */
const maxSignatures = 8

/** @throws TypeError if the description contradicts itself */
export function signature(descriptor: SignatureDescriptor, options: SignatureOptions = {}): AuthScheme {
  checkDescriptor(descriptor)
  const { id, timestamp, handshake, yes } = descriptor
  const keys: Keys = new Map()
  return {
    name: descriptor.name,
    sending: { by: 'signature', descriptor, options },
    verify: (request) => verify(descriptor, options, request, keys),
    takesSecret: async (secret) => (await keyOf(descriptor, secret)) !== undefined,
    ...(timestamp === undefined ? {} : { seesTime: true as const }),
    ...(id === undefined ? {} : { eventId: (headers: Headers) => headers.get(id) ?? undefined }),
    ...given({ handshake, yes }),
  }
}

/** Keys that were imported before, by secret: those of the settings are the same with every request. */
type Keys = Map<string, CryptoKey | undefined>

/** More secrets than any source has; further ones are imported anew each time. */
const maxKeys = 100

async function verify(
  descriptor: SignatureDescriptor,
  options: SignatureOptions,
  request: AuthRequest,
  known: Keys,
): Promise<Verdict> {
  const { algorithm, signed } = descriptor
  const texts = partsOf(request, descriptor.signature)
  const given = texts.map((text) => signatureBytes(text, descriptor)).filter((bytes) => bytes !== undefined)
  if (texts.length === 0) return isThere(request, descriptor.signature) ? 'malformed' : 'header_missing'
  if (given.length === 0 || given.length > maxSignatures) return 'malformed'
  const late = lateness(descriptor, options, request)
  if (late !== undefined) return late
  const form = signed.includes('{form}') ? await formContent(request) : ''
  if (form === undefined) return 'malformed'
  const keys = (await Promise.all(request.secrets.map((secret) => knownKeyOf(descriptor, secret, known)))).filter(
    (key) => key !== undefined,
  )
  if (keys.length === 0) return 'no_secret'
  for (const url of signed.includes('{url}')
    ? urlForms(request.url, request.headers.get('host'), options.url)
    : [request.url]) {
    const content = signedContent(descriptor, url, form, request)
    if (content === undefined) return 'header_missing'
    let fits = false
    for (const key of keys)
      for (const bytes of given) fits = (await crypto.subtle.verify(verifyWith(algorithm), key, bytes, content)) || fits
    if (fits) return true
  }
  return 'mismatch'
}

function partsOf(request: AuthRequest, part: Part): readonly string[] {
  const { separator, prefix = '', item } = part
  return textsAt(request, part)
    .flatMap((text) => {
      const items = separator === undefined ? [text] : text.split(separator).map((one) => one.trim())
      return item === undefined ? items : items.slice(item, item + 1)
    })
    .filter((item) => item.startsWith(prefix) && item.length > prefix.length)
    .map((item) => item.slice(prefix.length))
}

function isThere(request: AuthRequest, part: Part): boolean {
  return textsAt(request, part).some((text) => text !== '')
}

function textsAt({ headers, body }: AuthRequest, part: Part): readonly string[] {
  if ('header' in part) return [part.header].flat().flatMap((name) => headers.get(name) ?? [])
  return fieldOf(parseJsonBody(body), part.field) ?? []
}

function fieldOf(json: unknown, path: string): readonly string[] | undefined {
  const value = path
    .split('.')
    .reduce<unknown>(
      (object, name) =>
        typeof object === 'object' && object !== null ? (object as Record<string, unknown>)[name] : undefined,
      json,
    )
  return typeof value === 'string' ? [value] : undefined
}

function signatureBytes(
  text: string,
  { algorithm, signature: { encoding } }: SignatureDescriptor,
): Uint8Array<ArrayBuffer> | undefined {
  const bytes = decode(text, encoding)
  if (algorithm === 'ECDSA-P-256') return bytes === undefined ? undefined : derToP1363(bytes)
  // As long as its key, whatever that is.
  if (algorithm === 'RSA-SHA-256') return bytes
  return bytes?.byteLength === signatureSize[algorithm] ? bytes : undefined
}

const signatureSize = { 'HMAC-SHA-1': 20, 'HMAC-SHA-256': 32, 'HMAC-SHA-512': 64, Ed25519: 64 }

function decode(text: string, encoding: 'utf8' | 'hex' | 'base64' | 'base64url'): Uint8Array<ArrayBuffer> | undefined {
  switch (encoding) {
    case 'utf8':
      return encodeUtf8(text)
    case 'hex':
      return decodeHex(text)
    case 'base64':
      return decodeBase64(text)
    case 'base64url':
      return decodeBase64url(text)
  }
}

/** Why a timestamp is not accepted; undefined if it is. */
function lateness(
  { timestamp, toleranceSeconds }: SignatureDescriptor,
  options: SignatureOptions,
  request: AuthRequest,
) {
  if (timestamp === undefined) return undefined
  const [text, ...others] = partsOf(request, timestamp)
  if (text === undefined) return isThere(request, timestamp) ? 'malformed' : 'header_missing'
  const atMs = others.length > 0 ? undefined : readTime(text, timestamp.unit)
  if (atMs === undefined) return 'malformed'
  const withinMs = 1_000 * (options.toleranceSeconds ?? toleranceSeconds ?? defaultToleranceSeconds)
  return Math.abs(request.nowMs - atMs) <= withinMs ? undefined : 'stale'
}

/** Strictly: a lax parser would read "1e9", "0x1" or "12abc". */
function readTime(text: string, unit: TimeUnit): number | undefined {
  if (unit === 'iso') return readIsoTime(text)
  if (unit === 'http-date') return readHttpDate(text)
  if (!/^\d{1,15}$/.test(text)) return undefined
  return unit === 's' ? Number(text) * 1_000 : Number(text)
}

const placeholder = /\{(body|timestamp|nonce|id|method|url|form)\}/

/** What is signed, with `url` and `form` in their places; undefined where the request lacks a part of it. */
export function signedContent(
  descriptor: SignatureDescriptor,
  url: string,
  form: string,
  request: AuthRequest,
): Uint8Array<ArrayBuffer> | undefined {
  const parts: Uint8Array<ArrayBuffer>[] = []
  for (const [index, piece] of descriptor.signed.split(placeholder).entries()) {
    if (index % 2 === 0) parts.push(encodeUtf8(piece))
    else if (piece === 'body') parts.push(request.body)
    else {
      const text = piece === 'form' ? form : textOf(piece, url, descriptor, request)
      if (text === undefined) return undefined
      parts.push(encodeUtf8(text))
    }
  }
  const content = new Uint8Array(parts.reduce((size, part) => size + part.byteLength, 0))
  let offset = 0
  for (const part of parts) {
    content.set(part, offset)
    offset += part.byteLength
  }
  return content
}

function textOf(
  name: string,
  url: string,
  { id, nonce, timestamp }: SignatureDescriptor,
  request: AuthRequest,
): string | undefined {
  switch (name) {
    case 'timestamp':
      return timestamp === undefined ? undefined : partsOf(request, timestamp)[0]
    case 'nonce':
      return nonce === undefined ? undefined : partsOf(request, nonce)[0]
    case 'id':
      return (id === undefined ? undefined : request.headers.get(id)) || undefined
    case 'method':
      return request.method
    default:
      return url
  }
}

/** What stands for `{form}`; undefined where the request has neither a form nor the hash of its body. */
export async function formContent({ url, headers, body }: AuthRequest): Promise<string | undefined> {
  if (!isForm(headers.get('content-type'))) {
    const hash = new URL(url).searchParams.get('bodySHA256')?.toLowerCase()
    return hash === encodeHex(new Uint8Array(await crypto.subtle.digest('SHA-256', body))) ? '' : undefined
  }
  // As the event will be read, or what is authenticated and what is mapped could differ.
  const pairs = decodeForm(decodeUtf8(body) ?? '%')
  if (pairs === undefined) return undefined
  const values = new Map<string, Set<string>>()
  for (const [name, value] of pairs) values.set(name, (values.get(name) ?? new Set()).add(value))
  return [...values.keys()]
    .sort()
    .flatMap((name) => [...(values.get(name) ?? [])].sort().map((value) => name + value))
    .join('')
}

async function knownKeyOf(
  descriptor: SignatureDescriptor,
  secret: string,
  known: Keys,
): Promise<CryptoKey | undefined> {
  if (known.has(secret)) return known.get(secret)
  const key = await keyOf(descriptor, secret)
  if (known.size < maxKeys) known.set(secret, key)
  return key
}

/** The bytes of a secret; undefined where it is none of this scheme. */
export function secretBytes({ secret }: SignatureDescriptor, text: string): Uint8Array<ArrayBuffer> | undefined {
  const { encoding = 'utf8', prefix = '', prefixRequired = false } = secret ?? {}
  const prefixed = text.startsWith(prefix)
  if (prefixRequired && !prefixed) return undefined
  const bytes = decode(prefixed ? text.slice(prefix.length) : text, encoding)
  return bytes === undefined || bytes.byteLength === 0 ? undefined : bytes
}

async function keyOf(descriptor: SignatureDescriptor, text: string): Promise<CryptoKey | undefined> {
  const { algorithm } = descriptor
  const bytes = secretBytes(descriptor, text)
  if (bytes === undefined) return undefined
  try {
    if (algorithm === 'Ed25519') return await crypto.subtle.importKey('raw', bytes, algorithm, false, ['verify'])
    if (algorithm === 'ECDSA-P-256' || algorithm === 'RSA-SHA-256')
      return await crypto.subtle.importKey('spki', bytes, spkiKinds[algorithm], false, ['verify'])
    return await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: algorithm.slice('HMAC-'.length) }, false, [
      'verify',
    ])
  } catch {
    // A secret that is no key of this kind authenticates nobody.
    return undefined
  }
}

const spkiKinds = {
  'ECDSA-P-256': { name: 'ECDSA', namedCurve: 'P-256' },
  'RSA-SHA-256': { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
}

function verifyWith(algorithm: Algorithm): string | { name: string; hash: string } {
  if (algorithm === 'RSA-SHA-256') return spkiKinds[algorithm]
  if (algorithm === 'ECDSA-P-256') return { name: 'ECDSA', hash: 'SHA-256' }
  return algorithm === 'Ed25519' ? algorithm : 'HMAC'
}

function checkDescriptor({ name, signed, timestamp, nonce, id, bodyUnsigned }: SignatureDescriptor): void {
  const unknown = signed.split(placeholder).find((piece) => /[{}]/.test(piece))
  if (unknown !== undefined) throw new TypeError(`${name}: "${unknown}" holds what is no placeholder`)
  if (/\{(body|form)\}/.test(signed) === (bodyUnsigned === true))
    throw new TypeError(`${name}: what is signed must hold {body} or {form}, or bodyUnsigned must own up to it`)
  if (signed.includes('{nonce}') !== (nonce !== undefined))
    throw new TypeError(`${name}: {nonce} and where it stands go together`)
  if (signed.includes('{timestamp}') !== (timestamp !== undefined))
    throw new TypeError(`${name}: a timestamp counts only where it is signed`)
  if (signed.includes('{id}') && id === undefined) throw new TypeError(`${name}: {id} needs the header of the id`)
}
