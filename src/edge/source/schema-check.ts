/**
 * An event checked against its source's schema, and the reason if it does not fit (G8). The reason reaches senders,
 * dead letters and logs, so it holds only the schema's own names and zod's own words, and no value of the event.
 */
import * as z from 'zod'
import { schemaWords } from './schemas.ts'

export type CheckedEvent<Event> =
  | { readonly ok: true; readonly data: Event }
  | { readonly ok: false; readonly reason: string }

/** At most this many schema issues are reported. */
const maxIssues = 5
const noMessage = 'is refused by its schema'
/** Follows zod's message where the schema has a number and the event an integer too long for one. */
const useId = ' (its digits are more than a number holds: write id() or z.bigint() in the schema)'

/** @throws what the schema's own code throws */
export function checkEvent<Schema extends z.ZodType>(schema: Schema, event: unknown): CheckedEvent<z.output<Schema>> {
  const own = ownMessages()
  const parsed = schema.safeParse(event, { error: own.error })
  if (parsed.success) return { ok: true, data: parsed.data }
  return { ok: false, reason: reasonOf(parsed.error.issues, own.messages, namesOf(schema)) }
}

interface OwnMessages {
  readonly error: z.core.$ZodErrorMap
  /** The messages that `error` has returned. */
  readonly messages: ReadonlySet<string>
}

/**
 * Zod's own messages say what was expected and of which type the value was, never the value. Messages of a schema's
 * author may hold anything, and so may the bounds in an issue that the author's own check raises: neither is passed on.
 * The messages of the relay's own schemas are known.
 */
function ownMessages(): OwnMessages {
  const messages = new Set<string>(schemaWords)
  const error: z.core.$ZodErrorMap = (issue) => {
    const def = issue.inst?._zod.def as { readonly check?: string; readonly type?: string } | undefined
    const authors = def === undefined || def.check === 'custom' || def.type === 'custom' || def.type === 'transform'
    const given = authors ? undefined : z.config().localeError?.(issue)
    const words = (typeof given === 'object' ? given?.message : given) ?? noMessage
    const message = typeof issue.input === 'bigint' ? words + useId : words
    messages.add(message)
    return message
  }
  return { error, messages }
}

/** Names only the fields that the schema has: a record's keys and the paths that a check invents are data. */
function reasonOf(
  issues: readonly z.core.$ZodIssue[],
  messages: ReadonlySet<string>,
  names: ReadonlySet<string>,
): string {
  return issues
    .slice(0, maxIssues)
    .map(({ path, message, code }) => {
      const known = path.map((step) => (typeof step === 'number' || names.has(String(step)) ? String(step) : '*'))
      const field = known.join('.').slice(0, 128).toWellFormed() || 'the event'
      if (code === 'unrecognized_keys') return `${field}: has fields that are not known`
      return `${field}: ${messages.has(message) ? message : noMessage}`
    })
    .join('; ')
}

/** The names of all fields that a schema has, at any depth. */
function namesOf(schema: z.ZodType): ReadonlySet<string> {
  const names = new Set<string>()
  const seen = new Set<object>()
  const look = (at: unknown): void => {
    if (typeof at !== 'object' || at === null || seen.has(at)) return
    seen.add(at)
    const def = '_zod' in at ? (at as z.core.$ZodType)._zod.def : undefined
    if (def === undefined) return Object.values(at).forEach(look)
    if ('shape' in def) for (const name of Object.keys(def.shape as object)) names.add(name)
    if ('getter' in def) look((def.getter as () => unknown)())
    Object.values(def).forEach(look)
  }
  look(schema)
  return names
}
