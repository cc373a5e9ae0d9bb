/**
 * Schemas for what every source has: ids, times, texts, and JSON in a text. With them the right thing is the short thing:
 * a long number keeps its digits, a time is read however its sender writes it, and what is missing is no id.
 */
import * as z from 'zod'
import { readEventJson } from '../../core/json.ts'
import { readTime, timeForms } from '../../core/time.ts'
import { noId } from '../../core/update/validate.ts'

const idForms =
  'must be an id: a whole number, or text that is not blank and not what JavaScript writes for a missing value'
const jsonForms = 'must be text that is JSON, in which no object gives a name twice'

/** What these schemas say, and nothing of an event: the only messages of a check that senders and dead letters may hear. */
export const schemaWords: ReadonlySet<string> = new Set([idForms, timeForms, jsonForms])

/** An id as text, whether it comes as text, a number or a bigint. A number that rounds is refused. */
export function id() {
  return z.custom<string | number | bigint>(isId, idForms).transform(String)
}

/**
 * A time in any of the forms that the relay takes (docs/sources.md, "Ids, numbers and times"), as epoch milliseconds.
 */
export function eventTime() {
  return z
    .custom<string | number | bigint | Date>((given) => readTime(given) !== undefined, timeForms)
    .transform((given) => Number(readTime(given)))
}

/** Text without the blanks around it, of which something must be left. */
export function text() {
  return z.string().trim().min(1)
}

/** JSON in a text (a field of a form), read as exactly as a body: what `schema` says of it. */
export function json<Schema extends z.ZodType>(schema: Schema) {
  return z
    .string()
    .transform((written, context) => {
      const read = readEventJson(written)
      if (read.ok) return read.value
      context.addIssue({ code: 'custom', message: jsonForms })
      return z.NEVER
    })
    .pipe(schema)
}

function isId(given: unknown): boolean {
  if (typeof given === 'string') return noId(given) === undefined
  return typeof given === 'bigint' || Number.isSafeInteger(given)
}
