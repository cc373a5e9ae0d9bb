/** From an event to the drafts of its updates, by its source's schema and mapping. */
import type * as z from 'zod'
import type { Draft } from '../../core/delivery/prepare.ts'
import { errorName } from '../../core/errors.ts'
import { given } from '../../core/given.ts'
import { checkEvent } from './schema-check.ts'
import type { EventContext, MappedUpdate, Read, SourceOptions } from './types.ts'

/** A Worker may ask about 1,000 operations of KV in one invocation, and each update may need one. */
const maxUpdatesPerEvent = 1_000
/** @param onThrow told what schema, mapping or options threw */
export function readEvent<Schema extends z.ZodType>(
  options: SourceOptions<Schema>,
  event: unknown,
  context: EventContext,
  onThrow?: (error: unknown) => void,
): Read {
  const { schema, map, eventId, occurredAt } = options
  try {
    const parsed = checkEvent(schema, event)
    if (!parsed.ok) return parsed
    const mapped = map(parsed.data, context)
    if (isPromise(mapped)) {
      // Nobody waits for it: its rejection must not end the process.
      mapped.then(undefined, () => {})
      return { ok: false, reason: 'the mapping is asynchronous: it must give its updates at once' }
    }
    const updates = mapped === null || mapped === undefined ? [] : isMany(mapped) ? mapped : [mapped]
    if (updates.length > maxUpdatesPerEvent)
      return { ok: false, reason: `the mapping gives more than ${maxUpdatesPerEvent} updates` }
    const [id, at] = updates.length === 0 ? [] : [eventId?.(parsed.data, context), occurredAt?.(parsed.data, context)]
    return { ok: true, drafts: updates.map((update) => draftOf(update, id, at)) }
  } catch (error) {
    onThrow?.(error)
    // Its message may hold a value of the event.
    return { ok: false, reason: `the mapping threw ${errorName(error)}` }
  }
}

function draftOf(update: MappedUpdate, eventId: string | undefined, eventTime: Draft['occurredAt']): Draft {
  const { visitor, attributes, occurredAt = eventTime } = update
  // A mapping in plain JavaScript may return anything.
  const id = update.id ?? eventId ?? undefined
  return {
    visitor,
    attributes,
    ...given({ id, occurredAt }),
  }
}

/** A mapping in plain JavaScript may be asynchronous. */
function isPromise(mapped: unknown): mapped is PromiseLike<unknown> {
  return typeof mapped === 'object' && mapped !== null && 'then' in mapped && typeof mapped.then === 'function'
}

function isMany<T>(mapped: T | readonly T[]): mapped is readonly T[] {
  return Array.isArray(mapped)
}
