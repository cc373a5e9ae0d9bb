/** Maps an event again that could not be mapped, once its source's mapping is fixed. */
import type { DeadLetter } from '../../core/backlog/port.ts'
import type { Prepare } from '../../core/delivery/prepare.ts'
import { given } from '../../core/given.ts'
import type { Reading } from '../../core/operator/remap.ts'
import { eventsIn, joined, mapEvents, parseEvent } from './mapping.ts'
import type { Source } from './types.ts'

export interface MapAgainParts {
  readonly sources: readonly Source[]
  readonly prepare: Prepare
}

/** @returns reads a dead letter that holds a raw event; `arrivalMs` (epoch ms) is when the event first came in */
export function createMapAgain({ sources, prepare }: MapAgainParts) {
  return async (letter: DeadLetter & { raw: string }, arrivalMs: number): Promise<Reading> => {
    const { raw, eventId, headers, part } = letter
    const source = sources.find(({ name }) => name === letter.source)
    if (source === undefined) return { ok: false, reason: `there is no source ${letter.source}` }
    const parsed = parseEvent(part ? 'json' : source.format, new TextEncoder().encode(raw))
    if (!parsed.ok) return parsed
    const found = part ? { ok: true as const, events: [parsed.event] } : eventsIn(source, parsed.event)
    if (!found.ok) return found
    const mapped = joined(await mapEvents(source, found.events, { eventId, arrivalMs, ...given({ headers }) }, prepare))
    return mapped.ok ? { ok: true, updates: mapped.updates, lane: source.lane } : mapped
  }
}
