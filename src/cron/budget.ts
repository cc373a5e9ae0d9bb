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
  readonly ledger: Pick<Ledger, 'lease' | 'leaseAndRecall'>
  /** Default: that of the run of the whole ring. */
  readonly leaseName?: string
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
  /** Takes the lease, and recalls these memos in the same step. */
  begin(memos: readonly string[]): Promise<readonly (string | undefined)[]>
  /** Renews it where that is due. */
  renew(): Promise<void>
  /** To be asked before new work that takes this many operations. */
  next(operations?: number): Promise<void>
  /** Reserves calls and operations for one of several works that run concurrently: fewer where fewer are left. */
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
  /**
   * Lets one entry leave the backlog; false where the store refuses this one. It stays, and holds up nobody. Where
   * several in a row are refused the run ends.
   */
  leave(work: () => Promise<void>): Promise<boolean>
  /** Whether the last entry that should leave did. */
  lastLeft(): boolean
  /** Reads the backlog: where that fails, what was read before can still be worked on. */
  read<T>(work: () => Promise<T>): Promise<T>
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

/** Longer than any step of a run: it is renewed between two of them. */
export const leaseMs = 90_000
export const flushLease = 'flush'
const cleanUpShare = 1.5
const refusalsThatStop = 3

/** Every method that waits throws a `Stop` where the run must end. */
export function createBudget(parts: BudgetParts, holder: string, learnt: Readonly<Learnt> = { atMs: 0 }): Budget {
  const { ledger, backlog, clock, log, leaseName = flushLease } = parts
  // Setting the clock during a run makes it neither longer nor shorter.
  const tickMs = () => clock.elapsed?.() ?? clock.now()
  const startedMs = tickMs()
  const operationsBefore = backlog.operations
  const operations = () => backlog.operations - operationsBefore
  const spent: Spent = { calls: 0, made: 0, held: 0 }
  let leasedAtMs = startedMs
  let renewing: Promise<unknown> | undefined
  let extraMs = 0
  const found: Partial<Learnt> = {}
  let refusedInARow = 0
  /** What ended the run in one of several works that go on beside each other; and what the backlog's store said. */
  let ended: Stop | undefined
  let backlogEnded: Stop | undefined
  const budget: Budget = {
    begin: (memos) => taken(() => ledger.leaseAndRecall(leaseName, holder, leaseMs, memos)),
    renew,
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
    ask: (reason, work) =>
      ask(reason, work, (stop) => {
        ended ??= stop
      }),
    leave: async (work) => {
      try {
        await work()
        refusedInARow = 0
        return true
      } catch (error) {
        log('entry_kept', { error: errorName(error) })
        if (!isPlatformLimit(error) && ++refusedInARow < refusalsThatStop) return false
        backlogEnded ??= stopOn(error, 'backlog_unavailable')
        ended ??= backlogEnded
        throw backlogEnded
      }
    },
    lastLeft: () => refusedInARow === 0,
    read: (work) => ask('backlog_unavailable', work, () => {}),
    elapsedMs: () => tickMs() - startedMs,
  }
  return budget

  async function ask<T>(reason: StoreReason, work: () => Promise<T>, tell: (stop: Stop) => void): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof Stop) throw error
      log('flush_stopped', { reason, error: errorName(error) })
      const stop = stopOn(error, reason)
      tell(stop)
      throw stop
    }
  }

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
    return heldOf(own, spent, {
      callsLeft: budget.callsLeft,
      next: (callsLeft) => next(0, callsLeft),
      cleanUp: (operations) => {
        if (backlogEnded !== undefined) throw backlogEnded
        check(parts.maxMs * cleanUpShare, operations)
      },
      renew,
    })
  }

  function check(maxMs: number, operations: number): void {
    if (budget.elapsedMs() >= maxMs + extraMs) throw new Stop('time')
    if (operations > 0 && budget.operationsLeft() < operations) throw new Stop('operations')
  }

  /** Where it is due, once for all that ask beside each other. */
  async function renew(): Promise<void> {
    if (tickMs() - leasedAtMs <= leaseMs / 3) return
    renewing ??= taken(() => ledger.lease(leaseName, holder, leaseMs)).finally(() => {
      renewing = undefined
    })
    await renewing
  }

  /** @throws Stop where another run has the lease */
  async function taken<T>(take: () => Promise<T | false | undefined>): Promise<T> {
    const askedAtMs = tickMs()
    const answer = await budget.ask('ledger_unavailable', take)
    if (answer === false || answer === undefined) throw new Stop('leased')
    leasedAtMs = askedAtMs
    return answer
  }
}

/** Calls with those that are held; calls that were made; operations that are held. */
interface Spent {
  calls: number
  made: number
  held: number
}

interface HeldParts {
  callsLeft(): number
  next(callsLeft: number): Promise<void>
  /** Throws where this many operations more may not be spent on cleaning up. */
  cleanUp(operations: number): void
  renew(): Promise<void>
}

function heldOf(own: { calls: number; operations: number }, spent: Spent, budget: HeldParts): Held {
  const callsLeft = () => own.calls + budget.callsLeft()
  return {
    next: () => budget.next(callsLeft()),
    callsLeft,
    takeCall: () => {
      if (callsLeft() <= 0) return false
      if (own.calls > 0) own.calls--
      else spent.calls++
      spent.made++
      return true
    },
    mayCleanUp: async () => {
      budget.cleanUp(0)
      await budget.renew()
    },
    cleanUp: async (operations, work) => {
      const more = Math.max(0, operations - own.operations)
      budget.cleanUp(more)
      own.operations -= operations - more
      spent.held += more
      try {
        await budget.renew()
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
