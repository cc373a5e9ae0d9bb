/** What became of one update that was taken in: the data behind the answer to its sender. */
import { given } from '../given.ts'
import { added, type Counters, figure } from '../ledger/rules/figures.ts'
import type { DeferReason, SetAsideReason } from '../update/reasons.ts'
import type { Lane } from '../update/update.ts'
import type { EncodedUpdate } from './encoded-update.ts'
import { type Fate, firstDeferReason, isRefused, setAsideReason, standing } from './fate.ts'
import type { Passage } from './passage.ts'

export type Receipt =
  /** Target accepted every attribute that was still worth sending. */
  | { readonly status: 'submitted'; readonly calls: number }
  /** Durably in the backlog, at least in part; the first reason met. */
  | { readonly status: 'deferred'; readonly reason: DeferReason }
  /** The event id was settled before. */
  | { readonly status: 'duplicate' }
  /** Target has this value of each attribute that is not superseded: its source skips what is unchanged. */
  | { readonly status: 'unchanged' }
  /** Newer values of every attribute were delivered before. */
  | { readonly status: 'superseded' }
  /** Target refused it, at least in part; it lies in the dead letters. `detail`: Target's own words. */
  | { readonly status: 'rejected'; readonly detail?: string }
  /** Target was not asked; it lies in the dead letters, for a person. */
  | { readonly status: 'set_aside'; readonly reason: SetAsideReason }
  /** Its id came before with other content: nothing of it was recorded or kept. */
  | { readonly status: 'id_reused' }
  /** The first attempt of this event is still in flight: the sender tries again later. */
  | { readonly status: 'in_flight' }
  /** It could be neither delivered nor kept. Nothing was acknowledged: the sender tries again later. */
  | { readonly status: 'unavailable' }

/** The receipt of an update that was sent in parts has the first of these that any part has. */
const worstFirst = [
  'unavailable',
  'in_flight',
  'id_reused',
  'deferred',
  'rejected',
  'set_aside',
  'submitted',
  'unchanged',
  'superseded',
  'duplicate',
] as const

/** @param receipts at least one, in the order of the parts */
export function combinedReceipt(receipts: readonly Receipt[]): Receipt {
  const worst = worstFirst.flatMap((status) => receipts.find((receipt) => receipt.status === status) ?? [])[0]
  if (worst === undefined) throw new RangeError('an update without parts')
  if (worst.status !== 'submitted') return worst
  return {
    status: 'submitted',
    calls: receipts.reduce((sum, receipt) => sum + (receipt.status === 'submitted' ? receipt.calls : 0), 0),
  }
}

/** Takes updates in and says what became of each, in order. Never rejects. */
export type Deliver = (updates: readonly EncodedUpdate[], lane: Lane) => Promise<readonly Receipt[]>

/** @param kept whether everything that was not delivered is durably kept */
export function receiptOf(passage: Passage, kept: boolean): Receipt {
  if (passage.event !== 'open') return { status: passage.event }
  if (!kept) return { status: 'unavailable' }
  const fates = passage.attributes.map(({ fate }) => fate)
  const reason = firstDeferReason(fates)
  if (reason !== undefined) return { status: 'deferred', reason }
  if (fates.some(isRefused)) return { status: 'rejected', ...given({ detail: passage.refusal }) }
  if (fates.some((fate) => standing(fate) === 'dead')) return { status: 'set_aside', reason: setAsideReason(fates) }
  if (fates.includes('sent_delivered')) return { status: 'submitted', calls: passage.calls }
  return { status: doneStatus(fates) }
}

/** That of an update for which no call was made and nothing is left to do. */
export function doneStatus(fates: readonly Fate[]): 'unchanged' | 'superseded' | 'duplicate' {
  if (fates.includes('unchanged')) return 'unchanged'
  return fates.includes('superseded') ? 'superseded' : 'duplicate'
}

/** An update whose last part was worked on, and what its sender is told. */
export interface EndedUpdate {
  readonly source: string
  readonly receipt: Receipt
}

/** For the ledger's figures: updates by what became of them, and the calls of these parts. */
export function countsOf(
  lane: Lane,
  ended: readonly EndedUpdate[],
  calls: readonly { readonly source: string; readonly calls: number }[],
): Counters {
  return added(
    ...ended.flatMap(({ source, receipt }) => [
      { [figure(source, lane, 'received')]: 1 },
      { [figure(source, lane, nameOf(receipt))]: 1 },
    ]),
    ...calls.filter(({ calls }) => calls > 0).map(({ source, calls }) => ({ [figure(source, lane, 'calls')]: calls })),
  )
}

function nameOf(receipt: Receipt): string {
  return receipt.status === 'deferred' ? `deferred_${receipt.reason}` : receipt.status
}
