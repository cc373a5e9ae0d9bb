/** `/hooks/{source}`: third-party webhooks. Handshakes first; then authenticated on the raw bytes; only then read. */

import { zValidator } from '@hono/zod-validator'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import * as z from 'zod'
import type { AuthRequest } from '../auth/scheme.ts'
import { readBody } from '../http/body.ts'
import { problem } from '../http/problem.ts'
import { withoutPlace } from '../http/under-way.ts'
import { refuse } from '../http/valid.ts'
import { boundedHeaders } from '../source/greet.ts'
import type { EventMethod, Source } from '../source/types.ts'
import { dryRun, isMisspeltTrial } from './dry-run.ts'
import { authenticate, shakeHands } from './hook-auth.ts'
import { readEvents, takeEvents } from './hook-events.ts'
import { greet } from './hook-greet.ts'
import type { AppParts, PartsOf } from './parts.ts'

type HookParts = Pick<
  AppParts,
  | 'settings'
  | 'sources'
  | 'clock'
  | 'prepare'
  | 'wire'
  | 'deliver'
  | 'bury'
  | 'greeted'
  | 'keepConfirmation'
  | 'log'
  | 'authFailed'
  | 'room'
>

/** The source that a request is for. */
interface ForSource {
  Variables: { source: Source }
}

/** Other parameters are the sender's own. */
export const hookQuery = z.looseObject({ dry_run: dryRun })

/** Those by which a sender may ask or send; hono answers HEAD where it answers GET. */
const methods = ['GET', 'OPTIONS', 'POST', 'PUT']

export function hooksApi(partsOf: (c: Context) => HookParts): Hono<ForSource> {
  return new Hono<ForSource>({ strict: false }).on(
    methods,
    '/:source',
    knownSource(partsOf),
    zValidator(
      'query',
      hookQuery.refine((query) => !Object.keys(query).some(isMisspeltTrial)),
      refuse('malformed', { detail: 'The query parameter dry_run is written so, given once, and is 1 or 0.' }),
    ),
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
  const request = await readRequest(c, parts, source)
  if (request instanceof Response) return request
  const greeted = await greet(c, parts, source, request)
  if (greeted !== undefined) return greeted
  if (!source.methods.includes(request.method as EventMethod))
    return problem(c, 'method-not-allowed', {}, { allow: source.methods.join(', ') })
  const authenticated = await authenticate(c, parts, source, request)
  if (authenticated instanceof Response) return authenticated
  const body = await readEvents(source, authenticated)
  const greeting = body.ok ? await shakeHands(parts, source, body.event, authenticated.request) : undefined
  if (greeting !== undefined) return greeting === 'no_content' ? c.body(null, 204) : c.json(greeting)
  const answer = await takeEvents(c, parts, source, { authenticated, body, isTrial })
  return isTrial ? answer : inSendersWords(answer, source, request.headers)
}

/** The request as a scheme judges it, or the answer to one whose body can't be taken. */
async function readRequest(
  c: Context,
  { settings, clock, room }: Pick<HookParts, 'settings' | 'clock' | 'room'>,
  { name, maxBodyBytes }: Source,
): Promise<AuthRequest | Response> {
  const nowMs = clock.now()
  const read = await withoutPlace(c, () => readBody(c.req.raw, maxBodyBytes, clock, room))
  if (!read.ok) return problem(c, read.problem)
  return {
    method: c.req.method,
    url: c.req.url,
    headers: c.req.raw.headers,
    body: read.bytes,
    secrets: settings.hookSecrets.get(name) ?? [],
    nowMs,
  }
}

/** A success in the status, with the headers and the body that the sender takes for one. */
function inSendersWords(answer: Response, source: Source, asked: Headers): Response {
  const { reply } = source
  const { yes } = source.auth
  const onAnswers = source.greet?.onAnswers
  if (!answer.ok || (yes === undefined && reply === undefined && onAnswers === undefined)) return answer
  const headers = new Headers(answer.headers)
  for (const [name, value] of Object.entries(boundedHeaders(onAnswers?.(asked) ?? {}))) headers.set(name, value)
  const status = yes ?? (reply === undefined ? answer.status : 200)
  if (status === 204) headers.delete('content-type')
  else if (reply !== undefined) headers.set('content-type', reply.contentType)
  return new Response(status === 204 ? null : (reply?.body ?? answer.body), { status, headers })
}
