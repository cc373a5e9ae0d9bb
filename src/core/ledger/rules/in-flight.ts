/** How long an attempt under way keeps others from its attributes (docs/rules.md, "In flight"). */

/** A call must start within this of the moment its admission was asked for, else it counts as unsent. */
export const startWithinMs = 2_000
/** How much later Target may still apply a call that we gave up. */
export const lateMs = 3_000

/** The most that `TARGET_TIMEOUT_MS` may be. */
export const maxTargetTimeoutMs = 25_000

/** @param targetTimeoutMs `TARGET_TIMEOUT_MS` */
export function youngMs(targetTimeoutMs: number): number {
  return startWithinMs + targetTimeoutMs + lateMs
}

/** For what may be under way by any relay's settings: another one's may differ while they roll out. */
export const longestYoungMs = youngMs(maxTargetTimeoutMs)
