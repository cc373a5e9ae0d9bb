/** Counts of what no update carries: given to the ledger behind the answer. */
import { errorName } from '../core/errors.ts'
import type { Counters, Ledger } from '../core/ledger/port.ts'
import { severalSources } from '../core/ledger/rules/figures.ts'
import type { Untold } from '../core/ledger/untold.ts'
import type { Log } from '../core/log.ts'
import { adminName, apiSource } from '../edge/routes/parts.ts'
import type { Source } from '../edge/source/types.ts'

export interface CountParts {
  readonly ledger: Pick<Ledger, 'settle'>
  readonly untold: Pick<Untold, 'add'>
  readonly background: (work: Promise<unknown>) => void
  readonly log: Log
}

/** Nobody waits for the result: where the ledger does not take them, they wait for the next settle. */
export function createCount({ ledger, untold, background, log }: CountParts): (counters: Counters) => void {
  return (counters) =>
    background(
      ledger.settle([], counters).catch((error) => {
        untold.add(counters)
        log('settle_failed', { tries: 1, error: errorName(error) })
      }),
    )
}

/** The sources with figures of their own. */
export function countedSources(sources: readonly Pick<Source, 'name'>[]): ReadonlySet<string> {
  return new Set([...sources.map(({ name }) => name), apiSource, adminName, severalSources])
}
