/** What both implementations of the ledger are told, and the times and bounds that follow from it. */
import type { Lane } from '../../update/update.ts'

/** Whether calls are spread over the window (`pace.ts`). */
export const paces = ['none', 'even'] as const
export type Pace = (typeof paces)[number]

/** What the rules need to know, the same for both implementations. Times in milliseconds. */
export interface LedgerSettings {
  /** Calls allowed in any rolling window. */
  readonly quotaLimit: number
  readonly quotaWindowMs: number
  /** Units are counted in buckets of this width. */
  readonly quotaBucketMs: number
  /** A bucket is kept this much longer than the window: a call's time in flight plus clock error. */
  readonly quotaSlackMs: number
  /** The share of the quota that only replay may fill, 0..1. */
  readonly replayReserve: number
  readonly pace: Pace
  readonly retentionMs: number
  /** How long an open attempt keeps others away by this relay's settings (`in-flight.ts`). */
  readonly inFlightMs: number
  /** The longest that one may keep others away by any settings that are allowed. */
  readonly longestInFlightMs: number
}

/** Requests or settlements in one call to the ledger. */
export const maxBatch = 100

/** @throws RangeError */
export function checkBatch(size: number): void {
  if (size > maxBatch) throw new RangeError(`a batch for the ledger has at most ${maxBatch} items`)
}

/** The share of the quota that each lane may fill (docs/rules.md, "Lanes and shares"), as a ceiling in units on the same total. */
export function laneCeiling(settings: Pick<LedgerSettings, 'quotaLimit' | 'replayReserve'>, lane: Lane): number {
  const share = {
    replay: 1,
    high: 1 - settings.replayReserve / 2,
    live: 1 - settings.replayReserve,
    // Never nothing, whatever the reserve: a source over its share has this ceiling, and must get through in the end
    // (G7).
    bulk: Math.max((1 - settings.replayReserve) / 2, 1 - 4 * settings.replayReserve),
  }[lane]
  return Math.floor(settings.quotaLimit * share)
}

/** How long an event id is remembered: an entry may wait for the retention, and its sender may retry a day longer. */
export function eventLifetimeMs(settings: Pick<LedgerSettings, 'retentionMs'>): number {
  return settings.retentionMs + 24 * 3_600_000
}

/** A lead is remembered for this long, about. */
export const leadLivesMs = 24 * 3_600_000

/** How long an admission that was cancelled before it arrived stays void; no request travels for longer. */
export const cancelledLivesMs = 10 * 60_000

/** The account of all units. */
export const wholeAccount = ''
