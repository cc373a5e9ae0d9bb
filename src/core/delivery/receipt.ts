/** What became of one update that was taken in: the data behind the answer to its sender. */

export const deferReasons = [
  'quota',
  'contended',
  'target_unavailable',
  'ledger_unavailable',
  'paused',
  'slow',
  'delayed',
  'clock',
] as const
export type DeferReason = (typeof deferReasons)[number]

/**
 * Why an update lies in the dead letters though nobody asked Target: it is older than the retention; the ledger lost its
 * state since; a newer value, of which nobody knows whether it got there, kept it waiting until it expired; or it fits no
 * call.
 */
export const setAsideReasons = ['expired', 'ledger_lost', 'overtaken_unconfirmed', 'unfit'] as const
export type SetAsideReason = (typeof setAsideReasons)[number]

export type Receipt =
  /** Target accepted every attribute that was still worth sending. */
  | { readonly status: 'submitted'; readonly calls: number }
  /** Durably in the backlog, at least in part; the first reason met. */
  | { readonly status: 'deferred'; readonly reason: DeferReason }
  /** The event id was settled before. */
  | { readonly status: 'duplicate' }
  /** Newer values of every attribute were delivered before. */
  | { readonly status: 'superseded' }
  /** Target refused it, at least in part; it lies in the dead letters. `detail`: Target's own words. */
  | { readonly status: 'rejected'; readonly detail?: string }
  /** Nobody asked Target; it lies in the dead letters, for a person. */
  | { readonly status: 'set_aside'; readonly reason: SetAsideReason }
  /** Its id came before with other content: nothing of it was recorded or kept. */
  | { readonly status: 'id_reused' }
  /** A first attempt of this event is still under way: come back. */
  | { readonly status: 'in_flight' }
  /** It could be neither delivered nor kept. Nothing was acknowledged: come back. */
  | { readonly status: 'unavailable' }

/** What came of an update that travelled in parts, from what came of each: the first of these that any part met. */
const worstFirst = [
  'unavailable',
  'in_flight',
  'id_reused',
  'deferred',
  'rejected',
  'set_aside',
  'submitted',
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
export type Deliver = (
  updates: readonly import('../update/update.ts').Update[],
  lane: import('../update/update.ts').Lane,
) => Promise<readonly Receipt[]>
