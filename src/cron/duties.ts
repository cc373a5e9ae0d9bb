/**
 * What is done once a minute beside the flush, in the same run and after it. A duty is short, or keeps its place and
 * goes on in the next run.
 *
 * Guarantee: no duty takes anything from the flush, which has ended; and a duty that fails costs the others nothing.
 * They have together what the flush left of its operations and its time, and never less than `dutyOperations` and
 * `dutyMs`, so that a full backlog does not keep an operator waiting for ever.
 * Known hole: a duty under way is waited for; it must ask its share before each step.
 */
import type { Clock } from '../core/clock.ts'
import { errorName } from '../core/errors.ts'
import { defaultLimits } from '../core/limits.ts'
import { type FlushParts, flush } from './flush.ts'
import type { FlushReport, StopReason } from './report.ts'

export interface Duty {
  /** For the log. */
  readonly name: string
  /** @param report of the flush that has just ended; it may have been stopped by a ledger that is silent */
  work(share: Share, report: FlushReport): Promise<void>
}

/** What is left to spend for all duties of one run. */
export interface Share {
  /**
   * To be asked before each step.
   *
   * @param operations on the backlog's store that the step takes
   */
  has(operations?: number): boolean
}

/** Another run is at work, this store is another account's, or the process ends. */
const withoutDuties: ReadonlySet<StopReason> = new Set(['leased', 'foreign_store', 'stopping'])

/** One run of the flush, and then the duties in their order. Never rejects. */
export async function flushWithDuties(parts: FlushParts, duties: readonly Duty[]): Promise<FlushReport> {
  const { backlog, clock, log } = parts
  const startedMs = tickMs(clock)
  const operationsBefore = backlog.operations
  const report = await flush(parts)
  if (withoutDuties.has(report.stopped)) return report
  const { dutyOperations, dutyMs } = parts.limits ?? defaultLimits
  const endMs = Math.max(startedMs + parts.maxMs, tickMs(clock) + dutyMs)
  const lastOperation = Math.max(operationsBefore + parts.maxOperations, backlog.operations + dutyOperations)
  const share: Share = {
    has: (operations = 0) =>
      parts.stopping?.() !== true && tickMs(clock) < endMs && backlog.operations + operations <= lastOperation,
  }
  for (const duty of duties)
    try {
      await duty.work(share, report)
    } catch (error) {
      log('duty_failed', { duty: duty.name, error: errorName(error) })
    }
  return report
}

/** Setting the clock makes a run neither longer nor shorter. */
function tickMs(clock: Clock): number {
  return clock.elapsed?.() ?? clock.now()
}
