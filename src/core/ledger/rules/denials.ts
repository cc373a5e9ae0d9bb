/**
 * An update of one visitor that is denied (401, 403, 3xx) again and again while others are delivered: it contains
 * something, such as markup, that a firewall in front of Target blocks. Without this rule it would be tried until it is
 * too old.
 *
 * The SQL ledger runs these rules as they stand here; the Redis scripts say the same in Lua, and a differential test
 * holds both alike.
 */
import type { Limits } from '../../limits.ts'
import type { Health, Signal } from './health.ts'

/** A visitor's denials in a row between which others were delivered. */
export interface Denials {
  readonly count: number
  /** When the first of them was settled, epoch ms. */
  readonly sinceMs: number
}

/**
 * One attempt as it is settled. `judged`: its denial was a verdict, so that its visitor's denials are counted from
 * zero.
 */
export interface Tried {
  readonly signal: Signal
  readonly visitorHash: string
  readonly judged: boolean
}

type Doubts = Pick<Health, 'breaker' | 'denied'>

/** @param health as it was before the attempt was settled */
export function afterTry(
  denials: Denials | undefined,
  { signal, visitorHash, judged }: Tried,
  health: Doubts,
  nowMs: number,
): Denials | undefined {
  if (signal !== 'wrong' || judged) return undefined
  if (!othersAreDelivered(health, visitorHash)) return denials
  return { count: (denials?.count ?? 0) + 1, sinceMs: denials?.sinceMs ?? nowMs }
}

/** Whether one more denial is a verdict. */
export function isLastTry(
  denials: Denials | undefined,
  health: Doubts,
  visitorHash: string,
  nowMs: number,
  { denialsThatJudge, denialsLastMs }: Pick<Limits, 'denialsThatJudge' | 'denialsLastMs'>,
): boolean {
  if (denials === undefined || denials.count + 1 < denialsThatJudge || nowMs - denials.sinceMs < denialsLastMs)
    return false
  return othersAreDelivered(health, visitorHash)
}

/** A yes forgets whose attempts were denied: where this visitor is not among them, one came since its last denial. */
function othersAreDelivered({ breaker, denied }: Doubts, visitorHash: string): boolean {
  return breaker === undefined && !denied.includes(visitorHash)
}
