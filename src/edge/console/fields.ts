/** What a browser sent: the fields of a form, and what a query names. */
import type { Context } from 'hono'
import type { Clock } from '../../core/clock.ts'
import { decodeUtf8, readBody } from '../http/body.ts'
import { decodeForm, isForm } from '../http/form.ts'

export type Fields = ReadonlyMap<string, readonly string[]>

const key = 'fields'
/** A pasted event, or up to 1,000 keys of letters. */
const maxFormBytes = 262_144

/** Undefined where the body is no form, or too large. */
export async function readFields(c: Context, clock: Pick<Clock, 'after'>): Promise<Fields | undefined> {
  if (!isForm(c.req.header('content-type') ?? null)) return undefined
  const read = await readBody(c.req.raw, maxFormBytes, clock)
  const pairs = read.ok ? decodeForm(decodeUtf8(read.bytes) ?? '%') : undefined
  if (pairs === undefined) return undefined
  const fields = new Map<string, string[]>()
  for (const [name, value] of pairs) fields.set(name, [...(fields.get(name) ?? []), value])
  c.set(key, fields)
  return fields
}

/** One field of the form that was sent; empty where it has none. */
export function fieldOf(c: Context, name: string): string {
  return (c.get(key) as Fields).get(name)?.[0] ?? ''
}

export function allOf(c: Context, name: string): readonly string[] {
  return (c.get(key) as Fields).get(name) ?? []
}

/** The visitor that a form names, as the API takes it. */
export function visitorIn(c: Context): object {
  return { [fieldOf(c, 'kind') === 'pcId' ? 'pcId' : 'thirdPartyId']: fieldOf(c, 'id').trim() }
}

/** A query of those that are not empty, with its question mark. */
export function queryOf(named: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(named)) if (value !== undefined && value !== '') query.set(name, value)
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}
