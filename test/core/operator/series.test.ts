/** Figures by time, source and lane. */
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { slotMs } from '../../../src/core/ledger/rules/figures.ts'
import { createSeries, sourceOf, summedBy } from '../../../src/core/operator/series.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { contractSettings } from '../../contract/ledger.ts'
import { sqlWatched } from '../../support/ledger.ts'

const hourMs = 3_600_000
const startMs = Date.UTC(2026, 10, 27, 12, 5)

function setUp() {
  const clock = { nowMs: startMs, now: () => clock.nowMs }
  const ledger = sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), contractSettings, clock)
  return { clock, ledger, series: createSeries({ ledger, clock }) }
}

it('joins slots to steps, by source and by lane', async () => {
  const { clock, ledger, series } = setUp()
  await ledger.settle([], { 'crm/live/received': 1, 'crm/bulk/received': 2, 'api/live/received': 4 })
  clock.nowMs += 40 * 60_000
  await ledger.settle([], { 'crm/live/received': 8, 'crm/replay/replayed': 1 })
  clock.nowMs += 20 * 60_000
  await ledger.settle([], { 'crm/live/received': 16 })
  expect(await series()).toMatchObject({
    step: 600,
    slots: [{ at: '2026-11-27T12:00:00.000Z' }, { at: '2026-11-27T12:40:00.000Z' }, { at: '2026-11-27T13:00:00.000Z' }],
  })
  expect(await series({ stepMs: hourMs })).toEqual({
    step: 3_600,
    slots: [
      {
        at: '2026-11-27T12:00:00.000Z',
        counts: { crm: { received: 11, replayed: 1 }, api: { received: 4 } },
        byLane: { live: { received: 13 }, bulk: { received: 2 }, replay: { replayed: 1 } },
      },
      { at: '2026-11-27T13:00:00.000Z', counts: { crm: { received: 16 } }, byLane: { live: { received: 16 } } },
    ],
  })
  expect((await series({ fromMs: startMs + hourMs })).slots).toHaveLength(1)
})

it('reaches back 72 h, a day if it is not asked for more, and today is the last day', async () => {
  const { clock, ledger, series } = setUp()
  for (let hour = 0; hour < 100; hour++) {
    await ledger.settle([], { 'crm/live/received': 1, received: 1 })
    clock.nowMs += hourMs
  }
  clock.nowMs -= hourMs
  expect((await series()).slots).toHaveLength(25)
  expect((await series({ fromMs: 0 })).slots).toHaveLength(73)
  const days = (await series({ fromMs: 0, stepMs: 24 * hourMs })).slots.map(({ counts }) => counts['crm']?.['received'])
  expect(days.reduce((sum: number, count = 0) => sum + count, 0)).toBe(73)
  const today = await ledger.series(clock.nowMs - 24 * hourMs + slotMs)
  expect(summedBy(today, sourceOf)).toEqual({ crm: { received: 24 }, '': { received: 24 } })
})

it('asks a ledger that is empty once for each day', async () => {
  const { ledger, clock } = setUp()
  let asked = 0
  const counting = {
    recall: async () => undefined,
    series: (fromMs: number) => {
      asked++
      return ledger.series(fromMs)
    },
  }
  expect(await createSeries({ ledger: counting, clock })({ fromMs: 0 })).toEqual({ step: 600, slots: [] })
  expect(asked).toBeLessThanOrEqual(4)
})
