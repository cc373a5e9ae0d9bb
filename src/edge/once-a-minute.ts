/** What may happen any number of times, and is logged and counted once a minute: a flood fills neither log nor ledger. */
import type { Clock } from '../core/clock.ts'

/** By what happened: when it was last reported (epoch ms), and how often it has happened since. */
export type OnceAMinuteMemory = Map<string, { readonly toldMs: number; readonly count: number }>

const everyMs = 60_000

/**
 * Notes that it happened.
 *
 * @returns how often since the last report, where one is due; undefined within the same minute
 */
export function dueCount(memory: OnceAMinuteMemory, what: string, { now }: Pick<Clock, 'now'>): number | undefined {
  const nowMs = now()
  const { toldMs, count: before } = memory.get(what) ?? { toldMs: Number.NEGATIVE_INFINITY, count: 0 }
  const count = before + 1
  // A clock that was set back keeps nothing silent for ever.
  if (Math.abs(nowMs - toldMs) < everyMs) {
    memory.set(what, { toldMs, count })
    return undefined
  }
  memory.set(what, { toldMs: nowMs, count: 0 })
  return count
}
