/**
 * What a run may spend: time, operations on the backlog's store, calls to Target, and the lease under which it does.
 *
 * Guarantee: every step of a run asks here before it starts, so that no loop exceeds its bound by more than one step:
 * `maxMs` for new work, half as long again for cleaning up, and half as long again where reading one page took all of
 * it, since that page would never be worked on. The lease is renewed wherever time passes.
 * Known hole: a step under way is waited for: a call as long as `TARGET_TIMEOUT_MS`, the ledger as long as its
 * deadline.
 */

import type { Clock } from '../core/clock.ts'
import { errorName, isPlatformLimit } from '../core/errors.ts'
import type { Ledger } from '../core/ledger/port.ts'
import type { Log } from '../core/log.ts'
import { ForeignStore } from '../core/operator/owner.ts'
import type { StopReason } from './report.ts'

/** Ends a run at a point where nothing is in flight. */
export class Stop extends Error {
  override readonly name = 'Stop'
  readonly reason: StopReason
  constructor(reason: StopReason) {
    super(reason)
    this.reason = reason
  }
}

export interface BudgetParts {
  readonly ledger: Pick<Ledger, 'lease'>
  readonly backlog: { readonly operations: number }
  readonly clock: Clock
  /** A run starts nothing new after this long. */
  readonly maxMs: number
  /** Operations on the backlog's store that one run may ask for. */
  readonly maxOperations: number
  /** Calls to Target that one run may make. */
  readonly maxCalls: number
  /** True once its process is to end: the run ends at the next point where nothing is in flight. */
  readonly stopping?: () => boolean
  readonly log: Log
}

export interface Budget {
  /** Takes the lease. */
  begin(): Promise<void>
  /** To be asked before new work that takes this many operations. */
  next(operations?: number): Promise<void>
  /** To be asked before cleaning up. */
  cleanUp(operations?: number): Promise<void>
  /** Told how long a page took to read: where that is most of a run, half a run is left to work on it all the same. */
  pageRead(tookMs: number): void
  operationsLeft(): number
  callsLeft(): number
  /** Counts calls that were made. */
  called(calls: number): void
  /** Asks a store; a rejection stops the run for `reason`, or for the platform's bound. */
  ask<T>(reason: StoreReason, work: () => Promise<T>): Promise<T>
  elapsedMs(): number
}

export type StoreReason = 'ledger_unavailable' | 'backlog_unavailable'

/** Longer than a run and the calls it leaves behind. */
const leaseMs = 90_000
const cleanUpShare = 1.5

/** Every method that waits throws a `Stop` where the run must end. */
export function createBudget(parts: BudgetParts, holder: string): Budget {
  const { ledger, backlog, clock, log } = parts
  // Setting the clock during a run makes it neither longer nor shorter.
  const tickMs = () => clock.elapsed?.() ?? clock.now()
  const startedMs = tickMs()
  const operationsBefore = backlog.operations
  let calls = 0
  let leasedAtMs = startedMs
  let extraMs = 0

  const budget: Budget = {
    begin: lease,
    next: async (operations = 0) => {
      if (parts.stopping?.() === true) throw new Stop('stopping')
      await check(parts.maxMs, operations)
      if (budget.callsLeft() <= 0) throw new Stop('calls')
    },
    cleanUp: (operations = 0) => check(parts.maxMs * cleanUpShare, operations),
    pageRead: (tookMs) => {
      extraMs = Math.max(extraMs, tookMs - parts.maxMs / 2)
    },
    operationsLeft: () => parts.maxOperations - (backlog.operations - operationsBefore),
    callsLeft: () => parts.maxCalls - calls,
    called: (more) => {
      calls += more
    },
    ask: async (reason, work) => {
      try {
        return await work()
      } catch (error) {
        if (error instanceof Stop) throw error
        log('flush_stopped', { reason, error: errorName(error) })
        if (error instanceof ForeignStore) throw new Stop('foreign_store')
        throw new Stop(
          isPlatformLimit(error) ? (reason === 'backlog_unavailable' ? 'operations' : 'subrequests') : reason,
        )
      }
    },
    elapsedMs: () => tickMs() - startedMs,
  }
  return budget

  async function check(maxMs: number, operations: number): Promise<void> {
    if (budget.elapsedMs() >= maxMs + extraMs) throw new Stop('time')
    if (budget.operationsLeft() < operations) throw new Stop('operations')
    if (tickMs() - leasedAtMs > leaseMs / 3) await lease()
  }

  async function lease(): Promise<void> {
    const askedAtMs = tickMs()
    if (!(await budget.ask('ledger_unavailable', () => ledger.lease('flush', holder, leaseMs))))
      throw new Stop('leased')
    leasedAtMs = askedAtMs
  }
}

/** The `Stop` that ended `work`; undefined where it came to its end. Any other error is thrown. */
export async function stopOf(work: () => Promise<void>): Promise<Stop | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (error instanceof Stop) return error
    throw error
  }
}
