/** The last runs that did something, kept in the ledger for operators and for the pace of replay. */
import type { Clock } from '../core/clock.ts'
import type { Ledger } from '../core/ledger/port.ts'
import { foundNothing } from './census.ts'
import type { Duty } from './duties.ts'
import type { FlushReport } from './report.ts'

/** A report without what is 0. */
export interface KeptRun extends Partial<FlushReport> {
  readonly atMs: number
  readonly stopped: FlushReport['stopped']
}

export const runsMemo = 'flush-runs'
/** An hour of a cron that fires every minute. */
const runsKept = 60

export function keepRuns({
  ledger,
  clock,
}: {
  readonly ledger: Pick<Ledger, 'recall' | 'remember'>
  readonly clock: Pick<Clock, 'now'>
}): Duty {
  return {
    name: 'runs',
    async work(_, report) {
      if (foundNothing(report)) return
      const some = Object.fromEntries(Object.entries(report).filter(([, value]) => value !== 0))
      const runs = [{ atMs: clock.now(), ...some }, ...readRuns(await ledger.recall(runsMemo))]
      await ledger.remember(runsMemo, JSON.stringify(runs.slice(0, runsKept)))
    },
  }
}

/** Newest first; none where another version wrote them. */
export function readRuns(text: string | undefined): readonly KeptRun[] {
  try {
    const runs: unknown = JSON.parse(text ?? '[]')
    return Array.isArray(runs) ? runs : []
  } catch {
    return []
  }
}
