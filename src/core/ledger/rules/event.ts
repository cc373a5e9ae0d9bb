/**
 * The rules of event ids, as functions on plain data. The SQL ledger runs them as they stand here;
 * `redis/scripts/events.ts` says the same in Lua, under the same names, and a differential test keeps both alike.
 */
import { stampName } from '../../update/stamp.ts'
import type { Stamp } from '../../update/update.ts'
import { isInFlight } from './in-flight.ts'
import type { LedgerSettings } from './settings.ts'

/** The event's first attempt. Its stamp names the content that came under its id. */
export interface EventRecord {
  readonly stamp: Stamp
  readonly atMs: number
  readonly done: boolean
  /** Done, and Target refused it. */
  readonly rejected?: true
}

export type EventVerdict =
  | { readonly kind: 'duplicate' | 'rejected' | 'in_flight' | 'id_reused' }
  /** Go on under `stamp`, and keep `record`. */
  | { readonly kind: 'open'; readonly record: EventRecord }

/** docs/rules.md, "Event ids", for live traffic. */
export function judgeEvent(
  seen: EventRecord | undefined,
  { event, stamp }: NamedEvent,
  nowMs: number,
  rules: Pick<LedgerSettings, 'inFlightMs'>,
): EventVerdict {
  const first = { kind: 'open', record: { stamp, atMs: nowMs, done: false } } as const
  if (seen === undefined) return first
  // What was refused is tried again once it is another.
  if (isAnother(seen, { event, stamp })) return seen.rejected === true ? first : { kind: 'id_reused' }
  if (seen.done) return { kind: seen.rejected === true ? 'rejected' : 'duplicate' }
  if (isInFlight(seen.atMs, nowMs, rules.inFlightMs)) return { kind: 'in_flight' }
  return { kind: 'open', record: { ...seen, atMs: nowMs } }
}

/** An event's key, and a stamp of what came under it. */
interface NamedEvent {
  readonly event: string
  readonly stamp: Stamp
}

/**
 * The stamp under which an event first came, and the record where it must be written; undefined where its id was used
 * for other content before.
 */
export function firstStampOf(
  seen: EventRecord | undefined,
  named: NamedEvent,
  nowMs: number,
): { readonly stamp: Stamp; readonly record?: EventRecord } | undefined {
  const another = seen !== undefined && isAnother(seen, named)
  if (another && seen.rejected !== true) return undefined
  if (seen !== undefined && !another) return { stamp: seen.stamp }
  return { stamp: named.stamp, record: { stamp: named.stamp, atMs: nowMs, done: false } }
}

/**
 * Whether other content came under the id. An older version named stamps by the event's key, which says nothing of it;
 * nor does a record that was settled and never admitted, which has none.
 */
function isAnother(seen: EventRecord, { event, stamp }: NamedEvent): boolean {
  const name = stampName(seen.stamp)
  return name !== '' && name !== stampName(stamp) && name !== stampName(event)
}

/** The record once the event is settled. @param stamp of the settlement, for an event that was never admitted */
export function settledEvent(
  seen: EventRecord | undefined,
  stamp: Stamp,
  nowMs: number,
  isRejected: boolean,
): EventRecord {
  const rejected = isRejected ? { rejected: true as const } : {}
  return { stamp: seen?.stamp ?? stamp, atMs: seen?.atMs ?? nowMs, done: true, ...rejected }
}

/** An event that moves in from another ledger, joined with what is known here: the earlier stamp is the first one. */
export function movedInEvent(seen: EventRecord | undefined, moved: MovedRecord): EventRecord {
  return {
    stamp: seen !== undefined && seen.stamp < moved.stamp ? seen.stamp : moved.stamp,
    atMs: seen?.atMs ?? moved.atMs,
    done: moved.done || seen?.done === true,
    ...(moved.rejected === true || seen?.rejected === true ? { rejected: true as const } : {}),
  }
}

type MovedRecord = Omit<EventRecord, 'rejected'> & { readonly rejected?: true | undefined }
