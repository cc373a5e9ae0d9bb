/** Noticing losses with concurrent answers and writers (`core/ledger/loss/epoch.ts`, `core/ledger/loss/witness.ts`). */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { newEpochMemory, type Testimony, watchedLedger } from '../../../../src/core/ledger/loss/epoch.ts'
import { sqlWitness } from '../../../../src/core/ledger/loss/witness.ts'
import type { AdmitRequest, Ledger, LedgerStore } from '../../../../src/core/ledger/port.ts'
import { sqlLedger } from '../../../../src/core/ledger/sql/ledger.ts'
import { nodeSqlite } from '../../../../src/core/store/sqlite-node.ts'
import { at, contractSettings } from '../../../contract/ledger.ts'
import { seededRandom, settleMicrotasks } from '../../../support/clock.ts'
import { memoryWitness, watched } from '../../../support/ledger.ts'

const startMs = 1_790_000_000_000
let serial = 0
const request = (): AdmitRequest => ({
  visitorHash: `v${++serial}`,
  attributes: [{ name: 'tier', stamp: at(0) }],
  units: 1,
  token: `token-${serial}`,
})

it('answers that arrive out of order are not taken for a loss', async () => {
  const store = sqlLedger(nodeSqlite(new DatabaseSync(':memory:')), contractSettings, { now: () => startMs })
  let release = () => {}
  let late: Promise<void> | undefined
  const slow: LedgerStore = {
    ...store,
    admit: async (...asked) => {
      const waits = late
      late = undefined
      const answer = await store.admit(...asked)
      await waits
      return answer
    },
  }
  const lines: string[] = []
  const ledger = watched(slow, {
    witness: memoryWitness(),
    memory: newEpochMemory(),
    log: (event) => lines.push(event),
  })
  await ledger.admit([request()], 'live')
  late = new Promise((resolve) => {
    release = resolve
  })
  const first = ledger.admit([request()], 'live')
  expect(await ledger.admit([request()], 'live')).toMatchObject([{ verdicts: ['send'] }])
  release()
  expect(await first).toMatchObject([{ verdicts: ['send'] }])
  expect(lines).toEqual([])
  expect((await ledger.usage()).used).toBe(3)
})

describe('the witness in SQL', () => {
  const [one, other]: Testimony[] = [
    { epoch: 'one', state: 'first', granted: 0 },
    { epoch: 'other', state: 'first', granted: 0 },
  ] as const

  it('keeps the current testimony and answers it if somebody else wrote meanwhile', async () => {
    const witness = sqlWitness(nodeSqlite(new DatabaseSync(':memory:')))
    expect(await witness.replace(undefined, one)).toEqual(one)
    expect(await witness.replace(undefined, other)).toEqual(one)
    expect(await witness.read()).toEqual(one)
    const steady: Testimony = { ...one, state: 'steady', granted: 7 }
    expect(await witness.replace(one, steady)).toEqual(steady)
    for (const stale of [
      one,
      other,
      { ...steady, granted: 6 },
      { ...steady, epoch: 'other' },
      { ...steady, state: 'lost' } as const,
    ])
      expect(await witness.replace(stale, other)).toEqual(steady)
    expect(await witness.read()).toEqual(steady)
    expect(await witness.replace(steady, other)).toEqual(other)
  })
})

type Answer = Awaited<ReturnType<LedgerStore['admit']>>

/** A store that answers as the test says, with a witness that has seen `granted` units. */
function watchedStore(granted: number) {
  const witness = memoryWitness()
  const seen: Testimony = { epoch: 'e1', state: 'steady', granted }
  witness.row = seen
  const state = {
    granted,
    charged: [] as number[],
    admit: async (): Promise<Answer> => ({ granted: state.granted, admissions: [] }),
  }
  const store: Pick<LedgerStore, 'admit' | 'life' | 'charge'> = {
    admit: () => state.admit(),
    life: async () => ({ epoch: 'e1', granted: state.granted }),
    charge: async (units) => void state.charged.push(units),
  }
  const isolate = (): Ledger =>
    watchedLedger(store as LedgerStore, { witness, memory: newEpochMemory(), random: seededRandom(1), log: () => {} })
  return { witness, state, isolate }
}

describe('a ledger that went back', () => {
  it('is compared with the most grants that an isolate was told of, in whatever order the answers came', async () => {
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

  it('is compared with the witness by an isolate that has just started', async () => {
    const { state, isolate } = watchedStore(50)
    state.granted = 49
    await expect(isolate().admit([], 'live')).rejects.toThrow('its last grants')
    expect(state.charged).toEqual([50])
  })

  it('is compared with what a check told the witness, even if the isolate that asked has ended', async () => {
    const { witness, state, isolate } = watchedStore(50)
    state.granted = 80
    await isolate().check()
    expect(witness.row?.granted).toBe(80)
    state.granted = 70
    await isolate().check()
    expect(state.charged).toEqual([80])
  })

  it('is not noticed if exactly as much was granted', async () => {
    const { state, isolate } = watchedStore(50)
    await isolate().admit([], 'live')
    await isolate().check()
    expect(state.charged).toEqual([])
  })
})
