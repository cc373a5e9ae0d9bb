/** What operators did: the last ones. */
import { expect, it } from 'vitest'
import { defaultLimits } from '../../../src/core/limits.ts'
import type { Bench } from './bench.ts'

export function actsContract(bench: Bench): void {
  it('acts are kept as they were given, newest first, and the oldest goes', async () => {
    expect(await bench.ledger.acts()).toEqual([])
    for (let count = 0; count < defaultLimits.actsKept + 2; count++) await bench.ledger.recordAct(`"ä" ${count}`)
    const acts = await bench.ledger.acts()
    expect(acts).toHaveLength(defaultLimits.actsKept)
    expect([acts[0], acts.at(-1)]).toEqual([`"ä" ${defaultLimits.actsKept + 1}`, '"ä" 2'])
  })
}
