/**
 * The runs that one starts beside itself, each in a segment of its own, and one report of all.
 *
 * Guarantee (G7): what comes of one of them stops neither the one that started it nor the others. All are waited for,
 * under the lease of the one that started them, for as long as a run can take and no longer. Where one died, the report
 * says `part_left`, and the next run reads the whole ring by itself.
 * Known hole: where the one that started them dies, the others come to their end, and their report is lost.
 */
import type { Clock } from '../core/clock.ts'
import { errorName } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { type Budget, leaseMs, stopOf } from './budget.ts'
import type { FlushReport, StopReason } from './report.ts'
import type { Segment } from './segments.ts'

/** Starts a run elsewhere; resolves to its report, and rejects where it died. */
export type StartRun = (segment: Segment) => Promise<FlushReport>

export interface Beside {
  /** Their reports; undefined for each that died. Never rejects. */
  end(): Promise<readonly (FlushReport | undefined)[]>
}

export interface BesideParts {
  readonly startRun: StartRun
  readonly budget: Pick<Budget, 'renew'>
  readonly clock: Pick<Clock, 'after'>
  readonly maxMs: number
  readonly log: Log
}

class RunTimeout extends Error {
  override readonly name = 'RunTimeout'
}

/** A run takes twice `maxMs` at most, and a step. */
const longestRuns = 2

export function startBeside(segments: readonly Segment[], parts: BesideParts): Beside {
  const { startRun, budget, clock, maxMs, log } = parts
  const all = Promise.all(segments.map(begin))
  return {
    async end() {
      for (;;) {
        const due = clock.after(leaseMs / 3 + 1)
        const reports = await Promise.race([all, due.elapsed])
        due.cancel()
        if (reports !== undefined) return reports
        // Lost or not: the others are waited for.
        await stopOf(() => budget.renew())
      }
    },
  }

  async function begin(segment: Segment): Promise<FlushReport | undefined> {
    const late = clock.after(longestRuns * maxMs + leaseMs)
    try {
      const tooLate = late.elapsed.then(() => Promise.reject(new RunTimeout()))
      return await Promise.race([startRun(segment), tooLate])
    } catch (error) {
      log('flush_run_failed', { segment: segment.index, error: errorName(error) })
      return undefined
    } finally {
      late.cancel()
    }
  }
}

const counts = [
  'read',
  'merged',
  'superseded',
  'replayed',
  'calls',
  'callsSaved',
  'deferredAgain',
  'dead',
  'unreadable',
  'skipped',
] as const satisfies readonly (keyof FlushReport)[]

/** The gravest first. Behind `part_left` the next run is one alone, whatever the others ended by. */
const gravest: readonly StopReason[] = [
  'leased',
  'foreign_store',
  'ledger_unavailable',
  'backlog_unavailable',
  'target_unavailable',
  'paused',
  'part_left',
  'quota',
  'stopping',
  'time',
  'operations',
  'subrequests',
  'calls',
  'drained',
]

/** Adds what the others did to the report of the one that started them. */
export function addTo(report: FlushReport, others: readonly (FlushReport | undefined)[]): void {
  const ended = others.filter((other) => other !== undefined)
  for (const other of ended) {
    for (const count of counts) report[count] += other[count]
    const retryAtMs = Math.min(
      report.retryAtMs ?? Number.POSITIVE_INFINITY,
      other.retryAtMs ?? Number.POSITIVE_INFINITY,
    )
    if (retryAtMs !== Number.POSITIVE_INFINITY) report.retryAtMs = retryAtMs
  }
  report.runsTogether = 1 + ended.filter(({ stopped, read }) => stopped !== 'leased' || read > 0).length
  // The process of this one ends, whatever else came of it.
  if (report.stopped === 'stopping') return
  const reasons = [report.stopped, ...others.map(reasonOf)]
  report.stopped = gravest.find((reason) => reasons.includes(reason)) ?? report.stopped
}

/** Of one that died, or whose segment another run works on. */
function reasonOf(other: FlushReport | undefined): StopReason {
  return other === undefined || other.stopped === 'leased' ? 'part_left' : other.stopped
}
