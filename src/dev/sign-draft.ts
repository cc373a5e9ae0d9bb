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
  if (!algorithm.startsWith('HMAC-')) return 'only the sender itself can sign: the secret here is its public key'
  const key = secretBytes(descriptor, secret)
  if (key === undefined) return `the secret is none of ${descriptor.name}`
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
    const separator = part.separator ?? ','
    const items = headers.get(name)?.split(separator) ?? []
    // What stands before its place is not read.
    while (items.length < (part.item ?? 0)) items.push('-')
    headers.set(name, [...items, item].join(separator))
  }
  for (const [name, value] of headers) draft.headers.set(name, value)
  return undefined
}

/** The body with a text in a field (names joined by dots; of a list in each item); every other value stays as it is written. */
export function withField(
  body: Uint8Array<ArrayBuffer>,
  path: string,
  text: string,
): Uint8Array<ArrayBuffer> | undefined {
  const read = readExactJson(new TextDecoder().decode(body))
  if (!read.ok || !put(read.value, path.split('.'), text)) return undefined
  return encodeUtf8(JSON.stringify(read.value))
}

/** @returns whether there is a place for it */
function put(at: unknown, path: readonly string[], text: string): boolean {
  if (Array.isArray(at)) return at.length > 0 && at.every((item) => put(item, path, text))
  if (typeof at !== 'object' || at === null) return false
  const [name = '', ...rest] = path
  const fields = at as Record<string, unknown>
  fields[name] = rest.length === 0 ? text : (fields[name] ?? {})
  return rest.length === 0 || put(fields[name], rest, text)
}

/** Twilio binds a body that is no form to its URL. */
function addBodyHash(draft: Draft): void {
  const url = new URL(draft.url)
  url.searchParams.set('bodySHA256', createHash('sha256').update(draft.body).digest('hex'))
  draft.url = url.href
}
