/** Maps an event again that could not be mapped, once its source's mapping is fixed. */
import type { DeadLetter } from '../../core/backlog/port.ts'
import type { Prepare } from '../../core/delivery/prepare.ts'
import type { Reading } from '../../core/operator/remap.ts'
import { mapEvent, parseEvent } from './mapping.ts'
import type { Source } from './types.ts'

export interface MapAgainParts {
  readonly sources: readonly Source[]
  readonly prepare: Prepare
}

/** @returns reads a dead letter that holds a raw event; `arrivalMs` (epoch ms) is when the event first came in */
export function createMapAgain({ sources, prepare }: MapAgainParts) {
  return async ({ source: name, raw, eventId }: DeadLetter & { raw: string }, arrivalMs: number): Promise<Reading> => {
    const source = sources.find((candidate) => candidate.name === name)
    if (source === undefined) return { ok: false, reason: `there is no source ${name}` }
    const parsed = parseEvent(source.format, new TextEncoder().encode(raw))
    if (!parsed.ok) return parsed
    const mapped = await mapEvent(source, parsed.event, { eventId, arrivalMs }, prepare)
    return mapped.ok ? { ok: true, updates: mapped.updates, lane: source.lane } : mapped
  }
}
