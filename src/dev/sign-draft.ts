/** Signs as a `SignatureDescriptor` says: puts id, timestamp, nonce and signature where its sender puts them. */
import { createHash, createHmac } from 'node:crypto'
import { readExactJson } from '../core/json.ts'
import type { Part, TimeUnit } from '../edge/auth/descriptor.ts'
import { encodeUtf8 } from '../edge/auth/encodings.ts'
import type { Sending } from '../edge/auth/sending.ts'
import { formContent, secretBytes, signedContent } from '../edge/auth/signature.ts'
import { isForm } from '../edge/http/form.ts'
import type { Draft } from './draft.ts'

interface Moment {
  readonly secret: string
  /** Epoch ms. */
  readonly nowMs: number
  readonly id: string
}

/** @returns why it can't be signed; undefined once it is */
export async function signDraft(
  { descriptor, options }: Extract<Sending, { by: 'signature' }>,
  draft: Draft,
  { secret, nowMs, id }: Moment,
): Promise<string | undefined> {
  const { algorithm, signed, signature, timestamp, nonce } = descriptor
  const key = secretBytes(descriptor, secret)
  if (key === undefined) return `the secret is none of ${descriptor.name}`
  if (algorithm === 'Ed25519' || algorithm === 'ECDSA-P-256')
    return 'only the sender itself can sign: the secret here is its public key'
  if (descriptor.id !== undefined) draft.headers.set(descriptor.id, id)
  const texts: { readonly part: Part; readonly text: string }[] = [
    ...(timestamp === undefined ? [] : [{ part: timestamp, text: timeText(nowMs, timestamp.unit) }]),
    ...(nonce === undefined ? [] : [{ part: nonce, text: id }]),
  ]
  const problem = writeParts(draft, texts)
  if (problem !== undefined) return problem
  if (signed.includes('{form}') && !isForm(draft.headers.get('content-type'))) addBodyHash(draft)
  const request = { ...draft, secrets: [], nowMs }
  const form = signed.includes('{form}') ? await formContent(request) : ''
  const url = options.url === undefined ? draft.url : options.url + new URL(draft.url).search
  const content = form === undefined ? undefined : signedContent(descriptor, url, form, request)
  if (content === undefined) return 'the body is not what its sender signs: a form whose escapes are UTF-8'
  const hash = algorithm.slice('HMAC-'.length).replace('-', '')
  const text = createHmac(hash, key).update(content).digest(signature.encoding)
  return writeParts(draft, [...texts, { part: signature, text }])
}

function timeText(nowMs: number, unit: TimeUnit): string {
  switch (unit) {
    case 's':
      return String(Math.floor(nowMs / 1_000))
    case 'ms':
      return String(nowMs)
    case 'iso':
      return new Date(nowMs).toISOString()
    case 'http-date':
      return new Date(nowMs).toUTCString()
  }
}

/** Texts that share a header stand in it one after the other, each with its prefix. */
function writeParts(
  draft: Draft,
  texts: readonly { readonly part: Part; readonly text: string }[],
): string | undefined {
  const headers = new Map<string, string>()
  for (const { part, text } of texts) {
    const item = `${part.prefix ?? ''}${text}`
    if ('field' in part) {
      const body = withField(draft.body, part.field, item)
      if (body === undefined) return `the body is no JSON object, and its sender writes ${part.field} into it`
      draft.body = body
      continue
    }
    const [name = ''] = [part.header].flat()
    const before = headers.get(name)
    headers.set(name, before === undefined ? item : `${before}${part.separator ?? ','}${item}`)
  }
  for (const [name, value] of headers) draft.headers.set(name, value)
  return undefined
}

/** The body with a text in a field (names joined by dots); every other value stays as it is written. */
function withField(body: Uint8Array<ArrayBuffer>, path: string, text: string): Uint8Array<ArrayBuffer> | undefined {
  const read = readExactJson(new TextDecoder().decode(body))
  if (!read.ok || typeof read.value !== 'object' || read.value === null) return undefined
  const names = path.split('.')
  const last = names.pop() ?? ''
  let at = read.value as Record<string, unknown>
  for (const name of names) {
    const next = at[name] ?? {}
    if (typeof next !== 'object') return undefined
    at[name] = next
    at = next as Record<string, unknown>
  }
  at[last] = text
  return encodeUtf8(JSON.stringify(read.value))
}

/** Twilio binds a body that is no form to its URL. */
function addBodyHash(draft: Draft): void {
  const url = new URL(draft.url)
  url.searchParams.set('bodySHA256', createHash('sha256').update(draft.body).digest('hex'))
  draft.url = url.href
}
