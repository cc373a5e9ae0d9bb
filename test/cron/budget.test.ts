/** The budget of a run during which the machine's clock is set. */
import { expect, it } from 'vitest'
import { createBudget } from '../../src/cron/budget.ts'

it.each([-86_400_000, 86_400_000])(
  'setting the clock by %d ms makes a run neither longer nor shorter, and its lease is renewed',
  async (byMs) => {
    let [passedMs, setMs, leases] = [0, 0, 0]
    const budget = createBudget(
      {
        ledger: {
          lease: async () => {
            leases++
            return true
          },
          leaseAndRecall: async (_name, _holder, _ttlMs, memos) => {
            leases++
            return memos.map(() => undefined)
          },
        },
        backlog: { operations: 0 },
        clock: {
          now: () => 1_790_000_000_000 + passedMs + setMs,
          elapsed: () => passedMs,
          after: () => ({ elapsed: new Promise(() => {}), cancel: () => {} }),
        },
        maxMs: 45_000,
        maxOperations: 10,
        maxCalls: 10,
        log: () => {},
      },
      'holder',
    )
    await budget.begin([])
    setMs = byMs
    passedMs = 44_999
    await budget.next()
    expect(leases).toBe(2)
    passedMs = 45_000
    await expect(budget.next()).rejects.toMatchObject({ reason: 'time' })
  },
)
