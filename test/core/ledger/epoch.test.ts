/** The watch over a ledger's losses, where answers and writers meet (`epoch.ts`, `witness.ts`). */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { newEpochMemory, type Testimony } from '../../../src/core/ledger/epoch.ts'
import type { AdmitRequest, LedgerStore } from '../../../src/core/ledger/port.ts'
import { sqlLedger } from '../../../src/core/ledger/sql.ts'
import { nodeSqlite } from '../../../src/core/ledger/sqlite-node.ts'
import { sqlWitness } from '../../../src/core/ledger/witness.ts'
import { at, contractSettings } from '../../contract/ledger.ts'
import { memoryWitness, watched } from '../../support/ledger.ts'

const startMs = 1_790_000_000_000
let serial = 0
const request = (): AdmitRequest => ({
  visitorHash: `v${++serial}`,
  attributes: [{ name: 'tier', stamp: at(0) }],
  units: 1,
  token: `token-${serial}`,
})

it('answers that arrive in another order than they were given are no loss', async () => {
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
  const ledger = watched(slow, { witness: memoryWitness(), memory: newEpochMemory(), log: (event) => lines.push(event) })
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

  it('keeps what stands where somebody wrote meanwhile, and answers it', async () => {
    const witness = sqlWitness(nodeSqlite(new DatabaseSync(':memory:')))
    expect(await witness.replace(undefined, one)).toEqual(one)
    expect(await witness.replace(undefined, other)).toEqual(one)
    expect(await witness.read()).toEqual(one)
    const steady: Testimony = { ...one, state: 'steady', granted: 7 }
    expect(await witness.replace(one, steady)).toEqual(steady)
    for (const stale of [one, other, { ...steady, granted: 6 }, { ...steady, epoch: 'other' }, { ...steady, state: 'lost' } as const])
      expect(await witness.replace(stale, other)).toEqual(steady)
    expect(await witness.read()).toEqual(steady)
    expect(await witness.replace(steady, other)).toEqual(other)
  })
})
