/**
 * Turns what a sender gave into an update that may pass the door: validated, stamped, named by hashes, and known to fit
 * Target's calls, all before any quota is spent.
 */

import { given } from '../given.ts'
import { readTime, timeForms } from '../time.ts'
import type { Hasher } from '../update/hash.ts'
import { eventTime, makeStamp } from '../update/stamp.ts'
import type { Attribute } from '../update/update.ts'
import { eventIdProblem, flattenAttributes, noId, type Problem, validateVisitor } from '../update/validate.ts'
import { encodeCalls, type Wire } from '../wire/calls.ts'
import type { EncodedUpdate } from './encoded-update.ts'

/** One update as a sender or a mapping gives it, not yet validated. */
export interface Draft {
  /** The event's id at its source; a repeated one is the same event. 1..256 characters. */
  readonly id?: string
  readonly visitor: unknown
  readonly attributes: unknown
  /** The event's own time: ISO 8601 with an offset, epoch seconds or milliseconds, or a date. */
  readonly occurredAt?: string | number | Date
}

export type Prepared =
  | { readonly ok: true; readonly update: EncodedUpdate }
  | { readonly ok: false; readonly problems: readonly Problem[] }

export interface PrepareContext {
  readonly source: string
  /** When the relay first saw it, epoch ms. */
  readonly arrivalMs: number
  /** How long after that it is held back, ms. */
  readonly delayMs?: number
  /** Its place in its batch or event, from 0: of two updates of the same time the later one is newer. */
  readonly place?: number
  /** How far the source's clock is known to be ahead, ms: subtracted from the event's own time before anything else. */
  readonly clockAheadMs?: number
  /** Whether other content under the same id is refused (`id_reused`); otherwise it is another event. */
  readonly idsNameOneUpdate?: boolean
}

/** Bound to the settings by `createPrepare`; pure but for the hashing. */
export type Prepare = (draft: Draft, context: PrepareContext) => Promise<Prepared>

/** An event time further ahead of its arrival than this is reported: synchronized clocks differ by less. */
const clockLeadMs = 2_000

export function createPrepare(parts: { hasher: Hasher; wire: Wire; retentionMs: number }): Prepare {
  const { hasher, wire, retentionMs } = parts
  return async (draft, { source, arrivalMs, delayMs = 0, place = 0, clockAheadMs = 0, idsNameOneUpdate = false }) => {
    const visitor = validateVisitor(draft.visitor)
    const attributes = flattenAttributes(draft.attributes)
    const problems: Problem[] = [...(visitor.ok ? [] : visitor.problems), ...(attributes.ok ? [] : attributes.problems)]
    if (visitor.ok)
      for (const [kind, id] of Object.entries(visitor.visitor)) {
        const problem = noId(id)
        if (problem !== undefined) problems.push({ path: `visitor.${kind}`, message: problem })
      }
    if (draft.id !== undefined) {
      const problem = eventIdProblem(draft.id)
      if (problem !== undefined) problems.push({ path: 'id', message: problem })
    }
    const saidMs = readTime(draft.occurredAt)
    const claimedMs = saidMs === undefined ? undefined : saidMs - clockAheadMs
    const leadMs = claimedMs === undefined ? 0 : claimedMs - arrivalMs
    const isTime = draft.occurredAt === undefined || saidMs !== undefined
    const time = isTime ? eventTime(claimedMs, arrivalMs, retentionMs) : undefined
    if (time === undefined) problems.push({ path: 'occurredAt', message: timeForms })
    else if (!time.ok)
      problems.push({
        path: 'occurredAt',
        message:
          time.error === 'in_future'
            ? 'is more than 5 minutes ahead'
            : `is older than the retention of ${retentionMs / 3_600_000} hours`,
      })
    if (!visitor.ok || !attributes.ok || !time?.ok || problems.length > 0) return { ok: false, problems }

    const encoded = encodeCalls(visitor.visitor, attributes.attributes, wire)
    if (!encoded.ok)
      return {
        ok: false,
        problems: encoded.tooLarge.map((name) => ({
          path: `attributes.${name}`,
          message: 'is larger than one call to Target can carry',
        })),
      }

    const visitorHash = await hasher.visitor(visitor.visitor)
    const content = [visitorHash, String(saidMs ?? ''), ...pairsOf(attributes.attributes)]
    const event =
      draft.id === undefined ? undefined : await hasher.event(source, draft.id, idsNameOneUpdate ? [] : content)
    // By its content, not its arrival: the ledger recognizes by it an id that comes again with other content.
    const name =
      event === undefined || idsNameOneUpdate ? await hasher.content([source, draft.id ?? '', ...content]) : event
    return {
      ok: true,
      update: {
        visitor: visitor.visitor,
        attributes: attributes.attributes,
        stamp: makeStamp(time.timeMs, arrivalMs, name, place),
        source,
        visitorHash,
        encoding: { wire, calls: encoded.calls },
        ...given({
          event,
          notBeforeMs: delayMs === 0 ? undefined : arrivalMs + delayMs,
          leadMs: leadMs > clockLeadMs ? leadMs : undefined,
        }),
      },
    }
  }
}

/** Sorted by name: the order in which a sender gives them has no meaning. */
function pairsOf(attributes: readonly Attribute[]): readonly string[] {
  return [...attributes].sort((a, b) => (a.name < b.name ? -1 : 1)).flatMap(({ name, value }) => [name, value])
}
