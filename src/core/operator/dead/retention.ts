/**
 * Dead letters end: what is older than `DEAD_RETENTION_DAYS` is deleted, and counted.
 *
 * Guarantee: heads are walked once in `sweepEveryMs`, page by page, each within its share. When the first letter goes is
 * known as soon as all were walked, so that an operator can be warned. A clock that is ahead deletes at most twice as fast
 * as time passes: the time before which letters go moves by two intervals a walk.
 * A KV's own expiry is not used: it would not follow the setting, and count nothing.
 */
import { readDeadKey } from '../../backlog/entry-format.ts'
import type { Backlog } from '../../backlog/port.ts'
import type { Clock } from '../../clock.ts'
import { given } from '../../given.ts'
import type { Ledger } from '../../ledger/port.ts'
import type { Log } from '../../log.ts'
import type { Share } from './make-plan.ts'

export interface RetentionParts {
  readonly backlog: Pick<Backlog, 'deadHeads' | 'exchange'>
  readonly ledger: Pick<Ledger, 'recall' | 'remember' | 'settle' | 'lease' | 'release'>
  readonly clock: Pick<Clock, 'now'>
  /** 0: letters stay until a person removes them. */
  readonly retentionMs: number
  readonly log: Log
  /** Given if it outlives this run. */
  readonly memory?: RetentionMemory
}

/** What a process or an isolate remembers, so that a run in which nothing is due asks the ledger nothing. */
export interface RetentionMemory {
  /** When a walk was last known to have ended, epoch ms. */
  deadWalkedMs?: number
}

export const retentionMemo = 'dead-retention'
const sweepEveryMs = 6 * 3_600_000
const deletesAtOnce = 20
/** An operator is warned so long before. */
const warnedMs = 7 * 86_400_000

interface Walk {
  /** When the last walk ended, what it deleted before, and the oldest letter that it left, epoch ms. */
  walkedMs?: number
  endMs?: number
  oldestMs?: number
  /** Letters that go within a week. */
  soon?: number
  /** Of the walk that is under way. */
  cursor?: string
  oldestSoFarMs?: number
  soonSoFar?: number
}

/** As the last whole walk found it. */
export interface DeadEnds {
  /** When the first letter goes, epoch ms; absent where there is none. */
  readonly firstMs?: number
  /** Letters that go within a week. */
  readonly soon: number
}

/**
 * Undefined where letters stay for ever, or none was walked yet.
 *
 * @param kept under `retentionMemo`
 */
export function deadEnds(kept: string | undefined, retentionMs: number): DeadEnds | undefined {
  if (retentionMs === 0) return undefined
  const { walkedMs, oldestMs, soon = 0 } = read(kept)
  if (walkedMs === undefined) return undefined
  return { soon, ...given({ firstMs: oldestMs === undefined ? undefined : oldestMs + retentionMs }) }
}

/** @returns a duty's work; rejects where a store does not answer */
export function createRetention({ backlog, ledger, clock, retentionMs, log, memory = {} }: RetentionParts) {
  return async (share: Share): Promise<void> => {
    if (retentionMs === 0) return
    const nowMs = clock.now()
    const isRecent = (walkedMs: number | undefined) =>
      walkedMs !== undefined && Math.abs(nowMs - walkedMs) < sweepEveryMs
    if (isRecent(memory.deadWalkedMs)) return
    const walk = read(await ledger.recall(retentionMemo))
    if (walk.cursor === undefined && isRecent(walk.walkedMs)) {
      Object.assign(memory, given({ deadWalkedMs: walk.walkedMs }))
      return
    }
    // The first walk deletes nothing: it may be the first minute of a clock that is wrong.
    const lastMs = walk.endMs === undefined ? Number.NEGATIVE_INFINITY : walk.endMs + 2 * sweepEveryMs
    const endMs = Math.min(nowMs - retentionMs, lastMs)
    let deleted = 0
    try {
      while (share.has(2 + deletesAtOnce)) {
        const page = await backlog.deadHeads(given({ cursor: walk.cursor }))
        const times = page.items.map(({ key, head }) => ({ key, atMs: head?.atMs ?? readDeadKey(key)?.atMs ?? nowMs }))
        const old = times.filter(({ atMs }) => atMs < endMs)
        while (old.length > 0 && share.has(deletesAtOnce)) {
          const some = old.splice(0, deletesAtOnce)
          await backlog.exchange(
            [],
            some.map(({ key }) => key),
          )
          deleted += some.length
        }
        // What is left of this page is met again where the walk goes on.
        if (old.length > 0) break
        const left = times.flatMap(({ atMs }) => (atMs >= endMs ? [atMs] : []))
        const oldestMs = Math.min(walk.oldestSoFarMs ?? Number.POSITIVE_INFINITY, ...left)
        if (oldestMs < Number.POSITIVE_INFINITY) walk.oldestSoFarMs = oldestMs
        walk.soonSoFar = (walk.soonSoFar ?? 0) + left.filter((atMs) => atMs < nowMs - retentionMs + warnedMs).length
        if (page.cursor === undefined) {
          const { oldestSoFarMs, soonSoFar } = walk
          return await ledger.remember(
            retentionMemo,
            JSON.stringify({
              walkedMs: nowMs,
              endMs: Math.max(endMs, walk.endMs ?? nowMs - retentionMs),
              soon: soonSoFar,
              ...given({ oldestMs: oldestSoFarMs }),
            }),
          )
        }
        walk.cursor = page.cursor
      }
      await ledger.remember(retentionMemo, JSON.stringify(walk))
    } catch (error) {
      // A cursor that the store does not take any more must not end every walk.
      const { cursor: _, oldestSoFarMs: __, soonSoFar: ___, ...before } = walk
      await ledger.remember(retentionMemo, JSON.stringify(before))
      throw error
    } finally {
      if (deleted > 0) {
        log('dead_expired', { letters: deleted })
        await ledger.settle([], { deadExpired: deleted })
      }
    }
  }
}

function read(text: string | undefined): Walk {
  return text === undefined ? {} : (JSON.parse(text) as Walk)
}
