/**
 * The flush: one run of the batch runner over the backlog. Lease, list, merge, and through the same door as live
 * traffic: admit, send, settle; then dead letters, put-backs, and only then deletes.
 *
 * Guarantee (G2): a key is deleted only when each of its attributes is delivered, superseded, in a dead letter, or
 * under a new key whose put resolved, and the settle was confirmed. Runs may overlap, lists may be stale, a run may die
 * anywhere: order (G3) rests on the ledger's registers, not on the lease. A run ends soon after its budget does,
 * whatever it met, with what it did cleaned up as far as that goes; the next run goes on there.
 * Known hole: two overlapping runs may both put back one entry; the second copy costs list operations until it is found
 * delivered, never a value.
 */
import type { Backlog } from '../core/backlog/port.ts'
import type { Random } from '../core/clock.ts'
import type { Door } from '../core/delivery/door.ts'
import { errorName } from '../core/errors.ts'
import { given } from '../core/given.ts'
import type { Ledger } from '../core/ledger/port.ts'
import type { Untold } from '../core/ledger/untold.ts'
import { defaultLimits, type Limits } from '../core/limits.ts'
import { type BudgetParts, createBudget, Stop, stopOf } from './budget.ts'
import { createRunConnections } from './connections.ts'
import { type RunNotes, tellRest } from './figures.ts'
import { flushPage } from './page.ts'
import { createPass } from './passing.ts'
import { createPlace } from './place.ts'
import { createRefusals } from './refusals.ts'
import { createRemovals } from './removals.ts'
import { createReplay } from './replay.ts'
import { emptyReport, type FlushReport, lastRunMemo, type StopReason, writeLastRun } from './report.ts'
import { walkBacklog } from './ring.ts'
import { operationsAPage, readStretch } from './stretch.ts'

export interface FlushParts extends BudgetParts {
  readonly door: Door
  readonly ledger: Pick<
    Ledger,
    'settle' | 'firstStamps' | 'lease' | 'release' | 'recall' | 'remember' | 'summary' | 'check'
  >
  readonly untold: Untold
  readonly backlog: Backlog
  readonly random: Random
  /** Entries deferred without contact to the ledger wait this long. */
  readonly outageSettleMs: number
  /** Told how far the run is, now and then. */
  readonly progress?: (soFar: Readonly<FlushReport>) => void
  readonly limits?: Limits
}

/** Why a run ends that has nothing left to spend. */
const spent: ReadonlySet<StopReason> = new Set(['time', 'operations', 'calls', 'subrequests'])

/** One run. Never rejects: whatever stops it is in the report. */
export async function flush(parts: FlushParts): Promise<FlushReport> {
  const { door, ledger, backlog, clock, random, log, limits = defaultLimits } = parts
  const holder = random.hex(12)
  const place = createPlace(ledger)
  const budget = createBudget(parts, holder, place.learnt)
  const report = emptyReport()
  const notes: RunNotes = new Map()
  const refusals = createRefusals(report)
  const connections = createRunConnections(clock, limits)
  const { suspects } = place
  const pass = createPass({ door, ledger, budget, connections, limits, report, suspects, log })
  const removals = createRemovals(backlog, connections)
  const replay = createReplay({ ...parts, notes, pass, budget, connections, removals, refusals, limits, report })
  const page = { ...parts, budget, replay, refusals, connections, suspects, limits, report }
  let leased = false

  const stop = await stopOf(async () => {
    await budget.begin()
    leased = true
    await budget.ask('ledger_unavailable', () => ledger.check())
    await readBacklog()
  })
  if (stop !== undefined) report.stopped = stop.reason

  report.durationMs = Math.round(budget.elapsedMs())
  Object.assign(place.learnt, budget.found)
  Object.assign(report, given({ platformOperations: place.learnt.operations, platformCalls: place.learnt.calls }))
  if (leased && report.stopped !== 'leased') await leave()
  // The answer that was not heard may have been a yes.
  else if (report.stopped === 'ledger_unavailable') await release()
  log('flush', { ...report })
  return report

  async function readBacklog(): Promise<void> {
    await budget.ask('ledger_unavailable', () => place.load(clock.now()))
    const pages = walkBacklog(backlog, place.position, keysToList, (moved) => {
      place.position = moved
    })
    let workedOn = 0
    for (let pagesRead = 0; ; ) {
      const askedAtMs = budget.elapsedMs()
      const stretch = await readStretch(pages, { budget, maxMs: parts.maxMs, limits, position: () => place.position })
      budget.pageRead(budget.elapsedMs() - (workedOn === 0 ? 0 : askedAtMs))
      if (stretch.items.length > 0) {
        workedOn++
        // Before it is worked on: a run that dies there does not find itself there again.
        await budget.ask('ledger_unavailable', () => place.save())
        const chunksBefore = replay.chunks
        const stop = await stopOf(() => flushPage(page, stretch.items))
        // What was left was too little for any of it: the next run has its whole budget for it. If a store failed, it may
        // fail on this stretch alone, and the next run goes on behind it.
        const readMore = pagesRead + stretch.pagesBefore > 0
        if (stop !== undefined && replay.chunks === chunksBefore && readMore && spent.has(stop.reason))
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
      pagesRead += stretch.pages
    }
  }

  /** Reading a page takes a quarter of the operations that are left, or working on it would have none. */
  function keysToList(): number {
    return Math.min(limits.keysPerPage, limits.keysPerRead * Math.max(1, Math.floor(budget.operationsLeft() / 4)))
  }

  async function leave(): Promise<void> {
    await tellRest(ledger, notes, parts.untold).catch((error) =>
      log('settle_failed', { tries: 1, error: errorName(error) }),
    )
    try {
      await place.save()
      // An idle run, 1,440 times a day, asks no more of the ledger than it must.
      if (report.read > 0) {
        const { remaining, health } = await ledger.summary()
        report.quotaLeft = remaining
        // Opened by this run's last calls: nothing was left to ask about.
        if (report.stopped === 'drained' && health.breaker !== undefined) report.stopped = 'target_unavailable'
      }
      await ledger.remember(lastRunMemo, writeLastRun({ atMs: clock.now(), report }))
    } catch (error) {
      log('flush_end_not_recorded', { error: errorName(error) })
    }
    // By itself: a run whose end could not be recorded must not keep the next ones away.
    await release()
  }

  async function release(): Promise<void> {
    await ledger.release('flush', holder).catch((error) => log('flush_lease_kept', { error: errorName(error) }))
  }
}
