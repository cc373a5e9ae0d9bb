/**
 * From an authenticated event to updates, or to the reason why not: for webhooks, for dry runs, and for what is mapped
 * again.
 */

import type { Draft, Prepare } from '../../core/delivery/prepare.ts'
import { errorName } from '../../core/errors.ts'
import { readEventJson } from '../../core/json.ts'
import type { Update } from '../../core/update/update.ts'
import { eventIdProblem } from '../../core/update/validate.ts'
import { decodeCharset } from '../http/body.ts'
import { decodeForm, isForm } from '../http/form.ts'
import type { EventContext, Format, Source } from './types.ts'

export type MappedEvent =
  | { readonly ok: true; readonly drafts: readonly Draft[]; readonly updates: readonly Update[] }
  /** The reason names fields and never repeats a value. */
  | { readonly ok: false; readonly reason: string }

export interface Arrival {
  /** The id that the sender's scheme carries beside the body. */
  readonly eventId?: string | undefined
  /** The headers that the source names. */
  readonly headers?: EventContext['headers']
  /** The place of its first update among those of the request. */
  readonly place?: number
  /** When the relay first saw it, epoch ms. */
  readonly arrivalMs: number
}

export type ParsedEvent =
  | { readonly ok: true; readonly event: unknown }
  | { readonly ok: false; readonly reason: string }

/**
 * The event in a body, read as the source says, whatever its content type calls it: its sender is authenticated, and
 * can't fix a label. The reason names what is wrong, and nothing of the body.
 */
export function parseEvent(format: Format, bytes: Uint8Array, contentType: string | null = null): ParsedEvent {
  const charset = charsetOf(contentType, bytes)
  const text = decodeCharset(bytes, charset)
  if (text === undefined) return { ok: false, reason: `the body is not ${charset}` }
  if (format === 'text') return { ok: true, event: text }
  if (format === 'json') {
    const read = readEventJson(text)
    if (read.ok) return { ok: true, event: read.value }
    return {
      ok: false,
      reason: isForm(contentType)
        ? 'the body is a form, and the source expects JSON: see its `format`'
        : `the body ${read.reason}`,
    }
  }
  const pairs = decodeForm(text)
  if (pairs === undefined) return { ok: false, reason: 'the body is not a form: an escape or its UTF-8 is malformed' }
  const fields = new Map<string, string | string[]>()
  for (const [name, value] of pairs) {
    const held = fields.get(name)
    // A name given twice becomes a list: no value is lost, and none is taken for the only one.
    fields.set(name, held === undefined ? value : [held, value].flat())
  }
  return { ok: true, event: Object.fromEntries(fields) }
}

/** The charset of a body: what its byte order mark says, else its content type, else UTF-8. */
export function charsetOf(contentType: string | null, [first, second, third]: Uint8Array): string {
  if (first === 0xff && second === 0xfe) return 'utf-16le'
  if (first === 0xfe && second === 0xff) return 'utf-16be'
  if (first === 0xef && second === 0xbb && third === 0xbf) return 'utf-8'
  return /;\s*charset\s*=\s*["']?([^\s"';]+)/i.exec(contentType ?? '')?.[1]?.toLowerCase() ?? 'utf-8'
}

/** A Worker may ask about 1,000 operations of KV in one invocation, and each event may need one. */
const maxEventsPerBody = 1_000

/** The events in a body, in their order: one, unless its source takes it apart. */
export function eventsIn(
  source: Pick<Source, 'split'>,
  body: unknown,
): { readonly ok: true; readonly events: readonly unknown[] } | { readonly ok: false; readonly reason: string } {
  try {
    const events: unknown = source.split(body)
    if (!Array.isArray(events)) return { ok: false, reason: 'each gave no list of events' }
    if (events.length > maxEventsPerBody)
      return { ok: false, reason: `the body holds more than ${maxEventsPerBody} events` }
    return { ok: true, events }
  } catch (error) {
    // Its message may hold a value of the body.
    return { ok: false, reason: `each threw ${errorName(error)}` }
  }
}

/** What each of the events of one request changes, in their order; of two of the same time the later one is newer. */
export async function mapEvents(
  source: Source,
  events: readonly unknown[],
  arrival: Arrival,
  prepare: Prepare,
): Promise<readonly MappedEvent[]> {
  const mapped: MappedEvent[] = []
  let place = 0
  for (const event of events) {
    const one = await mapEvent(source, event, { ...arrival, place }, prepare)
    mapped.push(one)
    if (one.ok) place += one.updates.length
  }
  return mapped
}

/** What all of them change; the reason names the first that cannot be mapped. */
export function joined(mapped: readonly MappedEvent[]): MappedEvent {
  for (const [index, one] of mapped.entries())
    if (!one.ok) return mapped.length === 1 ? one : { ok: false, reason: placed(one.reason, index, mapped.length) }
  const all = mapped.filter((one) => one.ok)
  return { ok: true, drafts: all.flatMap(({ drafts }) => drafts), updates: all.flatMap(({ updates }) => updates) }
}

/** A reason with the place of its event in the body. */
export function placed(reason: string, index: number, of: number): string {
  return `event ${index + 1} of ${of}: ${reason}`
}

/** Of a request's headers those that a source names; a dead letter keeps them. */
export function namedHeaders({ headers: names }: Pick<Source, 'headers'>, headers: Headers): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = headers.get(name)
      return value === null ? [] : [[name, value]]
    }),
  )
}

/**
 * What an event changes. Nothing is sent or kept. Never rejects, though what a mapping returns may throw wherever it is
 * read.
 */
export async function mapEvent(
  source: Source,
  event: unknown,
  arrival: Arrival,
  prepare: Prepare,
): Promise<MappedEvent> {
  try {
    return await mapUnguarded(source, event, arrival, prepare)
  } catch (error) {
    return { ok: false, reason: `what the mapping gave threw ${errorName(error)}` }
  }
}

async function mapUnguarded(
  source: Source,
  event: unknown,
  { eventId, arrivalMs, headers = {}, place: first = 0 }: Arrival,
  prepare: Prepare,
): Promise<MappedEvent> {
  const read = source.read(event, { headers })
  if (!read.ok) return read
  const nameless = read.drafts.find(({ id }) => id !== undefined && typeof id !== 'string')
  if (nameless !== undefined)
    return { ok: false, reason: 'id must be text: write id() in the schema where it may be a number' }
  // Checked before shared ids are numbered: `undefined#0` looks like an id.
  for (const id of new Set(read.drafts.map((draft) => draft.id ?? eventId))) {
    const problem = id === undefined ? undefined : eventIdProblem(id)
    if (problem !== undefined) return { ok: false, reason: `id ${problem}` }
  }
  if (source.needsTime && read.drafts.some(({ occurredAt }) => occurredAt === undefined))
    return {
      ok: false,
      reason: `occurredAt is missing: ${source.auth.name} sees no time, so without it a copied request is good for ever`,
    }
  const drafts = withIds(read.drafts, eventId)
  const updates: Update[] = []
  for (const [place, draft] of drafts.entries()) {
    const prepared = await prepare(draft, {
      source: source.name,
      arrivalMs,
      delayMs: source.delayMs,
      clockAheadMs: source.clockAheadMs,
      place: first + place,
    })
    if (!prepared.ok)
      return { ok: false, reason: prepared.problems.map(({ path, message }) => `${path} ${message}`).join('; ') }
    const foreign = prepared.update.attributes.find(({ name }) => !source.allows(name))
    if (foreign !== undefined)
      return { ok: false, reason: `attributes.${foreign.name} is not one that this source may set` }
    updates.push(prepared.update)
  }
  return { ok: true, drafts, updates }
}

/** The mapping's ids, or the scheme's; updates that share one get a number each. */
function withIds(drafts: readonly Draft[], schemeId: string | undefined): readonly Draft[] {
  const ids = drafts.map(({ id }) => id ?? schemeId)
  const taken = new Set(ids)
  const next = new Map<string, number>()
  const shared = (id: string) => ids.indexOf(id) !== ids.lastIndexOf(id)
  return drafts.map((draft, index) => {
    const id = ids[index]
    if (id === undefined) return draft
    if (!shared(id)) return { ...draft, id }
    let number = next.get(id) ?? 0
    // The sender may already use this id.
    while (taken.has(`${id}#${number}`)) number++
    next.set(id, number + 1)
    return { ...draft, id: `${id}#${number}` }
  })
}
