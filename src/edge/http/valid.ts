/**
 * Queries and JSON bodies checked against a schema: queries by `zValidator`, bodies by `jsonBody`, whose results a
 * handler reads alike (`c.req.valid`) and which share one hook, `refuse`.
 *
 * `zValidator('json')` is not used: it reads a body of any size through `Request.json`, which rounds long numbers and
 * takes the last of two equal names.
 */
import type { Context, MiddlewareHandler } from 'hono'
import type * as z from 'zod'
import type { Clock } from '../../core/clock.ts'
import { type ReadJson, readEventJson } from '../../core/json.ts'
import type { Problem as FieldProblem } from '../../core/update/validate.ts'
import { type BodyRead, isJson, readBody, readJsonBody } from './body.ts'
import { isEncoded, unfold, unfoldProblem } from './content-encoding.ts'
import { type ProblemType, problem } from './problem.ts'
import { withoutPlace } from './under-way.ts'

type Issues = readonly z.core.$ZodIssue[]

/** What a schema said, as `zValidator` gives it to its hook. */
interface Checked {
  readonly success: boolean
  readonly error?: { readonly issues: Issues }
}

export type Hook = (result: Checked, c: Context) => Response | undefined

/** The hook of every schema here: what does not fit it is answered with a problem. */
export function refuse(
  type: ProblemType,
  more: { readonly detail?: string } | ((issues: Issues) => { readonly errors: readonly FieldProblem[] }),
): Hook {
  return ({ success, error }, c) =>
    success ? undefined : problem(c, type, typeof more === 'function' ? more(error?.issues ?? []) : more)
}

export interface JsonBodyOptions {
  readonly maxBytes: number
  readonly clockOf: (c: Context) => Pick<Clock, 'after'>
  /** How the text is read. Default: as an event. */
  readonly readText?: (text: string) => ReadJson
  /** Takes compressed bodies too. Default: a body is read as it comes. */
  readonly unfolds?: boolean
}

type Json<Body> = { in: { json: unknown }; out: { json: Body } }

/**
 * Reads a JSON body and checks it: size, encoding, content type, syntax, shape, in this order.
 *
 * @param schemaOf the schema of a body, by what it is
 */
export function jsonBody<Schema extends z.ZodType<object>>(
  schemaOf: (json: unknown) => Schema,
  hook: Hook,
  { maxBytes, clockOf, readText = readEventJson, unfolds = false }: JsonBodyOptions,
): MiddlewareHandler<{ Variables: object }, string, Json<z.output<Schema>>> {
  return async (c, next) => {
    const received = await withoutPlace(c, () => readBody(c.req.raw, maxBytes, clockOf(c)))
    if (!received.ok) return problem(c, received.problem)
    const encoding = unfolds ? (c.req.header('content-encoding') ?? null) : null
    const plain = isEncoded(encoding) ? await plainBody(c, received, encoding, maxBytes) : received.bytes
    if (plain instanceof Response) return plain
    if (!isJson(c.req.header('content-type') ?? null)) return problem(c, 'unsupported-media-type')
    const json = readJsonBody(plain, readText)
    if (!json.ok) return problem(c, 'malformed', { detail: `The body ${json.reason}.` })
    const checked = await schemaOf(json.value).safeParseAsync(json.value)
    const refused = hook(checked, c)
    if (refused !== undefined || !checked.success) return refused ?? problem(c, 'invalid')
    c.req.addValidatedData('json', checked.data)
    return next()
  }
}

async function plainBody(
  c: Context,
  { bytes }: Extract<BodyRead, { ok: true }>,
  encoding: string | null,
  maxBytes: number,
): Promise<Uint8Array | Response> {
  const unfolded = await unfold(bytes, encoding, maxBytes)
  if (unfolded.ok) return unfolded.bytes
  return problem(c, unfoldedProblem[unfolded.why], { detail: `The body ${unfoldProblem(unfolded.why, maxBytes)}.` })
}

const unfoldedProblem = {
  unknown_encoding: 'unsupported-media-type',
  corrupt: 'malformed',
  too_large: 'too-large',
  no_room: 'unavailable',
} as const
