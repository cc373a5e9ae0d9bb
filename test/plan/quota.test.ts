/** Units taken together in a step are the units that the ledger grants one by one. */
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { laneCeiling, wholeAccount } from '../../src/core/ledger/rules/settings.ts'
import { openWindow, windowSchema } from '../../src/core/ledger/sql/window.ts'
import { nodeSqlite } from '../../src/core/store/sqlite-node.ts'
import { openQuota, stepEnd } from '../../src/plan/quota.ts'

const startMs = Date.UTC(2026, 0, 1)
const newSql = () => nodeSqlite(new DatabaseSync(':memory:'))

it('a plan grants as many units as the window does one by one, at any times and of both lanes', () => {
  fc.assert(
    fc.property(
      fc.record({
        quotaLimit: fc.integer({ min: 1, max: 30 }),
        quotaWindowMs: fc.constantFrom(300_000, 600_000),
        quotaBucketMs: fc.constantFrom(10_000, 60_000, 90_000),
        quotaSlackMs: fc.constantFrom(0, 15_000, 61_000),
        replayReserve: fc.constantFrom(0, 0.05, 0.5),
        pace: fc.constantFrom('none' as const, 'even' as const),
      }),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 3_600_000 }), fc.boolean()), { minLength: 200, maxLength: 600 }),
      (settings, drawn) => {
        const asked = drawn.map(([afterMs, live]) => [startMs + afterMs, live] as const).sort((a, b) => a[0] - b[0])
        const one = newSql()
        for (const statement of windowSchema) one.exec(statement)
        const oneByOne = asked.map(([atMs, live]) => {
          const window = openWindow(one, settings, wholeAccount, atMs)
          const { ok } = window.take(1, laneCeiling(settings, live ? 'live' : 'replay'))
          window.forget()
          window.save()
          return ok
        })
        const quota = openQuota(newSql(), settings)
        const inSteps: boolean[] = []
        let endsMs = 0
        let open = false
        for (const [atMs, live] of asked) {
          if (atMs >= endsMs) {
            if (open) quota.end()
            while (atMs >= endsMs) endsMs = stepEnd(Math.max(endsMs, startMs), settings, 60_000)
            quota.begin(atMs)
            open = true
          }
          const lane = live ? 'live' : 'replay'
          const granted = quota.room(lane) > 0
          if (granted) quota.spend(lane, 1)
          inSteps.push(granted)
        }
        expect(inSteps).toEqual(oneByOne)
      },
    ),
    { numRuns: 60 },
  )
})
