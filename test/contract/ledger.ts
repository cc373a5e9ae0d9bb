/** What every ledger must answer, rule by rule of docs/rules.md. Run against each implementation. */
import { afterAll, beforeEach, describe } from 'vitest'
import { actsContract } from './ledger/acts.ts'
import { backoffContract } from './ledger/backoff.ts'
import { type LedgerMaker, openBench } from './ledger/bench.ts'
import { cancelContract } from './ledger/cancel.ts'
import { eventsContract } from './ledger/events.ts'
import { figuresContract } from './ledger/figures.ts'
import { healthContract } from './ledger/health.ts'
import { historyContract } from './ledger/history.ts'
import { leasesContract } from './ledger/leases.ts'
import { paceContract } from './ledger/pace.ts'
import { quotaContract } from './ledger/quota.ts'
import { registerContract } from './ledger/register.ts'
import { unchangedContract } from './ledger/unchanged.ts'

export { at, contractSettings, type LedgerMaker } from './ledger/bench.ts'

export function ledgerContract(name: string, maker: LedgerMaker): void {
  describe(`ledger contract: ${name}`, () => {
    const bench = openBench(maker)
    beforeEach(() => bench.fresh())
    afterAll(async () => maker.dispose?.())

    registerContract(bench)
    unchangedContract(bench)
    eventsContract(bench)
    quotaContract(bench)
    paceContract(bench)
    backoffContract(bench)
    healthContract(bench)
    cancelContract(bench)
    leasesContract(bench)
    figuresContract(bench)
    historyContract(bench)
    actsContract(bench)
  })
}
