/** A source: who sends, how it proves itself, what it sends, and what that changes in a profile. Typed end to end. */
import type * as z from 'zod'
import type { Draft } from '../../core/delivery/prepare.ts'
import { errorName } from '../../core/errors.ts'
import type { Lane, Visitor } from '../../core/update/update.ts'
import { type AuthScheme, takesCopies } from '../auth/scheme.ts'
import { defaultMaxBodyBytes } from '../http/body.ts'
import { checkEvent } from './schema-check.ts'

/**
 * What an attribute may be given as: numbers and booleans become their JSON form, dates ISO 8601, objects dotted names,
 * arrays JSON text; `undefined` is left out. There is no `null`: Target cannot clear an attribute.
 */
export type AttributeValue =
  | string
  | number
  | bigint
  | boolean
  | Date
  | readonly unknown[]
  | { readonly [name: string]: AttributeValue }
  | undefined

/** One update as a mapping gives it. */
export interface MappedUpdate {
  /** The event's id; a repeated one is the same event. Else the source's `eventId`, else the one that the scheme carries. */
  readonly id?: string | undefined
  readonly visitor: Visitor
  readonly attributes: Readonly<Record<string, AttributeValue>>
  /** Else the source's `occurredAt`, else the time of arrival. */
  readonly occurredAt?: Draft['occurredAt'] | undefined
}

/** What a mapping gives: one update, several, or nothing to do. */
export type Mapped = MappedUpdate | readonly MappedUpdate[] | null | undefined

/** A span of time: `90s`, `15m`, `1h`, `2d`. */
export type Span = `${number}${'s' | 'm' | 'h' | 'd'}`

export interface SourceOptions<Schema extends z.ZodType> {
  /** Secrets come from `HOOK_SECRET_<SOURCE>`. */
  readonly auth: AuthScheme
  readonly schema: Schema
  readonly map: (event: z.output<Schema>) => Mapped
  /** How the body is written: JSON (default), or a form, which is read as an object of texts. */
  readonly format?: Format
  /** The names that `map` may set, each with the dotted names below it. Default: any. */
  readonly attributes?: readonly string[]
  /** The event's id, for mappings that give none themselves. */
  readonly eventId?: (event: z.output<Schema>) => string | undefined
  /**
   * The event's own time, for mappings that give none themselves. Without it, here or in the mapping, a scheme that sees
   * no time is refused: a copied request would be good for ever.
   */
  readonly occurredAt?: (event: z.output<Schema>) => Draft['occurredAt'] | undefined
  /** Default `live`. */
  readonly lane?: Exclude<Lane, 'replay'>
  /**
   * The share of the quota that this source may take before others, 0..1; default all of it. Over its share its updates
   * are sent only while the whole is under the ceiling of the `bulk` lane, so that it can't crowd others out.
   */
  readonly share?: number
  /**
   * Holds its updates back: a profile that was created just now is not yet known to Target, which ignores updates of
   * unknown visitors silently. Shorter than `RETENTION_HOURS`.
   */
  readonly delay?: Span
  /**
   * Said where a scheme sees no time and its events have none: whoever got hold of a request may send it again after
   * `RETENTION_HOURS` + 24 h, and set its old values again over newer ones (docs/sources.md, "Copies").
   */
  readonly acceptsCopies?: boolean
  /** How far the sender's clock is ahead, where that is known: subtracted from the event's time before anything else. */
  readonly clockAhead?: Span
  /** Default 1 MiB; at most 3 MiB. */
  readonly maxBodyBytes?: number
  /** An event as it comes in, made up: what `npm run lint:sources` and `npm run map -- <source>` try. */
  readonly sample?: z.input<Schema>
}

export const formats = ['json', 'form'] as const
export type Format = (typeof formats)[number]

export interface Source {
  readonly name: string
  readonly auth: AuthScheme
  readonly format: Format
  readonly lane: Lane
  readonly share?: number
  /** 0 where it holds nothing back. */
  readonly delayMs: number
  readonly clockAheadMs: number
  /** Whether each update must have a time of its own: a copied request of its scheme is good for ever. */
  readonly needsTime: boolean
  /** Whether its options give the event's time, where its mapping does not. */
  readonly givesTime: boolean
  readonly maxBodyBytes: number
  readonly sample?: unknown
  /** The names that its mapping may set, where it names them. */
  readonly attributes?: readonly string[]
  /** Whether its mapping may set an attribute of this name. */
  allows(attribute: string): boolean
  /** Whether an event is what its schema says. */
  fits(event: unknown): boolean
  /** @param onThrow told what the mapping threw, for whoever writes it */
  read(event: unknown, onThrow?: (error: unknown) => void): Read
}

/** The reason names fields and never repeats a value. */
export type Read =
  | { readonly ok: true; readonly drafts: readonly Draft[] }
  | { readonly ok: false; readonly reason: string }

/** A Worker may ask about 1,000 operations of KV in one invocation, and each update may need one. */
const maxUpdatesPerEvent = 1_000
/**
 * What can't be mapped is kept whole: in KV's 25 MiB a value, as JSON (in which a byte may take six), encrypted, in base64
 * (four thirds): 3 MiB become 24.
 */
const mostBodyBytes = 3 * 1_048_576
/** Shorter ones are taken, and warned of. */
const goodSecretChars = 16
const spanMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** @throws where the name or an option cannot be */
export function source<Schema extends z.ZodType>(name: string, options: SourceOptions<Schema>): Source {
  const {
    auth,
    format = 'json',
    lane = 'live',
    share,
    delay,
    clockAhead,
    acceptsCopies = false,
    maxBodyBytes = defaultMaxBodyBytes,
    sample,
  } = options
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name))
    throw new TypeError(
      `a source is named in lower-case letters, digits and single hyphens, and not ${JSON.stringify(name)}`,
    )
  if (!formats.includes(format)) throw new TypeError(`${name}: format must be one of ${formats.join(', ')}`)
  if (!Number.isInteger(maxBodyBytes) || maxBodyBytes < 1 || maxBodyBytes > mostBodyBytes)
    throw new TypeError(
      `${name}: maxBodyBytes must be a whole number from 1 to ${mostBodyBytes}: more could not be kept as a dead letter`,
    )
  if (share !== undefined && !(share >= 0 && share <= 1)) throw new TypeError(`${name}: share must be from 0 to 1`)
  const allowed = options.attributes
  return {
    name,
    auth,
    format,
    lane,
    ...(share === undefined ? {} : { share }),
    delayMs: delay === undefined ? 0 : readSpan(name, 'delay', delay),
    clockAheadMs: clockAhead === undefined ? 0 : readSpan(name, 'clockAhead', clockAhead),
    needsTime: takesCopies(auth) && !acceptsCopies,
    givesTime: options.occurredAt !== undefined,
    maxBodyBytes,
    ...(sample === undefined ? {} : { sample }),
    ...(allowed === undefined ? {} : { attributes: allowed }),
    fits: (event) => options.schema.safeParse(event).success,
    allows: (attribute) =>
      allowed === undefined || allowed.some((one) => attribute === one || attribute.startsWith(`${one}.`)),
    read: (event, onThrow) => readEvent(options, event, onThrow),
  }
}

/** The environment variable that holds a source's secrets. */
export function secretName(source: string): string {
  return `HOOK_SECRET_${source.toUpperCase().replaceAll('-', '_')}`
}

/** What is wrong with the sources as a whole, where they meet the settings. */
export function checkSources(sources: readonly Source[], { retentionMs }: { retentionMs: number }): readonly string[] {
  const names = sources.map(({ name }) => name)
  return [
    ...new Set(
      names
        .filter((name, index) => names.indexOf(name) !== index)
        .map((name) => `source ${name}: two sources have this name`),
    ),
    ...sources
      .filter(({ delayMs }) => delayMs >= retentionMs)
      .map(
        ({ name }) =>
          `source ${name}: its delay must be shorter than RETENTION_HOURS, or its updates expire while they wait`,
      ),
    ...sources
      .filter(({ clockAheadMs }) => clockAheadMs >= retentionMs)
      .map(
        ({ name }) => `source ${name}: its clockAhead must be shorter than RETENTION_HOURS, or every event is too old`,
      ),
    ...sources.flatMap((source) => copiesProblem(source) ?? []),
  ]
}

/** Tried once in a source's life: a Worker is put together for each request. */
const copiesProblems = new WeakMap<Source, { readonly problem: string | undefined }>()

/** A source whose requests can be copied must know how old an event is, or say that it takes copies. */
function copiesProblem(source: Source): string | undefined {
  const known = copiesProblems.get(source)
  if (known !== undefined) return known.problem
  const problem =
    !source.needsTime || source.givesTime || sampleHasTime(source)
      ? undefined
      : `source ${source.name}: ${source.auth.name} sees no time, so a copied request is good for ever, and sets old values again once its id is forgotten: give occurredAt from the signed body (as an option, or by the mapping, with a sample that shows it), or say acceptsCopies: true (docs/sources.md, "Copies")`
  copiesProblems.set(source, { problem })
  return problem
}

function sampleHasTime({ sample, read }: Source): boolean {
  if (sample === undefined) return false
  const tried = read(sample)
  return tried.ok && tried.drafts.length > 0 && tried.drafts.every(({ occurredAt }) => occurredAt !== undefined)
}

/** What is wrong with a source's secrets: nobody can prove anything under them. */
export async function secretProblem(source: Source, secrets: readonly string[]): Promise<string | undefined> {
  if (source.auth.needsSecret === false) return undefined
  if (secrets.length === 0) return `${secretName(source.name)} is not set: the source accepts nobody`
  let taken: readonly boolean[]
  try {
    taken = await Promise.all(secrets.map(async (secret) => (await source.auth.takesSecret?.(secret)) ?? true))
  } catch (error) {
    return `${secretName(source.name)} cannot be checked: ${source.auth.name} threw ${errorName(error)}`
  }
  if (taken.includes(false)) return `${secretName(source.name)} holds a secret that is none for ${source.auth.name}`
  // Of `label:secret` and `user:password` what is secret.
  return secrets.some((secret) => secret.slice(secret.indexOf(':') + 1).length < goodSecretChars)
    ? `${secretName(source.name)} holds a secret of fewer than ${goodSecretChars} characters: a longer one, made at random, can't be guessed`
    : undefined
}

/** What is wrong with the secrets of all sources, and secrets that are no source's: a name that was mistyped. */
export async function secretProblemsOf(
  sources: readonly Source[],
  secrets: ReadonlyMap<string, readonly string[]>,
): Promise<readonly string[]> {
  const problems = await Promise.all(sources.map((source) => secretProblem(source, secrets.get(source.name) ?? [])))
  const strangers = [...secrets.keys()].filter((name) => !sources.some((source) => source.name === name))
  return [
    ...problems.filter((one) => one !== undefined),
    ...strangers.map((name) => `${secretName(name)} is set, and there is no source ${name}`),
  ]
}

/** Units a window for each source with a share of its own. */
export function sharesOf(
  sources: readonly Pick<Source, 'name' | 'share'>[],
  quotaLimit: number,
): ReadonlyMap<string, number> {
  return new Map(
    sources.flatMap(({ name, share }) =>
      share === undefined ? [] : [[name, Math.floor(quotaLimit * share)] as const],
    ),
  )
}

function readEvent<Schema extends z.ZodType>(
  options: SourceOptions<Schema>,
  event: unknown,
  onThrow?: (error: unknown) => void,
): Read {
  const { schema, map, eventId, occurredAt } = options
  try {
    const parsed = checkEvent(schema, event)
    if (!parsed.ok) return parsed
    const mapped = map(parsed.data)
    if (isPromise(mapped)) {
      // Whatever comes of it, nobody waits for it.
      mapped.then(undefined, () => {})
      return { ok: false, reason: 'the mapping is asynchronous: it must give its updates at once' }
    }
    const updates = mapped === null || mapped === undefined ? [] : isMany(mapped) ? mapped : [mapped]
    if (updates.length > maxUpdatesPerEvent)
      return { ok: false, reason: `the mapping gives more than ${maxUpdatesPerEvent} updates` }
    const [id, at] = updates.length === 0 ? [] : [eventId?.(parsed.data), occurredAt?.(parsed.data)]
    return { ok: true, drafts: updates.map((update) => draftOf(update, id, at)) }
  } catch (error) {
    onThrow?.(error)
    // Its message may hold what it choked on.
    return { ok: false, reason: `the mapping threw ${errorName(error)}` }
  }
}

function draftOf(update: MappedUpdate, eventId: string | undefined, eventTime: Draft['occurredAt']): Draft {
  const { visitor, attributes, occurredAt = eventTime } = update
  // Whatever a mapping gives that was never compiled.
  const id = update.id ?? eventId ?? undefined
  return {
    visitor,
    attributes,
    ...(id === undefined ? {} : { id }),
    ...(occurredAt === undefined ? {} : { occurredAt }),
  }
}

function readSpan(name: string, option: string, span: Span): number {
  const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(span) ?? []
  const ms = Number(count) * (spanMs[unit as keyof typeof spanMs] ?? Number.NaN)
  if (!(ms > 0)) throw new TypeError(`${name}: ${option} must be a span like 90s, 15m, 1h or 2d`)
  return ms
}

/** In a mapping that was never compiled. */
function isPromise(mapped: unknown): mapped is PromiseLike<unknown> {
  return typeof mapped === 'object' && mapped !== null && 'then' in mapped && typeof mapped.then === 'function'
}

function isMany<T>(mapped: T | readonly T[]): mapped is readonly T[] {
  return Array.isArray(mapped)
}
