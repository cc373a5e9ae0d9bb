/**
 * Schemas for what every source has: ids, times, texts. A long number keeps its digits, a time is read in any form that
 * senders use, and a missing value is not taken for an id.
 */
import * as z from 'zod'
import { readTime, timeForms } from '../../core/time.ts'
import { noId } from '../../core/update/validate.ts'
import { base64Forms, jsonForms, multipartForms } from './envelopes.ts'

const idForms =
  'must be an id: a whole number, or text that is not blank and not what JavaScript writes for a missing value'

/** The messages of these schemas. They hold no value: the only messages of custom checks that are passed on. */
export const schemaWords: ReadonlySet<string> = new Set([idForms, timeForms, jsonForms, base64Forms, multipartForms])

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

/** Text, trimmed; not empty. */
export function text() {
  return z.string().trim().min(1)
}

function isId(given: unknown): boolean {
  if (typeof given === 'string') return noId(given) === undefined
  return typeof given === 'bigint' || Number.isSafeInteger(given)
}

export { json } from './envelopes.ts'
