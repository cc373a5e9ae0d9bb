/**
 * Jumps of the ledger's clock. During one nothing is admitted and nothing forgotten: a clock that ran a day ahead
 * for a moment would free the whole quota, and one that went back would hold everything for a day.
 *
 * Guarantee: a jump of more than the tolerance, forward or back, is noticed by a process whose clock has a monotonic
 * companion, and a jump back also across restarts and without one, by the latest time that the store has seen. It ends
 * when the clock agrees with the old time line once more, or when an operator confirms the new one.
 * Known hole: a jump forward is not noticed without a companion (on Workers, in Redis), while no process runs, or by one
 * that started while the clock was behind: it takes the first time that is not behind for the right one. A machine that
 * slept has jumped, too: its monotonic clock slept with it.
 */
import type { Clock } from '../../clock.ts'

/** A clock may be off by this much, and be corrected, without a report. */
export const jumpToleranceMs = 5 * 60_000
/** A steady clock is anchored again this often, so that the drift between it and the monotonic clock is no jump. */
const anchorLivesMs = 3_600_000

export type LedgerClock = Pick<Clock, 'now' | 'elapsed'>

/** What a store knows of its clock. */
export interface SeenClock {
  /** The latest time by which anything was granted, epoch ms; 0 where nothing was. */
  readonly seenMs: number
  /** How often an operator has confirmed the time. */
  readonly confirms: number
}

export interface ClockReading {
  /** The time by the old time line, which is the clock's own while it is steady. Epoch ms. */
  readonly nowMs: number
  /** What the clock itself says. */
  readonly clockMs: number
  readonly jumpedByMs?: number
}

/** Watches a clock from now on. */
export function watchClock(clock: LedgerClock): (seen: SeenClock) => ClockReading {
  let anchor = anchorNow()
  let known: number | undefined

  return ({ seenMs, confirms }) => {
    // Somebody confirmed the time, maybe in another process: it is right as it is.
    if (known !== undefined && known !== confirms) anchor = anchorNow()
    known = confirms
    const clockMs = clock.now()
    const expectedMs = anchor === undefined ? clockMs : Math.round(anchor.clockMs + elapsedMs() - anchor.elapsedMs)
    if (expectedMs < seenMs - jumpToleranceMs) {
      // This process started with a clock that was behind what the store has seen: it knows no old time line to compare
      // with.
      if (clockMs < seenMs - jumpToleranceMs) return { nowMs: seenMs, clockMs, jumpedByMs: clockMs - seenMs }
      anchor = anchorNow()
      return { nowMs: clockMs, clockMs }
    }
    const jumped = Math.abs(clockMs - expectedMs) > jumpToleranceMs
    const nowMs = jumped ? expectedMs : clockMs
    if (nowMs < seenMs - jumpToleranceMs) return { nowMs: seenMs, clockMs, jumpedByMs: clockMs - seenMs }
    if (jumped) return { nowMs, clockMs, jumpedByMs: clockMs - expectedMs }
    if (anchor !== undefined && elapsedMs() - anchor.elapsedMs > anchorLivesMs) anchor = anchorNow()
    return { nowMs, clockMs }
  }

  function anchorNow(): { clockMs: number; elapsedMs: number } | undefined {
    return clock.elapsed === undefined ? undefined : { clockMs: clock.now(), elapsedMs: clock.elapsed() }
  }

  function elapsedMs(): number {
    return clock.elapsed?.() ?? 0
  }
}
