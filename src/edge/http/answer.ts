/** From an update's receipt to the answer that its sender gets (docs/http.md). */

import type { Context } from 'hono'
import type { Receipt } from '../../core/delivery/receipt.ts'
import { given } from '../../core/given.ts'
import { problem } from './problem.ts'

/** One update's result as JSON. */
export type Result = { readonly id?: string } & (Receipt | { readonly status: 'ignored' | 'quarantined' })

export function resultOf(id: string | undefined, receipt: Receipt): Result {
  return { ...given({ id }), ...receipt }
}

const idReused = 'came before with other content: give each update an id of its own'

/** `inFlightIs`: some webhook senders take a 409 for final, and must be told 503 instead. */
export function answerOne(c: Context, result: Result, inFlightIs: 409 | 503): Response {
  const id = result.id === undefined ? {} : { id: result.id }
  switch (result.status) {
    case 'unavailable':
      return problem(c, 'unavailable', id)
    case 'in_flight':
      return inFlight(c, inFlightIs, id)
    case 'id_reused':
      return problem(c, 'id-reused', { ...id, errors: [{ path: 'id', message: idReused }] })
    case 'deferred':
    case 'set_aside':
    case 'quarantined':
      return c.json(result, 202)
    default:
      return c.json(result, 200)
  }
}

/**
 * One result each, in order. If one update was not kept, the sender is asked to send all again; those kept are
 * duplicates then.
 */
export function answerMany(c: Context, results: readonly Result[], inFlightIs: 409 | 503): Response {
  const statuses = new Set(results.map(({ status }) => status))
  if (statuses.has('unavailable')) return problem(c, 'unavailable', { results })
  if (statuses.has('in_flight')) return inFlight(c, inFlightIs, { results })
  if (statuses.has('id_reused')) {
    const errors = results.flatMap(({ status }, index) =>
      status === 'id_reused' ? [{ path: `updates[${index}].id`, message: idReused }] : [],
    )
    return problem(c, 'id-reused', { errors, results })
  }
  return c.json(
    { results },
    (['deferred', 'set_aside', 'quarantined'] as const).some((status) => statuses.has(status)) ? 202 : 200,
  )
}

function inFlight(c: Context, status: 409 | 503, more: { id?: string; results?: readonly Result[] }): Response {
  return status === 409
    ? problem(c, 'in-flight', more)
    : problem(c, 'unavailable', { ...more, detail: 'A first attempt of this event is still under way.' })
}
