/**
 * A longer retention takes effect only for what came in after it was set: the register of a newer value may be gone
 * already, so that an older one of before would pass over it. A shorter one takes effect at once.
 *
 * Rules on plain data, as in `register.ts`; the Redis scripts say the same in Lua.
 */

/** From when on, epoch ms, which retention counts for a stamp of that time; both grow from each to the next. */
export type Retentions = readonly (readonly [sinceMs: number, retentionMs: number])[]

/**
 * Lengthenings that are kept apart. Beyond them the second oldest is dropped: the shorter one then counts, which lets
 * less pass.
 */
export const maxRetentions = 8

/** The retentions once `retentionMs` is set, at `nowMs`; the same object where it was set already. */
export function retentionSet(retentions: Retentions, retentionMs: number, nowMs: number): Retentions {
  const last = retentions.at(-1)
  if (last?.[1] === retentionMs) return retentions
  const shorter = retentions.filter(([, kept]) => kept < retentionMs)
  const replaced = retentions[shorter.length]
  const sinceMs = shorter.length === 0 ? 0 : (replaced?.[0] ?? Math.max(nowMs, last?.[0] ?? 0))
  const all = [...shorter, [sinceMs, retentionMs] as const]
  return all.length <= maxRetentions ? all : [...all.slice(0, 1), ...all.slice(2)]
}

/** The retention that a stamp of this time is judged by. */
export function retentionAt(retentions: Retentions, timeMs: number): number {
  const [[, first] = [0, 0]] = retentions
  return retentions.findLast(([sinceMs]) => sinceMs <= timeMs)?.[1] ?? first
}

/** Once an operator has confirmed the time: nothing was set in the future. */
export function retentionsConfirmed(retentions: Retentions, nowMs: number): Retentions {
  return retentions.map(([sinceMs, retentionMs]) => [Math.min(sinceMs, nowMs), retentionMs])
}
