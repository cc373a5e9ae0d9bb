/** What one isolate and the witness know of a ledger, answer by answer (G1). What the stores themselves do: the contracts. */
import { describe, expect, it } from 'vitest'
import { newEpochMemory, type Testimony, watchedLedger } from '../../../src/core/ledger/epoch.ts'
import type { Ledger, LedgerStore } from '../../../src/core/ledger/port.ts'
import { seededRandom, settleMicrotasks } from '../../support/clock.ts'
import { memoryWitness } from '../../support/ledger.ts'

type Answer = Awaited<ReturnType<LedgerStore['admit']>>

/** A store that answers as the test says, beside a witness that has seen `granted` units. */
function watchedStore(granted: number) {
  const witness = memoryWitness()
  const seen: Testimony = { epoch: 'e1', state: 'steady', granted }
  witness.row = seen
  const state = { granted, charged: [] as number[], admit: async (): Promise<Answer> => ({ granted: state.granted, admissions: [] }) }
  const store: Pick<LedgerStore, 'admit' | 'granted' | 'charge'> = {
    admit: () => state.admit(),
    granted: async () => state.granted,
    charge: async (units) => void state.charged.push(units),
  }
  const isolate = (): Ledger =>
    watchedLedger(store as LedgerStore, { witness, memory: newEpochMemory(), random: seededRandom(1), log: () => {} })
  return { witness, state, isolate }
}

describe('a ledger that went back', () => {
  it('is held against the highest that an isolate was told, in whatever order the answers came', async () => {
    const { state, isolate } = watchedStore(0)
    const ledger = isolate()
    const waiting: ((granted: number) => void)[] = []
    state.admit = () => new Promise((resolve) => waiting.push((granted) => resolve({ granted, admissions: [] })))
    const ask = () => ledger.admit([], 'live')
    const [first, second] = [ask(), ask()]
    await settleMicrotasks()
    waiting[1]?.(10)
    await second
    waiting[0]?.(4)
    await first
    const third = ask()
    await settleMicrotasks()
    waiting[2]?.(9)
    await expect(third).rejects.toThrow('its last grants')
    expect(state.charged).toEqual([10])
  })

  it('is held against the witness by an isolate that has just started', async () => {
    const { state, isolate } = watchedStore(50)
    state.granted = 49
    await expect(isolate().admit([], 'live')).rejects.toThrow('its last grants')
    expect(state.charged).toEqual([50])
  })

  it('is held against what a check told the witness, also where no isolate lives that asked', async () => {
    const { witness, state, isolate } = watchedStore(50)
    state.granted = 80
    await isolate().check()
    expect(witness.row?.granted).toBe(80)
    state.granted = 70
    await isolate().check()
    expect(state.charged).toEqual([80])
  })

  it('one that has granted just as much has not', async () => {
    const { state, isolate } = watchedStore(50)
    await isolate().admit([], 'live')
    await isolate().check()
    expect(state.charged).toEqual([])
  })
})
