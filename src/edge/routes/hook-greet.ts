/**
 * What a source answers before it knows who asks: handshakes, and confirmations that a person must act on.
 *
 * Guarantee: a greeting maps, keeps and fetches nothing. A confirmation is kept for an operator and its address is
 * never called; of what strangers send one in ten minutes is kept for each source, and no more than `maxKeptBytes`.
 * Known hole: a stranger who imitates a confirmation keeps the real one out for ten minutes; its sender is told to come
 * back.
 */
import type { Context } from 'hono'
import { errorName } from '../../core/errors.ts'
import type { AuthRequest } from '../auth/scheme.ts'
import { decodeUtf8 } from '../http/body.ts'
import { problem } from '../http/problem.ts'
import { bounded, type Greeted, type GreetRequest } from '../source/greet.ts'
import { parseEvent } from '../source/mapping.ts'
import type { Source } from '../source/types.ts'
import type { AppParts } from './parts.ts'

type GreetParts = Pick<AppParts, 'log' | 'greeted' | 'keepConfirmation'>

const maxKeptBytes = 16_384
const maxNoteChars = 1_024

/** The answer to a handshake or a confirmation; undefined where it is none. */
export async function greet(
  c: Context,
  parts: GreetParts,
  source: Source,
  { method, url, headers, body, nowMs }: AuthRequest,
): Promise<Response | undefined> {
  if (source.greet === undefined && source.confirmation === undefined) return undefined
  const read = body.byteLength === 0 ? undefined : parseEvent(source.format, body, headers.get('content-type'))
  const request: GreetRequest = {
    method: method as GreetRequest['method'],
    query: new URL(url).searchParams,
    headers,
    event: read?.ok === true ? read.event : undefined,
  }
  try {
    const greeted = source.greet?.(request)
    const answer = greeted === undefined ? undefined : bounded(greeted)
    if (answer !== undefined) {
      parts.greeted?.(source.name)
      return answered(c, answer)
    }
    if (greeted !== undefined) parts.log?.('greeting_unbounded', { source: source.name })
    const note = read === undefined ? undefined : source.confirmation?.(request)
    return note === undefined ? undefined : await keep(c, parts, source, { body, note, nowMs })
  } catch (error) {
    // Then it is handled as an event.
    parts.log?.('greeting_failed', { source: source.name, error: errorName(error) })
    return undefined
  }
}

function answered(c: Context, { status, headers = {}, body = 'ok' }: Greeted): Response {
  for (const [name, value] of Object.entries(headers)) c.header(name, value)
  if (status === 204) return c.body(null, status)
  return typeof body === 'string' ? c.text(body, status) : c.json(body, status)
}

async function keep(
  c: Context,
  { keepConfirmation, log }: GreetParts,
  { name }: Source,
  { body, note, nowMs }: { readonly body: Uint8Array; readonly note: string; readonly nowMs: number },
): Promise<Response | undefined> {
  const raw = decodeUtf8(body)
  if (raw === undefined || body.byteLength > maxKeptBytes || keepConfirmation === undefined) return undefined
  const kept = await keepConfirmation({
    reason: 'confirmation',
    source: name,
    detail: note.slice(0, maxNoteChars),
    atMs: nowMs,
    firstSeenMs: nowMs,
    attempts: 0,
    raw,
  }).catch((error: unknown) => {
    log?.('quarantine_failed', { source: name, error: errorName(error) })
    return false
  })
  return kept ? c.json({ status: 'kept' }) : problem(c, 'unavailable')
}
