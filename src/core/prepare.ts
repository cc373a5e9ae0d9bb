/**
 * From what a sender gave to an update that may pass the door: validated, stamped, named by hashes, and known to fit
 * Target's calls, all before any quota is spent.
 */
import { encodeCalls, type Wire } from './codec.ts'
import type { Hasher } from './hash.ts'
import { eventTime, makeStamp } from './stamp.ts'
import type { Attribute, Update } from './update.ts'
import { flattenAttributes, type Problem, validateVisitor } from './validate.ts'

/** One update as a sender or a mapping gives it, not yet believed. */
export interface Draft {
  /** The event's id at its source; a repeated one is the same event. 1..256 characters. */
  readonly id?: string
  readonly visitor: unknown
  readonly attributes: unknown
  /** The event's own time: ISO 8601 with an offset, epoch milliseconds, or a date. */
  readonly occurredAt?: string | number | Date
}

export type Prepared = { readonly ok: true; readonly update: Update } | { readonly ok: false; readonly problems: readonly Problem[] }

export interface PrepareContext {
  readonly source: string
  /** When the relay first saw it, epoch ms. */
  readonly arrivalMs: number
  /** How long from then it is held back. */
  readonly delayMs?: number
  /** Which update of its batch or event it is, from 0 on: of two of one moment the later one is the newer. */
  readonly place?: number
  /** How far the source's clock is known to be ahead: subtracted from the event's own time before anything else. */
  readonly clockAheadMs?: number
  /** Other content under an id is refused (`id_reused`), where it is another event otherwise. */
  readonly idsNameOneUpdate?: boolean
}

/** Bound to the settings by `createPrepare`; pure but for the hashing. */
export type Prepare = (draft: Draft, context: PrepareContext) => Promise<Prepared>

const maxIdChars = 256
/** An event time further ahead of its arrival than this is told: clocks that are kept in step differ by less. */
const clockLeadMs = 2_000
/** RFC 3339, with an offset: a local time names no moment. */
const isoTime = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/

export function createPrepare(parts: { hasher: Hasher; wire: Wire; retentionMs: number }): Prepare {
  const { hasher, wire, retentionMs } = parts
  return async (draft, { source, arrivalMs, delayMs = 0, place = 0, clockAheadMs = 0, idsNameOneUpdate = false }) => {
    const visitor = validateVisitor(draft.visitor)
    const attributes = flattenAttributes(draft.attributes)
    const problems: Problem[] = [...(visitor.ok ? [] : visitor.problems), ...(attributes.ok ? [] : attributes.problems)]
    if (draft.id !== undefined && (draft.id.length === 0 || draft.id.length > maxIdChars || !draft.id.isWellFormed()))
      problems.push({ path: 'id', message: `must have 1 to ${maxIdChars} characters of well-formed text` })
    const saidMs = readTime(draft.occurredAt)
    const claimedMs = typeof saidMs === 'number' ? saidMs - clockAheadMs : saidMs
    const leadMs = typeof claimedMs === 'number' ? claimedMs - arrivalMs : 0
    const time = claimedMs === 'unreadable' ? undefined : eventTime(claimedMs, arrivalMs, retentionMs)
    if (time === undefined) problems.push({ path: 'occurredAt', message: 'must be an ISO 8601 time with an offset, or epoch milliseconds' })
    else if (!time.ok)
      problems.push({
        path: 'occurredAt',
        message:
          time.error === 'in_future' ? 'is more than 5 minutes ahead' : `is older than the retention of ${retentionMs / 3_600_000} hours`,
      })
    if (!visitor.ok || !attributes.ok || !time?.ok || problems.length > 0) return { ok: false, problems }

    const encoded = encodeCalls(visitor.visitor, attributes.attributes, wire)
    if (!encoded.ok)
      return {
        ok: false,
        problems: encoded.tooLarge.map((name) => ({ path: `attributes.${name}`, message: 'is larger than one call to Target can carry' })),
      }

    const visitorHash = await hasher.visitor(visitor.visitor)
    const content = [visitorHash, String(saidMs ?? ''), ...pairsOf(attributes.attributes)]
    const event = draft.id === undefined ? undefined : await hasher.event(source, draft.id, idsNameOneUpdate ? [] : content)
    // What it is, not when it came: the ledger tells by it whether an id comes again with other content.
    const name = event === undefined || idsNameOneUpdate ? await hasher.content([source, draft.id ?? '', ...content]) : event
    return {
      ok: true,
      update: {
        visitor: visitor.visitor,
        attributes: attributes.attributes,
        stamp: makeStamp(time.timeMs, arrivalMs, name, place),
        source,
        visitorHash,
        ...(event === undefined ? {} : { event }),
        ...(delayMs === 0 ? {} : { notBeforeMs: arrivalMs + delayMs }),
        ...(leadMs > clockLeadMs ? { leadMs } : {}),
      },
    }
  }
}

/** In the order of their names: which way round a sender gives them says nothing. */
function pairsOf(attributes: readonly Attribute[]): readonly string[] {
  return [...attributes].sort((a, b) => (a.name < b.name ? -1 : 1)).flatMap(({ name, value }) => [name, value])
}

function readTime(occurredAt: Draft['occurredAt']): number | undefined | 'unreadable' {
  if (occurredAt === undefined) return undefined
  if (occurredAt instanceof Date) return readTime(occurredAt.getTime())
  if (typeof occurredAt === 'number') return Number.isInteger(occurredAt) && occurredAt >= 0 ? occurredAt : 'unreadable'
  const timeMs = isoTime.test(occurredAt) ? Date.parse(occurredAt) : Number.NaN
  return Number.isNaN(timeMs) ? 'unreadable' : timeMs
}
