/** Counters that no admission carries: given to the ledger behind the answer. */
import { errorName } from '../core/errors.ts'
import type { Counters, Ledger } from '../core/ledger/port.ts'

export interface CountParts {
  readonly ledger: Pick<Ledger, 'settle'>
  readonly background: (work: Promise<unknown>) => void
  readonly log: (event: string, details: Readonly<Record<string, string | number>>) => void
}

/** Nobody waits for the result: a ledger that does not take them is logged, and the counts are lost. */
export function createCount({ ledger, background, log }: CountParts): (counters: Counters) => void {
  return (counters) =>
    background(
      ledger.settle([], counters).catch((error) => log('settle_failed', { tries: 1, error: errorName(error) })),
    )
}
