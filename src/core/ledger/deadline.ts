/**
 * A ledger that answers in time or is given up: the caller then defers (G1), it never waits for a yes.
 *
 * Guarantee: an admission without an answer (too late, lost, cut, half of it failed) is cancelled: units and registers
 * are as if it had never been, and where it only comes later it is void. Nothing was sent on it, and nothing will be.
 * Known hole: where the ledger stays silent beyond the tries to cancel, or the process ends before, an admission that
 * has taken effect keeps its units, and its attributes are contended until the attempt is old. At most those in flight
 * when the ledger fell silent: kept with each deferral and asked about by the flush, they would cost each of its runs
 * another step.
 */

import type { Clock } from '../clock.ts'
import { errorName } from '../errors.ts'
import type { Log } from '../log.ts'
import { ClockJumped, LedgerLost, LedgerSilent } from './errors.ts'
import { delegated } from './methods.ts'
import type { AdmitRequest, Ledger } from './port.ts'

/** How long after the deadline a late answer is still waited for, in the background. */
export const lateAnswerMs = 10_000
/** The waits between the tries to cancel. Together they end before a Worker's work behind an answer does (30 s). */
const cancelAgainMs: readonly number[] = [1_000, 5_000]

export interface LateParts {
  readonly background: (work: Promise<unknown>) => void
  readonly log: Log
}

/** Wraps each method with a deadline. What was asked, other than an admission, may take effect all the same. */
export function withDeadline(ledger: Ledger, timeoutMs: number, clock: Clock, { background, log }: LateParts): Ledger {
  const inTime = async <T>(answer: Promise<T>): Promise<T> => {
    const timer = clock.after(timeoutMs)
    try {
      return await Promise.race([
        answer,
        timer.elapsed.then((): never => {
          throw new LedgerSilent(timeoutMs)
        }),
      ])
    } finally {
      timer.cancel()
    }
  }
  return {
    kind: ledger.kind,
    ...delegated(() => ledger, inTime),
    async admit(requests, lane) {
      const answer = ledger.admit(requests, lane)
      try {
        return await inTime(answer)
      } catch (error) {
        if (!(error instanceof ClockJumped || error instanceof LedgerLost))
          background(takeBack(requests, error instanceof LedgerSilent ? answer : undefined))
        throw error
      }
    },
    check: () => inTime(ledger.check()),
  }

  /** @param late an answer that was given up and may still come */
  async function takeBack(
    requests: readonly AdmitRequest[],
    late: Promise<unknown> = Promise.resolve(),
  ): Promise<void> {
    // A ledger that is only slow has done it by then, and is asked once.
    const timer = clock.after(lateAnswerMs)
    const failed = (error: unknown) => log('late_admission_failed', { error: errorName(error) })
    await Promise.race([late.then(() => {}, failed), timer.elapsed])
    timer.cancel()
    for (const [tries, waitMs] of [...cancelAgainMs, undefined].entries()) {
      try {
        const units = await inTime(ledger.cancel(requests))
        if (units > 0) log('admission_cancelled', { units })
        return
      } catch (error) {
        if (waitMs === undefined) log('admission_not_cancelled', { tries: tries + 1, error: errorName(error) })
        else await clock.after(waitMs).elapsed
      }
    }
  }
}
