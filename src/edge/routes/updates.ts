/** `POST /v1/updates`: own systems, one update or up to a hundred. */
import { zValidator } from '@hono/zod-validator'
import type { Context, MiddlewareHandler } from 'hono'
import * as z from 'zod'
import { JsonNumber, readExactJson } from '../../core/json.ts'
import { timeForms } from '../../core/time.ts'
import type { Lane, Update } from '../../core/update/update.ts'
import type { Problem } from '../../core/update/validate.ts'
import type { AppParts } from '../app.ts'
import { laneOfBearer } from '../auth/tokens.ts'
import { answerMany, answerOne, resultOf } from '../http/answer.ts'
import { defaultMaxBodyBytes, isJson, readBody, readJsonBody } from '../http/body.ts'
import { isEncoded, unfold, unfoldProblem } from '../http/content-encoding.ts'
import { problem } from '../http/problem.ts'
import { dryRunOf, previewed } from './dry-run.ts'

/** Events of own systems share one scope of ids. */
export const apiSource = 'api'
const maxUpdates = 100
/** Problems shown; a bad batch need not be answered with thousands. */
const maxProblems = 50

/** Looked into by core. Zod's own record would leave out a name like `__proto__` without a word. */
const object = (message: string) =>
  z.custom<Record<string, unknown>>(
    (given) => typeof given === 'object' && given !== null && !Array.isArray(given) && !(given instanceof JsonNumber),
    message,
  )

const update = z.strictObject({
  id: z.string('must be text').optional(),
  visitor: object('must be an object with either pcId or thirdPartyId'),
  attributes: object('must be an object of names and values'),
  occurredAt: z.union([z.string(), z.instanceof(JsonNumber).transform(Number)], timeForms).optional(),
})
const batch = z.strictObject({
  updates: z
    .array(update)
    .min(1, 'must have at least one update')
    .max(maxUpdates, `must have at most ${maxUpdates} updates`),
})

type Body = { one: z.output<typeof update> } | { many: readonly z.output<typeof update>[] }

/** The lane of the token that proved the sender, and what it sent. */
interface Granted {
  Variables: { lane: Lane; body: Body }
}

/** Before all else: a stranger learns nothing about shapes. */
export function provenToken(parts: AppParts): MiddlewareHandler<Granted> {
  return async (c, next) => {
    const granted = await laneOfBearer(c.req.header('authorization') ?? null, parts.settings.apiTokens)
    if ('why' in granted) {
      parts.unproven?.(apiSource, granted.why)
      // Who can't judge refuses nobody.
      return granted.why === 'no_secret'
        ? problem(c, 'unavailable', { detail: 'Whether it is the sender cannot be told right now.' })
        : problem(c, 'unauthenticated', {}, { 'www-authenticate': 'Bearer' })
    }
    c.set('lane', granted.lane)
    return next()
  }
}

/** A parameter that is misspelt must not make the real thing of a trial. */
export const trialQuery = zValidator(
  'query',
  z.strictObject({ dry_run: z.enum(['1', 'true', '0', 'false']).optional() }),
  (result, c) =>
    result.success
      ? undefined
      : problem(c, 'malformed', { detail: 'The only query parameter is dry_run, which is 1 or 0.' }),
)

/** Size, type and shape, in this order. */
export function updatesBody(parts: AppParts): MiddlewareHandler<Granted> {
  return async (c, next) => {
    const received = await readBody(c.req.raw, defaultMaxBodyBytes, parts.clock)
    if (!received.ok) return problem(c, received.problem)
    const encoding = c.req.header('content-encoding') ?? null
    const read = isEncoded(encoding) ? await unfold(received.bytes, encoding, defaultMaxBodyBytes) : received
    if (!read.ok) {
      const type = (
        {
          unknown_encoding: 'unsupported-media-type',
          corrupt: 'malformed',
          too_large: 'too-large',
          no_room: 'unavailable',
        } as const
      )[read.why]
      return problem(c, type, { detail: `The body ${unfoldProblem(read.why, defaultMaxBodyBytes)}.` })
    }
    if (!isJson(c.req.header('content-type') ?? null)) return problem(c, 'unsupported-media-type')
    // Not by `Request.json`, which rounds numbers and takes the last of two names.
    const json = readJsonBody(read.bytes, readExactJson)
    if (!json.ok) return problem(c, 'malformed', { detail: `The body ${json.reason}.` })
    const shape = readShape(json.value)
    if (!shape.ok) return problem(c, 'invalid', { errors: fieldErrors(shape.issues).slice(0, maxProblems) })
    c.set('body', shape.body)
    return next()
  }
}

type Shape =
  | { readonly ok: true; readonly body: Body }
  | { readonly ok: false; readonly issues: readonly z.core.$ZodIssue[] }

function readShape(json: unknown): Shape {
  const many = typeof json === 'object' && json !== null && Object.hasOwn(json, 'updates')
  const parsed = many ? batch.safeParse(json) : update.safeParse(json)
  if (!parsed.success) return { ok: false, issues: parsed.error.issues }
  return { ok: true, body: 'updates' in parsed.data ? { many: parsed.data.updates } : { one: parsed.data } }
}

export async function takeUpdates(c: Context<Granted>, parts: AppParts): Promise<Response> {
  const body = c.get('body')
  const drafts = 'one' in body ? [body.one] : body.many
  const arrivalMs = parts.clock.now()
  const updates: Update[] = []
  const errors: Problem[] = []
  for (const [index, { id, occurredAt, ...rest }] of drafts.entries()) {
    const draft = { ...rest, ...(id === undefined ? {} : { id }), ...(occurredAt === undefined ? {} : { occurredAt }) }
    const prepared = await parts.prepare(draft, { source: apiSource, arrivalMs, place: index, idsNameOneUpdate: true })
    const prefix = 'one' in body ? '' : `updates[${index}].`
    if (prepared.ok) updates.push(prepared.update)
    else errors.push(...prepared.problems.map(({ path, message }) => ({ path: prefix + path, message })))
  }
  if (errors.length > 0) return problem(c, 'invalid', { errors: errors.slice(0, maxProblems) })
  if (dryRunOf(c) === 'yes') return c.json(previewed(parts.wire, { ok: true, drafts, updates }))
  const receipts = await parts.deliver(updates, c.get('lane'))
  const results = receipts.map((receipt, index) => resultOf(drafts[index]?.id, receipt))
  const [only] = results
  return 'one' in body && only !== undefined ? answerOne(c, only, 409) : answerMany(c, results, 409)
}

/** Zod's issues as fields; its own messages never hold a value, and unknown fields are named. */
function fieldErrors(issues: readonly z.core.$ZodIssue[]): readonly Problem[] {
  return issues.flatMap((issue): Problem[] => {
    const path = issue.path.reduce<string>(
      (text, step) =>
        typeof step === 'number' ? `${text}[${step}]` : text === '' ? String(step) : `${text}.${String(step)}`,
      '',
    )
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({
        path: path === '' ? key.slice(0, 128) : `${path}.${key.slice(0, 128)}`,
        message: 'is not a field of an update',
      }))
    return [{ path, message: issue.message }]
  })
}
