/** What becomes of an authenticated webhook: its events are mapped and delivered, or kept whole for an operator. */
import type { Context } from 'hono'
import { toBase64 } from '../../core/backlog/seal.ts'
import { errorName } from '../../core/errors.ts'
import { given } from '../../core/given.ts'
import { writeEventJson } from '../../core/json.ts'
import { answerMany, answerOne, type Result, resultOf } from '../http/answer.ts'
import { decodeCharset } from '../http/body.ts'
import { isEncoded, unfold, unfoldProblem } from '../http/content-encoding.ts'
import {
  charsetOf,
  eventsIn,
  joined,
  type MappedEvent,
  mapEvents,
  namedHeaders,
  type ParsedEvent,
  parseEvent,
  placed,
} from '../source/mapping.ts'
import type { Source } from '../source/types.ts'
import { previewed } from './dry-run.ts'
import type { Authenticated } from './hook-auth.ts'
import type { AppParts } from './parts.ts'

type EventParts = Pick<AppParts, 'prepare' | 'wire' | 'deliver' | 'bury' | 'log'>

/** A body as its source's format reads it, and its bytes once they are no longer compressed. */
export type ReadBody = ParsedEvent & { readonly raw: Uint8Array }

/** Reads the body. What cannot be read is kept with the reason, since its sender could not fix it. */
export async function readEvents(source: Source, { request, unfolded }: Authenticated): Promise<ReadBody> {
  const { headers, body } = request
  const encoding = headers.get('content-encoding')
  const plain =
    unfolded === undefined && isEncoded(encoding)
      ? await unfold(body, encoding, source.maxBodyBytes)
      : { ok: true as const, bytes: unfolded ?? body }
  if (!plain.ok) return { ok: false, reason: `the body ${unfoldProblem(plain.why, source.maxBodyBytes)}`, raw: body }
  return { ...parseEvent(source.format, plain.bytes, headers.get('content-type')), raw: plain.bytes }
}

/** What a dead letter holds of an event, beside the reason. */
type Kept = Pick<Parameters<AppParts['bury']>[0], 'raw' | 'part'>

/** One event of the body: what it changes, and what is kept of it if it can't be mapped. */
interface Event {
  readonly mapped: MappedEvent
  readonly kept: () => Kept
}

export async function takeEvents(
  c: Context,
  parts: EventParts,
  source: Source,
  { authenticated, body, isTrial }: { authenticated: Authenticated; body: ReadBody; isTrial: boolean },
): Promise<Response> {
  const { headers: all, nowMs: arrivalMs } = authenticated.request
  const headers = namedHeaders(source, all)
  let eventId: string | undefined
  let events: readonly Event[]
  try {
    eventId = source.auth.eventId?.(all)
    events = await mapped(source, body, { eventId, arrivalMs, headers }, parts.prepare, contentTypeOf(c))
  } catch (error) {
    // Without its id it would be taken for another event: an operator decides.
    events = [failed(`the id of ${source.auth.name} threw ${errorName(error)}`, body.raw, contentTypeOf(c))]
  }
  if (isTrial) return c.json(previewed(parts.wire, joined(events.map((event) => event.mapped))))
  const letter = { source: source.name, arrivalMs, eventId, headers }
  return deliverEvents(c, parts, source, events, letter)
}

interface Letter {
  readonly source: string
  readonly arrivalMs: number
  readonly eventId: string | undefined
  readonly headers: Readonly<Record<string, string>>
}

/** Delivers what could be mapped, and keeps what could not. */
async function deliverEvents(
  c: Context,
  parts: Pick<EventParts, 'deliver' | 'bury' | 'log'>,
  source: Source,
  events: readonly Event[],
  letter: Letter,
): Promise<Response> {
  const good = events.flatMap(({ mapped: one }) => (one.ok ? one : []))
  const drafts = good.flatMap((one) => one.drafts)
  const updates = good.flatMap((one) => one.updates)
  const kept = await Promise.all(
    events.flatMap(({ mapped: one, kept: what }) => (one.ok ? [] : keep(parts, one.reason, what(), letter))),
  )
  const receipts = updates.length === 0 ? [] : await parts.deliver(updates, source.lane)
  const results: readonly Result[] = [
    ...receipts.map((receipt, index) => resultOf(drafts[index]?.id, receipt)),
    ...kept.map((isKept): Result => ({ status: isKept ? 'quarantined' : 'unavailable' })),
  ]
  const [only] = results
  if (only === undefined) return c.json({ status: 'ignored' }, 200)
  return results.length === 1 ? answerOne(c, only, 503) : answerMany(c, results, 503)
}

async function mapped(
  source: Source,
  body: ReadBody,
  arrival: Parameters<typeof mapEvents>[2],
  prepare: EventParts['prepare'],
  contentType: string | null,
): Promise<readonly Event[]> {
  const found = body.ok ? eventsIn(source, body.event) : body
  if (!found.ok) return [failed(found.reason, body.raw, contentType)]
  const { events } = found
  const all = await mapEvents(source, events, arrival, prepare)
  if (!source.splits) return all.map((one) => ({ mapped: one, kept: () => wholeOf(body.raw, contentType) }))
  return all.map((one, index) => ({
    mapped: one.ok ? one : { ok: false, reason: placed(one.reason, index, events.length) },
    kept: () => ({ raw: writeEventJson(events[index]), part: true }),
  }))
}

function failed(reason: string, raw: Uint8Array, contentType: string | null): Event {
  const isText = decodeCharset(raw, charsetOf(contentType, raw)) !== undefined
  return {
    mapped: { ok: false, reason: isText ? reason : `${reason} (kept as base64)` },
    kept: () => wholeOf(raw, contentType),
  }
}

/** Kept whole: bytes that are not text as base64. */
function wholeOf(raw: Uint8Array, contentType: string | null): Kept {
  return { raw: decodeCharset(raw, charsetOf(contentType, raw)) ?? toBase64(raw) }
}

function contentTypeOf(c: Context): string | null {
  return c.req.header('content-type') ?? null
}

/**
 * Authenticated but not readable: kept for an operator, never refused, since its sender could not fix it.
 *
 * @returns whether it is kept
 */
async function keep(
  { bury, log }: Pick<EventParts, 'bury' | 'log'>,
  detail: string,
  kept: Kept,
  { source, arrivalMs, eventId, headers }: Letter,
): Promise<boolean> {
  try {
    await bury({
      reason: 'unmappable',
      source,
      detail,
      atMs: arrivalMs,
      firstSeenMs: arrivalMs,
      attempts: 0,
      ...kept,
      ...given({ eventId, headers: Object.keys(headers).length === 0 ? undefined : headers }),
    })
    return true
  } catch (error) {
    log?.('quarantine_failed', { source, error: errorName(error) })
    return false
  }
}
