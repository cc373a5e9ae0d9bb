/** `POST /hooks/{source}`: third-party webhooks. Proven first, on the raw bytes; only then read. */
import type { Context } from 'hono'
import { errorName } from '../core/errors.ts'
import { previewOf } from '../core/preview.ts'
import { answerMany, answerOne, resultOf } from './answer.ts'
import type { AppParts } from './app.ts'
import type { Unproven } from './auth/scheme.ts'
import { type BodyRoom, readBody } from './body.ts'
import { isOfFormat, type MappedEvent, mapEvent, parseEvent } from './mapping.ts'
import { problem } from './problem.ts'
import type { Source } from './source.ts'

const dryRuns: ReadonlyMap<string, boolean> = new Map([
  ['1', true],
  ['true', true],
  ['0', false],
  ['false', false],
])

export async function takeHook(c: Context, parts: AppParts, name: string, room: BodyRoom): Promise<Response> {
  const source = parts.sources.find((candidate) => candidate.name === name)
  if (source === undefined) return problem(c, 'not-found')
  const isDryRun = dryRuns.get(c.req.query('dry_run') ?? '0')
  // Something that looks like a trial must never be the real thing.
  if (isDryRun === undefined) return problem(c, 'malformed', { detail: 'dry_run is 1 or 0.' })
  const arrivalMs = parts.clock.now()
  const read = await readBody(c.req.raw, source.maxBodyBytes, parts.clock, room)
  if (!read.ok) return problem(c, read.problem)
  const request: Unproven = {
    method: c.req.method,
    url: c.req.url,
    headers: c.req.raw.headers,
    body: read.bytes,
    secrets: parts.settings.hookSecrets.get(source.name) ?? [],
    nowMs: arrivalMs,
  }
  const proven = await verify(parts, source, request)
  if (proven === 'unavailable') return problem(c, 'unavailable', { detail: 'Whether it is the sender cannot be told right now.' })
  // Whatever else a scheme may give, only a yes is one.
  if (proven !== true) return problem(c, 'unauthenticated')
  if (!isOfFormat(source.format, c.req.header('content-type') ?? null))
    return problem(c, 'unsupported-media-type', { detail: `The source takes ${source.format === 'form' ? 'a form' : 'JSON'}.` })
  const event = parseEvent(source.format, read.bytes)
  if (event === undefined) return problem(c, 'malformed', { detail: `The body is not ${source.format === 'form' ? 'a form' : 'JSON'}.` })
  const greeting = await greet(parts, source, event, request)
  if (greeting !== undefined) return c.json(greeting)

  let eventId: string | undefined
  let mapped: MappedEvent
  try {
    eventId = source.auth.eventId?.(c.req.raw.headers)
    mapped = await mapEvent(source, event, { eventId, arrivalMs }, parts.prepare)
  } catch (error) {
    // Without its id it would pass for another event: a person decides.
    mapped = { ok: false, reason: `the id of ${source.auth.name} threw ${errorName(error)}` }
  }
  if (isDryRun) return c.json(dryRun(parts, mapped))
  if (!mapped.ok) return quarantine(c, parts, source, { raw: read.bytes, arrivalMs, detail: mapped.reason, eventId })
  const { drafts, updates } = mapped
  if (updates.length === 0) return c.json({ status: 'ignored' }, 200)
  const receipts = await parts.deliver(updates, source.lane)
  const results = receipts.map((receipt, index) => resultOf(drafts[index]?.id, receipt))
  const [only] = results
  return results.length === 1 && only !== undefined ? answerOne(c, only, 503) : answerMany(c, results, 503)
}

/** A scheme that throws can't judge, and who can't judge refuses nobody: the sender is told to come back. */
async function verify({ log }: AppParts, { name, auth }: Source, request: Unproven): Promise<boolean | 'unavailable'> {
  try {
    return await auth.verify(request)
  } catch (error) {
    log?.('verify_failed', { source: name, error: errorName(error) })
    return 'unavailable'
  }
}

/** A sender that only asks whether the address is ours is answered under the secret by which it proved itself. */
async function greet(parts: AppParts, source: Source, event: unknown, request: Unproven): Promise<object | undefined> {
  const { auth } = source
  for (const secret of request.secrets) {
    // Hardly any event is one: which secret it was need not be found out for the others.
    try {
      const greeting = await auth.handshake?.(event, secret)
      if (greeting !== undefined && (await auth.verify({ ...request, secrets: [secret] })) === true) return greeting
    } catch (error) {
      // Then it is an event like others: what its mapping makes of it decides.
      parts.log?.('handshake_failed', { source: source.name, error: errorName(error) })
    }
  }
  return undefined
}

/** What would be done, to the sender who proved that the event is its own. */
function dryRun({ wire }: AppParts, mapped: MappedEvent): object {
  if (!mapped.ok) return { dryRun: true, status: 'unmappable', reason: mapped.reason }
  const updates = mapped.updates.map((update, index) => {
    const id = mapped.drafts[index]?.id
    return { ...(id === undefined ? {} : { id }), ...previewOf(update, wire) }
  })
  const units = updates.reduce((sum, update) => sum + update.units, 0)
  return { dryRun: true, status: updates.length === 0 ? 'ignored' : 'mapped', updates, units }
}

/** Authenticated but not readable: kept whole for a person, never refused, since its sender could not fix it. */
async function quarantine(
  c: Context,
  parts: AppParts,
  source: Source,
  { raw, arrivalMs, detail, eventId }: { raw: Uint8Array; arrivalMs: number; detail: string; eventId: string | undefined },
): Promise<Response> {
  try {
    await parts.bury({
      reason: 'unmappable',
      source: source.name,
      detail,
      atMs: arrivalMs,
      firstSeenMs: arrivalMs,
      attempts: 0,
      raw: new TextDecoder().decode(raw),
      ...(eventId === undefined ? {} : { eventId }),
    })
  } catch {
    return problem(c, 'unavailable')
  }
  return c.json({ status: 'quarantined' }, 202)
}
