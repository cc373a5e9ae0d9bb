/** Schemas for events that come wrapped: JSON in a text, JSON in base64, an event in a field of an envelope. */
import * as z from 'zod'
import { readEventJson } from '../../core/json.ts'
import { decodeBase64, decodeBase64url } from '../auth/encodings.ts'
import { decodeUtf8 } from '../http/body.ts'

export const jsonForms = 'must be text that is JSON, in which no object gives a name twice'
export const multipartForms = 'must be a whole multipart/form-data body, each part with a name'
export const base64Forms = 'must be base64 of JSON in UTF-8, in which no object gives a name twice'

/** JSON in a text (a field of a form, SNS's `Message`), read as exactly as a body and checked by `schema`. */
export function json<Schema extends z.ZodType>(schema: Schema) {
  return z.string().transform(readWith(readEventJson, jsonForms)).pipe(schema)
}

/**
 * JSON in base64 or base64url (Pub/Sub's `message.data`), as strict as a body: `atob` alone gives Latin-1, and `Zürich`
 * arrives as `ZÃ¼rich`.
 */
export function base64Json<Schema extends z.ZodType>(schema: Schema) {
  const read = (text: string) => {
    const bytes = decodeBase64(text) ?? decodeBase64url(text.replace(/={1,2}$/, ''))
    const decoded = bytes === undefined ? undefined : decodeUtf8(bytes)
    return decoded === undefined ? { ok: false as const } : readEventJson(decoded)
  }
  return z.string().transform(readWith(read, base64Forms)).pipe(schema)
}

/**
 * The event in a field of an envelope, for schemas that need nothing else of it: `fromEnvelope('message.data',
 * base64Json(event))`.
 *
 * @param path names of fields joined by dots; own properties only
 */
export function fromEnvelope<Schema extends z.ZodType>(path: string, schema: Schema) {
  const names = path.split('.')
  return z
    .looseObject({})
    .transform((envelope): unknown =>
      names.reduce<unknown>(
        (at, name) =>
          typeof at === 'object' && at !== null && Object.hasOwn(at, name)
            ? (at as Record<string, unknown>)[name]
            : undefined,
        envelope,
      ),
    )
    .pipe(schema)
}

/**
 * The fields of a `multipart/form-data` body as an object of texts, for a source with `format: 'text'` (Dropbox Sign,
 * Jotform). A name given twice has a list. A file that is no UTF-8 makes the body unmappable.
 */
export function multipart<Schema extends z.ZodType>(schema: Schema) {
  return z.string().transform(readWith(readMultipart, multipartForms)).pipe(schema)
}

/** RFC 7578, with the boundary as the body's own first line has it: what is authenticated is the body. */
function readMultipart(text: string): { readonly ok: boolean; readonly value?: unknown } {
  const [first = ''] = /^--[^\r\n]{1,70}(?=\r\n)/.exec(text) ?? []
  if (first === '') return { ok: false }
  const parts = `\r\n${text}`.split(`\r\n${first}`).slice(1)
  if (!/^--\s*$/.test(parts.pop() ?? '')) return { ok: false }
  const fields = new Map<string, string | string[]>()
  for (const part of parts) {
    const [, head = '', value = ''] = /^\r\n((?:[^\r\n]+\r\n)+)\r\n([\s\S]*)$/.exec(part) ?? []
    const name = /^content-disposition:[ \t]*form-data;[ \t]*name="([^"\r\n]+)"(?=[;\r])/im.exec(head)?.[1]
    if (name === undefined) return { ok: false }
    const held = fields.get(name)
    fields.set(name, held === undefined ? value : [held, value].flat())
  }
  return { ok: true, value: Object.fromEntries(fields) }
}

function readWith(read: (text: string) => { readonly ok: boolean; readonly value?: unknown }, message: string) {
  return (written: string, context: z.RefinementCtx): unknown => {
    const done = read(written)
    if (done.ok) return done.value
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  }
}
