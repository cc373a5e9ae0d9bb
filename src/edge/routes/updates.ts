/** `POST /v1/updates`: own systems, one update or up to a hundred. */

import { zValidator } from '@hono/zod-validator'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import * as z from 'zod'
import { given } from '../../core/given.ts'
import { JsonNumber, readExactJson } from '../../core/json.ts'
import { timeForms } from '../../core/time.ts'
import type { Lane, Update } from '../../core/update/update.ts'
import type { Problem } from '../../core/update/validate.ts'
import { bearerChallenge, laneOfBearer } from '../auth/tokens.ts'
import { answerMany, answerOne, resultOf } from '../http/answer.ts'
import { defaultMaxBodyBytes } from '../http/body.ts'
import { problem } from '../http/problem.ts'
import { jsonBody, refuse } from '../http/valid.ts'
import { dryRun, previewed } from './dry-run.ts'
import { type AppParts, apiSource, type PartsOf } from './parts.ts'

const maxUpdates = 100
/** Problems shown; a bad batch need not be answered with thousands. */
const maxProblems = 50

/** Core checks what is in it. Zod's own record would silently leave out a name like `__proto__`. */
const object = (message: string) =>
  z.custom<Record<string, unknown>>(
    (given) => typeof given === 'object' && given !== null && !Array.isArray(given) && !(given instanceof JsonNumber),
    message,
  )

export const updateBody = z.strictObject({
  id: z.string('must be text').optional(),
  visitor: object('must be an object with either pcId or thirdPartyId'),
  attributes: object('must be an object of names and values'),
  occurredAt: z.union([z.string(), z.instanceof(JsonNumber).transform(Number)], timeForms).optional(),
})
export const batchBody = z.strictObject({
  updates: z
    .array(updateBody)
    .min(1, 'must have at least one update')
    .max(maxUpdates, `must have at most ${maxUpdates} updates`),
})

type Body = z.output<typeof updateBody> | z.output<typeof batchBody>

/** A parameter that is misspelt must not turn a trial into the real thing. */
export const updatesQuery = z.strictObject({ dry_run: dryRun })

/** The lane of the token that authenticated the sender. */
interface Granted {
  Variables: { lane: Lane }
}

/** Whoever is not authenticated learns nothing about shapes: the token is checked first. */
export function updatesApi(
  partsOf: PartsOf<'settings' | 'clock' | 'prepare' | 'wire' | 'deliver' | 'authFailed'>,
): Hono<Granted> {
  return new Hono<Granted>({ strict: false }).post(
    '/',
    apiToken(partsOf),
    zValidator(
      'query',
      updatesQuery,
      refuse('malformed', { detail: 'The only query parameter is dry_run, which is 1 or 0.' }),
    ),
    jsonBody(
      (json): z.ZodType<Body> => (isBatch(json) ? batchBody : updateBody),
      refuse('invalid', (issues) => ({ errors: fieldErrors(issues).slice(0, maxProblems) })),
      {
        maxBytes: defaultMaxBodyBytes,
        clockOf: (c) => partsOf(c).clock,
        // Every number keeps its digits.
        readText: readExactJson,
        unfolds: true,
      },
    ),
    (c) =>
      takeUpdates(c, partsOf(c), {
        body: c.req.valid('json'),
        isTrial: c.req.valid('query').dry_run,
        lane: c.get('lane'),
      }),
  )
}

function apiToken(partsOf: PartsOf<'settings' | 'authFailed'>): MiddlewareHandler<Granted> {
  return async (c, next) => {
    const { settings, authFailed } = partsOf(c)
    const granted = await laneOfBearer(c.req.header('authorization') ?? null, settings.apiTokens)
    if ('why' in granted) {
      authFailed?.(apiSource, granted.why)
      // A relay that has no tokens cannot tell who asks: nobody is refused for good.
      return granted.why === 'no_secret'
        ? problem(c, 'unavailable', { detail: 'Whether it is the sender cannot be told right now.' })
        : problem(c, 'unauthenticated', {}, { 'www-authenticate': bearerChallenge })
    }
    c.set('lane', granted.lane)
    return next()
  }
}

async function takeUpdates(
  c: Context,
  { clock, prepare, wire, deliver }: Pick<AppParts, 'clock' | 'prepare' | 'wire' | 'deliver'>,
  { body, isTrial, lane }: { body: Body; isTrial: boolean; lane: Lane },
): Promise<Response> {
  const many = 'updates' in body
  const drafts = many ? body.updates : [body]
  const arrivalMs = clock.now()
  const updates: Update[] = []
  const errors: Problem[] = []
  for (const [index, { id, occurredAt, ...rest }] of drafts.entries()) {
    const draft = { ...rest, ...given({ id, occurredAt }) }
    const prepared = await prepare(draft, { source: apiSource, arrivalMs, place: index, idsNameOneUpdate: true })
    const prefix = many ? `updates[${index}].` : ''
    if (prepared.ok) updates.push(prepared.update)
    else errors.push(...prepared.problems.map(({ path, message }) => ({ path: prefix + path, message })))
  }
  if (errors.length > 0) return problem(c, 'invalid', { errors: errors.slice(0, maxProblems) })
  if (isTrial) return c.json(previewed(wire, { ok: true, drafts, updates }))
  const receipts = await deliver(updates, lane)
  const results = receipts.map((receipt, index) => resultOf(drafts[index]?.id, receipt))
  const [only] = results
  return !many && only !== undefined ? answerOne(c, only, 409) : answerMany(c, results, 409)
}

function isBatch(json: unknown): boolean {
  return typeof json === 'object' && json !== null && Object.hasOwn(json, 'updates')
}

/** Zod's issues as fields. Zod's own messages never hold a value; unknown fields are named. */
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
