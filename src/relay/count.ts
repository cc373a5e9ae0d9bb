/** Counters that no admission carries: given to the ledger behind the answer. */

import { errorName } from '../core/errors.ts'
import type { Counters, Ledger } from '../core/ledger/port.ts'
import type { Log } from '../core/log.ts'

export interface CountParts {
  readonly ledger: Pick<Ledger, 'settle'>
  readonly background: (work: Promise<unknown>) => void
  readonly log: Log
}

/** Nobody waits for the result: a ledger that does not take them is logged, and the counts are lost. */
export function createCount({ ledger, background, log }: CountParts): (counters: Counters) => void {
  return (counters) =>
    background(
      ledger.settle([], counters).catch((error) => log('settle_failed', { tries: 1, error: errorName(error) })),
    )
}
