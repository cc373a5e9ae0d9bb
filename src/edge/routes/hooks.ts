/** `POST /hooks/{source}`: third-party webhooks. Authenticated first, on the raw bytes; only then read. */

import { zValidator } from '@hono/zod-validator'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import * as z from 'zod'
import { toBase64 } from '../../core/backlog/seal.ts'
import { errorName } from '../../core/errors.ts'
import { given } from '../../core/given.ts'
import { type AuthRequest, failureOf, type Greeting, type Verdict } from '../auth/scheme.ts'
import { answerMany, answerOne, resultOf } from '../http/answer.ts'
import { decodeCharset, readBody } from '../http/body.ts'
import { isEncoded, unfold, unfoldProblem } from '../http/content-encoding.ts'
import { problem } from '../http/problem.ts'
import { refuse } from '../http/valid.ts'
import { charsetOf, type MappedEvent, mapEvent, type ParsedEvent, parseEvent } from '../source/mapping.ts'
import type { Source } from '../source/types.ts'
import { dryRun, previewed } from './dry-run.ts'
import type { AppParts, PartsOf } from './parts.ts'

type HookParts = Pick<
  AppParts,
  'settings' | 'sources' | 'clock' | 'prepare' | 'wire' | 'deliver' | 'bury' | 'log' | 'authFailed' | 'room'
>

/** The source that a request is for. */
interface ForSource {
  Variables: { source: Source }
}

/** Other parameters are the sender's own. */
export const hookQuery = z.looseObject({ dry_run: dryRun })

export function hooksApi(partsOf: (c: Context) => HookParts): Hono<ForSource> {
  return new Hono<ForSource>({ strict: false }).post(
    '/:source',
    knownSource(partsOf),
    zValidator('query', hookQuery, refuse('malformed', { detail: 'The query parameter dry_run is 1 or 0.' })),
    (c) => takeHook(c, partsOf(c), { source: c.get('source'), isTrial: c.req.valid('query').dry_run }),
  )
}

function knownSource(partsOf: PartsOf<'sources'>): MiddlewareHandler<ForSource> {
  return async (c, next) => {
    const source = partsOf(c).sources.find(({ name }) => name === c.req.param('source'))
    if (source === undefined) return problem(c, 'not-found')
    c.set('source', source)
    return next()
  }
}

async function takeHook(
  c: Context,
  parts: HookParts,
  { source, isTrial }: { source: Source; isTrial: boolean },
): Promise<Response> {
  const authenticated = await authenticate(c, parts, source)
  if (authenticated instanceof Response) return authenticated
  const parsed = await readEvent(source, authenticated)
  const greeting = parsed.ok ? await greet(parts, source, parsed.event, authenticated.request) : undefined
  if (greeting !== undefined) return greeting === 'no_content' ? c.body(null, 204) : c.json(greeting)
  const answer = await takeEvent(c, parts, source, { authenticated, parsed, isTrial })
  return isTrial ? answer : inSendersWords(answer, source)
}

interface Authenticated {
  readonly request: AuthRequest
  /** The body that was signed: as it came, or as it was before it was compressed. */
  readonly unfolded?: Uint8Array<ArrayBuffer>
}

/** The request once its sender is authenticated, otherwise the answer to it. */
async function authenticate(
  c: Context,
  parts: Pick<AppParts, 'settings' | 'clock' | 'log' | 'authFailed' | 'room'>,
  source: Source,
): Promise<Authenticated | Response> {
  const { room } = parts
  const nowMs = parts.clock.now()
  const { headers } = c.req.raw
  const read = await readBody(c.req.raw, source.maxBodyBytes, parts.clock, room)
  if (!read.ok) return problem(c, read.problem)
  const request: AuthRequest = {
    method: c.req.method,
    url: c.req.url,
    headers,
    body: read.bytes,
    secrets: parts.settings.hookSecrets.get(source.name) ?? [],
    nowMs,
  }
  let verdict = await verify(parts, source, request)
  // A scheme of a deployer's own may return anything: only `true` authenticates.
  if (verdict === true) return { request }
  const encoding = headers.get('content-encoding')
  if (verdict !== 'unavailable' && verdict !== 'no_secret' && isEncoded(encoding)) {
    // Some senders sign the compressed body, some the body before compression.
    const before = await unfold(read.bytes, encoding, source.maxBodyBytes, room)
    if (!before.ok && before.why === 'no_room') return problem(c, 'unavailable')
    if (before.ok) verdict = await verify(parts, source, { ...request, body: before.bytes })
    if (before.ok && verdict === true) return { request: { ...request, body: before.bytes }, unfolded: before.bytes }
  }
  if (verdict !== 'unavailable') parts.authFailed?.(source.name, failureOf(verdict))
  // A scheme that cannot judge refuses nobody.
  return verdict === 'unavailable' || verdict === 'no_secret'
    ? problem(c, 'unavailable', { detail: 'Whether it is the sender cannot be told right now.' })
    : problem(c, 'unauthenticated')
}

/** Reads the event. What cannot be read is kept with the reason, since its sender could not fix it. */
async function readEvent(
  source: Source,
  { request, unfolded }: Authenticated,
): Promise<ParsedEvent & { readonly raw: Uint8Array }> {
  const { headers, body } = request
  const encoding = headers.get('content-encoding')
  const plain =
    unfolded === undefined && isEncoded(encoding)
      ? await unfold(body, encoding, source.maxBodyBytes)
      : { ok: true as const, bytes: unfolded ?? body }
  if (!plain.ok) return { ok: false, reason: `the body ${unfoldProblem(plain.why, source.maxBodyBytes)}`, raw: body }
  return { ...parseEvent(source.format, plain.bytes, headers.get('content-type')), raw: plain.bytes }
}

async function takeEvent(
  c: Context,
  parts: Pick<AppParts, 'prepare' | 'wire' | 'deliver' | 'bury' | 'log'>,
  source: Source,
  {
    authenticated,
    parsed,
    isTrial,
  }: { authenticated: Authenticated; parsed: ParsedEvent & { readonly raw: Uint8Array }; isTrial: boolean },
): Promise<Response> {
  const { headers, nowMs: arrivalMs } = authenticated.request
  const { raw } = parsed
  let eventId: string | undefined
  let mapped: MappedEvent
  try {
    eventId = source.auth.eventId?.(headers)
    mapped = parsed.ok ? await mapEvent(source, parsed.event, { eventId, arrivalMs }, parts.prepare) : parsed
  } catch (error) {
    // Without its id it would be taken for another event: an operator decides.
    mapped = { ok: false, reason: `the id of ${source.auth.name} threw ${errorName(error)}` }
  }
  if (isTrial) return c.json(previewed(parts.wire, mapped))
  if (!mapped.ok) return quarantine(c, parts, source, { raw, arrivalMs, detail: mapped.reason, eventId })
  const { drafts, updates } = mapped
  if (updates.length === 0) return c.json({ status: 'ignored' }, 200)
  const receipts = await parts.deliver(updates, source.lane)
  const results = receipts.map((receipt, index) => resultOf(drafts[index]?.id, receipt))
  const [only] = results
  return results.length === 1 && only !== undefined ? answerOne(c, only, 503) : answerMany(c, results, 503)
}

/** A scheme that throws cannot judge, and then refuses nobody: the sender is told to come back. */
async function verify({ log }: Pick<AppParts, 'log'>, { name, auth }: Source, request: AuthRequest): Promise<Verdict> {
  try {
    return auth.needsSecret !== false && request.secrets.length === 0 ? 'no_secret' : await auth.verify(request)
  } catch (error) {
    log?.('verify_failed', { source: name, error: errorName(error) })
    return 'unavailable'
  }
}

/** A sender that only asks whether the address is ours is answered under the secret that authenticates it. */
async function greet(
  parts: Pick<AppParts, 'log'>,
  source: Source,
  event: unknown,
  request: AuthRequest,
): Promise<Greeting | undefined> {
  const { auth } = source
  for (const secret of request.secrets) {
    // Handshakes are rare, so which secret matched is worked out only for them.
    try {
      const greeting = await auth.handshake?.(event, secret, request.headers)
      if (greeting !== undefined && (await auth.verify({ ...request, secrets: [secret] })) === true) return greeting
    } catch (error) {
      // Then it is handled as an event: its mapping decides.
      parts.log?.('handshake_failed', { source: source.name, error: errorName(error) })
    }
  }
  return undefined
}

/** A success in the only status that the sender takes for one. */
function inSendersWords(answer: Response, { auth: { yes } }: Source): Response {
  if (yes === undefined || !answer.ok || answer.status === yes) return answer
  const headers = new Headers(answer.headers)
  if (yes === 204) headers.delete('content-type')
  return new Response(yes === 204 ? null : answer.body, { status: yes, headers })
}

/** Authenticated but not readable: kept whole for an operator, never refused, since its sender could not fix it. */
async function quarantine(
  c: Context,
  parts: Pick<AppParts, 'bury' | 'log'>,
  source: Source,
  {
    raw,
    arrivalMs,
    detail,
    eventId,
  }: { raw: Uint8Array; arrivalMs: number; detail: string; eventId: string | undefined },
): Promise<Response> {
  const charset = charsetOf(c.req.header('content-type') ?? null)
  const text = decodeCharset(raw, charset)
  try {
    await parts.bury({
      reason: 'unmappable',
      source: source.name,
      // Kept whole: bytes that are not text as base64.
      detail: text === undefined ? `${detail} (kept as base64)` : detail,
      atMs: arrivalMs,
      firstSeenMs: arrivalMs,
      attempts: 0,
      raw: text ?? toBase64(raw),
      ...given({ eventId }),
    })
  } catch (error) {
    parts.log?.('quarantine_failed', { source: source.name, error: errorName(error) })
    return problem(c, 'unavailable')
  }
  return c.json({ status: 'quarantined' }, 202)
}
