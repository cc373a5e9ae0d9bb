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
import { callsAllowed, type Learnt, operationsAllowed } from './learnt.ts'
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
  /** More of them, until the platform refuses. */
  readonly beyondOperations?: boolean
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
  /** Keeps calls and operations for one of several that go on beside each other, as far as there are any. */
  hold(calls: number, operations: number): Held
  /** Told how long a page took to read: where that is most of a run, half a run is left to work on it all the same. */
  pageRead(tookMs: number): void
  /** Those that nobody holds. */
  operationsLeft(): number
  callsLeft(): number
  /** Remembers after how much the platform refused; gives what ends the run. */
  refused(what: 'operations' | 'calls'): Stop
  /** After how much it did in this run. */
  readonly found: Partial<Learnt>
  /** Asks a store; a rejection stops the run for `reason`, or for the platform's bound. */
  ask<T>(reason: StoreReason, work: () => Promise<T>): Promise<T>
  elapsedMs(): number
}

/** What is held is spent first, then what nobody holds. */
export interface Held {
  /** To be asked before more calls. */
  next(): Promise<void>
  /** To be asked before cleaning up that takes no operations. */
  mayCleanUp(): Promise<void>
  /** Cleans up, with this many operations. */
  cleanUp<T>(operations: number, work: () => Promise<T>): Promise<T>
  callsLeft(): number
  /** Takes one call; false where none is left. */
  takeCall(): boolean
  /** Gives back what was not spent. */
  free(): void
}

export type StoreReason = 'ledger_unavailable' | 'backlog_unavailable'

/** Longer than a run and the calls it leaves behind. */
const leaseMs = 90_000
const cleanUpShare = 1.5

/** Every method that waits throws a `Stop` where the run must end. */
export function createBudget(parts: BudgetParts, holder: string, learnt: Readonly<Learnt> = { atMs: 0 }): Budget {
  const { ledger, backlog, clock, log } = parts
  // Setting the clock during a run makes it neither longer nor shorter.
  const tickMs = () => clock.elapsed?.() ?? clock.now()
  const startedMs = tickMs()
  const operationsBefore = backlog.operations
  const operations = () => backlog.operations - operationsBefore
  /** Calls with those that are held; calls that were made; operations that are held. */
  const spent = { calls: 0, made: 0, held: 0 }
  let leasedAtMs = startedMs
  let renewing: Promise<void> | undefined
  let extraMs = 0
  const found: Partial<Learnt> = {}
  /** What ended the run in one of several works that go on beside each other; and what the backlog's store said. */
  let ended: Stop | undefined
  let backlogEnded: Stop | undefined
  const budget: Budget = {
    begin: lease,
    next: (operations = 0) => next(operations),
    hold,
    pageRead: (tookMs) => {
      extraMs = Math.max(extraMs, tookMs - parts.maxMs / 2)
    },
    operationsLeft: () =>
      Math.min(
        parts.beyondOperations === true ? Number.POSITIVE_INFINITY : parts.maxOperations,
        operationsAllowed(learnt),
      ) -
      operations() -
      spent.held,
    callsLeft: () => Math.min(parts.maxCalls, callsAllowed(learnt)) - spent.calls,
    refused: (what) => {
      // Of several that are refused beside each other the first counts.
      found[what] ??= what === 'operations' ? operations() : spent.made
      found.atMs = clock.now()
      return new Stop(what === 'operations' ? 'operations' : 'subrequests')
    },
    found,
    ask: async (reason, work) => {
      try {
        return await work()
      } catch (error) {
        if (error instanceof Stop) throw error
        log('flush_stopped', { reason, error: errorName(error) })
        const stop = stopOn(error, reason)
        ended ??= stop
        if (reason === 'backlog_unavailable') backlogEnded ??= stop
        throw stop
      }
    },
    elapsedMs: () => tickMs() - startedMs,
  }
  return budget

  function stopOn(error: unknown, reason: StoreReason): Stop {
    if (error instanceof ForeignStore) return new Stop('foreign_store')
    if (!isPlatformLimit(error)) return new Stop(reason)
    return budget.refused(reason === 'backlog_unavailable' ? 'operations' : 'calls')
  }

  async function next(operations: number, callsLeft = budget.callsLeft()): Promise<void> {
    if (parts.stopping?.() === true) throw new Stop('stopping')
    if (ended !== undefined) throw ended
    check(parts.maxMs, operations)
    await renew()
    if (callsLeft <= 0) throw new Stop('calls')
  }

  function hold(calls: number, operations: number): Held {
    const own = {
      calls: Math.max(0, Math.min(calls, budget.callsLeft())),
      operations: Math.max(0, Math.min(operations, budget.operationsLeft())),
    }
    spent.calls += own.calls
    spent.held += own.operations
    const callsLeft = () => own.calls + budget.callsLeft()
    return {
      next: () => next(0, callsLeft()),
      callsLeft,
      takeCall: () => {
        if (callsLeft() <= 0) return false
        if (own.calls > 0) own.calls--
        else spent.calls++
        spent.made++
        return true
      },
      mayCleanUp: () => {
        check(parts.maxMs * cleanUpShare, 0)
        return renew()
      },
      cleanUp: async (operations, work) => {
        if (backlogEnded !== undefined) throw backlogEnded
        const more = Math.max(0, operations - own.operations)
        check(parts.maxMs * cleanUpShare, more)
        own.operations -= operations - more
        spent.held += more
        try {
          await renew()
          return await work()
        } finally {
          // They are counted by now: until then nobody else had them.
          spent.held -= operations
        }
      },
      free: () => {
        spent.calls -= own.calls
        spent.held -= own.operations
        own.calls = 0
        own.operations = 0
      },
    }
  }

  function check(maxMs: number, operations: number): void {
    if (budget.elapsedMs() >= maxMs + extraMs) throw new Stop('time')
    if (operations > 0 && budget.operationsLeft() < operations) throw new Stop('operations')
  }

  /** Where it is due, once for all that ask beside each other. */
  async function renew(): Promise<void> {
    if (tickMs() - leasedAtMs <= leaseMs / 3) return
    renewing ??= lease().finally(() => {
      renewing = undefined
    })
    await renewing
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
