/**
 * The backlog from where a run reads on, a stretch at a time, to its end or to what ends the run.
 *
 * Guarantee (G7): the place is kept before a stretch is worked on, so that a run that dies there does not find itself
 * there again; and what a run had nothing left for, the next one has its whole budget for.
 */
import type { KeptEntry, Unreadable } from '../core/backlog/port.ts'
import { type Budget, Stop, stopOf } from './budget.ts'
import { flushPage, type PageParts } from './page.ts'
import type { KeptPlace } from './place.ts'
import type { Replay } from './replay.ts'
import type { StopReason } from './report.ts'
import { operationsAPage, readStretch } from './stretch.ts'

export interface ThroughParts extends PageParts {
  readonly budget: Budget
  readonly replay: Replay
  readonly place: Pick<KeptPlace, 'position' | 'began' | 'save'>
  readonly maxMs: number
}

const spent: ReadonlySet<StopReason | undefined> = new Set(['time', 'operations', 'calls', 'subrequests'])

/** Whether a run that ended so had nothing left to spend. */
export function isSpent(stopped: StopReason | undefined): boolean {
  return spent.has(stopped)
}

/** Throws a `Stop` where the run must end. */
export async function workThrough(
  parts: ThroughParts,
  pages: Pick<AsyncGenerator<readonly (KeptEntry | Unreadable)[]>, 'next'>,
): Promise<void> {
  const { budget, replay, refusals, place, maxMs, limits } = parts
  let workedOn = 0
  for (;;) {
    const askedAtMs = budget.elapsedMs()
    const stretch = await readStretch(pages, { budget, maxMs, limits, position: () => place.position })
    budget.pageRead(budget.elapsedMs() - (workedOn === 0 ? 0 : askedAtMs))
    if (stretch.items.length > 0) {
      workedOn++
      await budget.ask('ledger_unavailable', () => place.save())
      const chunksBefore = replay.chunks
      const stop = await stopOf(() => flushPage(parts, stretch.items))
      // What was left was too little for any of it, or a store failed: the next run has its whole budget for it. If that
      // was this one, the next run goes on behind it.
      if (stop !== undefined && replay.chunks === chunksBefore && stretch.from !== place.began)
        place.position = stretch.from
      if (stop !== undefined) throw stop
      // What is left of it, the budget may have left.
      await budget.next(operationsAPage)
    }
    if (stretch.stop !== undefined) throw stretch.stop
    if (stretch.isLast) {
      if (refusals.shut !== undefined) throw new Stop('target_unavailable')
      if (!budget.lastLeft()) throw new Stop('backlog_unavailable')
      return
    }
  }
}
