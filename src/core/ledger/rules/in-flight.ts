/** How long an attempt in flight keeps others from its attributes (docs/rules.md, "In flight"). */
import { jumpToleranceMs } from './clock-watch.ts'

/** A call must start within this of the moment its admission was asked for, else it counts as unsent. */
export const startWithinMs = 2_000
/** How much later Target may still apply a call that we gave up. */
export const lateMs = 3_000

/** The most that `TARGET_TIMEOUT_MS` may be. */
export const maxTargetTimeoutMs = 25_000

/** @param targetTimeoutMs `TARGET_TIMEOUT_MS` */
export function inFlightMs(targetTimeoutMs: number): number {
  return startWithinMs + targetTimeoutMs + lateMs
}

/** By the settings of any relay: those of others may differ while new ones roll out. */
export const longestInFlightMs = inFlightMs(maxTargetTimeoutMs)

/** Whether an attempt may be in flight. One of a future that the clock has left is not: its jump was waited out. */
export function isInFlight(atMs: number, nowMs: number, lifeMs: number): boolean {
  return nowMs - atMs <= lifeMs && atMs - nowMs <= jumpToleranceMs
}
