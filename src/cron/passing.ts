/**
 * Attempts through the door, and settled.
 *
 * Guarantee: one attempt that the ledger can't admit or settle stops none of its neighbours. What several ask together
 * and the ledger rejects is asked again by halves; what it rejects alone is skipped, and counted. Only an attempt whose
 * settle was confirmed is handed on.
 * Known hole: an admission that was given up is cancelled behind the run; what is asked again before is contended until
 * the next one.
 */

import type { Attempt } from '../core/delivery/attempt.ts'
import type { Door } from '../core/delivery/door.ts'
import { replayNote } from '../core/delivery/notes.ts'
import { inAdmissions } from '../core/delivery/parts.ts'
import type { Passage } from '../core/delivery/passage.ts'
import { errorName, isPlatformLimit } from '../core/errors.ts'
import { given } from '../core/given.ts'
import type { Ledger, Settlement } from '../core/ledger/port.ts'
import { added, type Counters } from '../core/ledger/rules/figures.ts'
import type { Limits } from '../core/limits.ts'
import type { Log } from '../core/log.ts'
import { type Budget, type Held, Stop, stopOf } from './budget.ts'
import type { RunConnections } from './connections.ts'
import { replayed, sourceOf } from './figures.ts'
import type { FlushReport } from './report.ts'
import { placeMemo } from './ring.ts'

export interface PassingParts {
  readonly door: Door
  readonly ledger: Pick<Ledger, 'settle' | 'recall'>
  readonly budget: Pick<Budget, 'ask' | 'refused'>
  readonly connections: RunConnections
  readonly limits: Limits
  readonly report: FlushReport
  /** Visitors in an admission or a settle that was rejected, and not in one that was taken since. */
  readonly suspects: Set<string>
  readonly log: Log
}

/** This many rejected alone, with none accepted in between, mean that the ledger is not healthy although it answers. */
const rejectionsThatStop = 3

/**
 * Adds what passed, and was settled, to `passed`. Throws a `Stop` where the run must end; what passed by then is there.
 */
export type Pass = (attempts: readonly Attempt[], passed: Passage[], how: PassOptions) => Promise<void>

export interface PassOptions {
  readonly held: Pick<Held, 'next' | 'mayCleanUp' | 'callsLeft' | 'takeCall'>
  /** Told once no call waits for a connection. */
  readonly allStarted?: () => void
}

export function createPass({ door, ledger, budget, connections, limits, report, suspects, log }: PassingParts): Pass {
  let rejectedInARow = 0
  const rejectedAlone = new Set<string>()

  return async (attempts, passed, { held, allStarted }) => {
    const attemptsTogether = Math.max(1, Math.min(limits.attemptsTogether, connections.callsInTime(), held.callsLeft()))
    const admissions = inAdmissions(attempts, { ...limits, attemptsTogether })
    for (const together of admissions)
      await admit(together, passed, {
        held,
        ...given({ allStarted: together === admissions.at(-1) ? allStarted : undefined }),
      })
  }

  async function admit(attempts: readonly Attempt[], passed: Passage[], how: PassOptions): Promise<void> {
    const { held, allStarted } = how
    await held.next()
    const admitted = await orByHalves(
      'admit',
      attempts,
      attempts,
      () => connections.use('ledger', () => door.admit(attempts, 'replay')),
      (half) => admit(half, passed, { held }),
    )
    if (admitted === undefined) return
    const passages = await door.send(admitted, {
      connect: connections.call,
      mayStart: held.takeCall,
      ...given({ allStarted }),
    })
    report.calls += callsOf(passages)
    // Of one visitor's attempts, a failure is reported last: a delivery clears its backoff.
    await settle(
      [...passages].sort((a, b) => Number(a.failure !== undefined) - Number(b.failure !== undefined)),
      passed,
      held,
    )
    if (passages.some(({ limited }) => limited === true)) throw budget.refused('calls')
  }

  /** The settle confirmed: only behind it may anything leave the backlog. */
  async function settle(
    passages: readonly Passage[],
    passed: Passage[],
    held: Pick<Held, 'mayCleanUp' | 'next'>,
  ): Promise<void> {
    const endsHere = passages.some(isRefusedMerge) && (await stopOf(() => held.next())) !== undefined
    const settlements = passages.flatMap((passage): Settlement[] =>
      passage.settlement === undefined
        ? []
        : [
            {
              ...passage.settlement,
              ...given({ note: replayNote(passage) }),
              ...(endsHere && isRefusedMerge(passage) ? failedTry(passage) : {}),
            },
          ],
    )
    const done =
      settlements.length === 0 ||
      (await orByHalves(
        'settle',
        passages,
        passages.map(({ attempt }) => attempt),
        async () => {
          await connections.use('ledger', () => ledger.settle(settlements, callCounts(passages)))
          return true
        },
        async (half) => {
          await held.mayCleanUp()
          await settle(half, passed, held)
        },
      ))
    if (done === true) passed.push(...passages)
  }

  /** The answer for all of them; undefined where it was rejected, and they were then asked by halves or skipped. */
  async function orByHalves<T, R>(
    step: 'admit' | 'settle',
    items: readonly T[],
    attempts: readonly Attempt[],
    all: () => Promise<R>,
    half: (some: readonly T[]) => Promise<void>,
  ): Promise<R | undefined> {
    const visitors = new Set(attempts.map(({ visitorHash }) => visitorHash))
    let error: unknown
    try {
      const answer = await all()
      rejectedInARow = 0
      for (const visitor of visitors) if (!rejectedAlone.has(visitor)) suspects.delete(visitor)
      return answer
    } catch (thrown) {
      error = thrown
    }
    if (isPlatformLimit(error)) throw budget.refused('calls')
    // Behind those that were rejected before: with little time, each run begins with another one.
    for (const visitor of visitors) {
      suspects.delete(visitor)
      suspects.add(visitor)
    }
    // One question finds out whether the ledger is silent, instead of one for each attempt.
    await budget.ask('ledger_unavailable', () => connections.use('ledger', () => ledger.recall(placeMemo)))
    if (items.length > 1) {
      const middle = items.length >> 1
      await half(items.slice(0, middle))
      await half(items.slice(middle))
      return undefined
    }
    for (const visitor of visitors) rejectedAlone.add(visitor)
    report.skipped++
    log('replay_skipped', { step, error: errorName(error) })
    if (++rejectedInARow >= rejectionsThatStop) throw new Stop('ledger_unavailable')
    return undefined
  }
}

function isRefusedMerge({ attributes }: Passage): boolean {
  return attributes.some(({ fate }) => fate === 'refused_together')
}

/**
 * Of a refused merge that this run has no call or time left to take apart: after some failed tries its events travel
 * alone. Otherwise each run would ask the same in vain.
 */
function failedTry({ attempts }: Passage): Pick<Settlement, 'backoff'> {
  return { backoff: { attempts: attempts + 1, waitMs: 0 } }
}

/** By the source on whose account each call is. */
function callCounts(passages: readonly Passage[]): Counters {
  const made = passages.filter(({ calls }) => calls > 0)
  return added(...made.map(({ attempt, calls }) => replayed(sourceOf(attempt.sources), 'calls', calls)))
}

function callsOf(passages: readonly Passage[]): number {
  return passages.reduce((sum, passage) => sum + passage.calls, 0)
}
