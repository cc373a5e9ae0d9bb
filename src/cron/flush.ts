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
import { addTo, type Beside, type StartRun, startBeside } from './beside.ts'
import { type BudgetParts, createBudget, flushLease, stopOf } from './budget.ts'
import { createRunConnections } from './connections.ts'
import { type RunNotes, tellRest } from './figures.ts'
import { learnFrom } from './learnt.ts'
import { createPass } from './passing.ts'
import { createPlace, segmentMemo } from './place.ts'
import { createRefusals } from './refusals.ts'
import { createRemovals } from './removals.ts'
import { createReplay } from './replay.ts'
import { emptyReport, type FlushReport, lastRunMemo, readLastRun, writeLastRun } from './report.ts'
import { type Part, walkBacklog, walkPart } from './ring.ts'
import { type Segment, segmentsOf } from './segments.ts'
import { isSpent, workThrough } from './through.ts'

export interface FlushParts extends BudgetParts {
  readonly door: Door
  readonly ledger: Pick<
    Ledger,
    | 'settle'
    | 'firstStamps'
    | 'lease'
    | 'leaseAndRecall'
    | 'release'
    | 'recall'
    | 'rememberAndRelease'
    | 'recallAll'
    | 'remember'
    | 'summary'
    | 'check'
  >
  readonly untold: Untold
  readonly backlog: Backlog
  readonly random: Random
  /** Entries deferred without contact to the ledger wait this long. */
  readonly outageSettleMs: number
  /** Told how far the run is, now and then. */
  readonly progress?: (soFar: Readonly<FlushReport>) => void
  readonly limits?: Limits
  /** Runs that may share the ring where one does not carry it, 1..16; default 1. */
  readonly runs?: number
  /** Starts the others; without it there is one. */
  readonly startRun?: StartRun
  /** Where another run has started this one: the part of the ring that it works on. It records no end of its own. */
  readonly segment?: Segment
}

/** One run. Never rejects: whatever stops it is in the report. */
export async function flush(parts: FlushParts): Promise<FlushReport> {
  const { door, ledger, backlog, clock, random, log, segment, limits = defaultLimits } = parts
  const leaseName = segment === undefined ? flushLease : `${flushLease}/${segment.index}`
  const holder = random.hex(12)
  const place = createPlace(ledger, segment)
  const budget = createBudget({ ...parts, leaseName }, holder, place.learnt)
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
  let beside: Beside | undefined

  const stop = await stopOf(async () => {
    const kept = await budget.begin(place.memos)
    leased = true
    await budget.ask('ledger_unavailable', () => ledger.check())
    place.load(kept, clock.now())
    await workThrough({ ...page, place, maxMs: parts.maxMs }, pagesToRead())
  })
  if (stop !== undefined) report.stopped = stop.reason
  Object.assign(place.learnt, budget.found)
  if (beside !== undefined) await joinOthers(beside)

  report.durationMs = Math.round(budget.elapsedMs())
  Object.assign(report, given({ platformOperations: place.learnt.operations, platformCalls: place.learnt.calls }))
  if (leased && report.stopped !== 'leased') await leave()
  // The answer that was not heard may have been a yes.
  else if (report.stopped === 'ledger_unavailable') await release()
  if (segment === undefined) log('flush', { ...report })
  return report

  function pagesToRead() {
    const moved = (position: string) => {
      place.position = position
    }
    return segment === undefined
      ? walkBacklog(backlog, place.position, keysToList, moved, shareRing)
      : walkPart(backlog, { segment, position: place.position }, keysToList, moved)
  }

  /** Starts the others where the last run had nothing left to spend; gives the part of this one. */
  async function shareRing(): Promise<Part | undefined> {
    const { runs = 1, startRun } = parts
    const [own, ...others] = segmentsOf(runs)
    if (own === undefined || others.length === 0 || startRun === undefined) return undefined
    const [lastRun, kept] = await budget.ask('ledger_unavailable', () =>
      ledger.recallAll([lastRunMemo, segmentMemo(own)]),
    )
    if (!isSpent(readLastRun(lastRun)?.report.stopped)) return undefined
    place.narrow(own, kept)
    beside = startBeside(others, { ...parts, startRun, budget })
    return { segment: own, position: place.position }
  }

  async function joinOthers(started: Beside): Promise<void> {
    const others = await started.end()
    addTo(report, others)
    for (const other of others) if (other !== undefined) learnFrom(place.learnt, other, clock.now())
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
      if (segment === undefined) return await recordEnd()
    } catch (error) {
      log('flush_end_not_recorded', { error: errorName(error) })
    }
    // By itself: a run whose end could not be recorded must not keep the next ones away.
    await release()
  }

  /** Gives the lease back, too. */
  async function recordEnd(): Promise<void> {
    // An idle run, 1,440 times a day, asks no more of the ledger than it must.
    if (report.read > 0) {
      const { remaining, health } = await ledger.summary()
      report.quotaLeft = remaining
      // Opened by this run's last calls: nothing was left to ask about.
      if (report.stopped === 'drained' && health.breaker !== undefined) report.stopped = 'target_unavailable'
    }
    await ledger.rememberAndRelease(leaseName, holder, lastRunMemo, writeLastRun({ atMs: clock.now(), report }))
  }

  async function release(): Promise<void> {
    await ledger.release(leaseName, holder).catch((error) => log('flush_lease_kept', { error: errorName(error) }))
  }
}
