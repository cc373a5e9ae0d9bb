/** How much waited behind the runs: kept a slot at a time, bounded, and free where nothing waits. */
import { expect, it } from 'vitest'
import { slotMs, slotsShownMs } from '../../src/core/ledger/rules/figures.ts'
import { createSeries } from '../../src/core/operator/series.ts'
import { readTrend, trendMemo, writeTrend } from '../../src/core/operator/trend.ts'
import { emptyReport } from '../../src/cron/report.ts'
import { keepTrend } from '../../src/cron/trend.ts'
import { createWorld } from '../support/world.ts'

const share = { has: () => true }
const found = { ...emptyReport(), read: 1 }
const startMs = 1_790_000_000_000 - (1_790_000_000_000 % slotMs)

function trend() {
  const memos = new Map<string, string>()
  const asked = { ledger: 0, waits: 0 }
  const state = { nowMs: startMs, waiting: 40 }
  const isolate = () =>
    keepTrend({
      ledger: {
        recall: async (name) => {
          asked.ledger++
          return memos.get(name)
        },
        remember: async (name, value) => {
          asked.ledger++
          memos.set(name, value)
        },
      },
      clock: { now: () => state.nowMs },
      memory: {},
      waits: async () => {
        asked.waits++
        return { waiting: state.waiting, oldestMs: startMs - 5_500 }
      },
    })
  return { isolate, asked, state, points: () => readTrend(memos.get(trendMemo)) }
}

it('keeps one point a slot, also where several isolates run', async () => {
  const { isolate, asked, state, points } = trend()
  const [one, other] = [isolate(), isolate()]
  await one.work(share, found)
  await one.work(share, found)
  expect(asked).toEqual({ ledger: 2, waits: 1 })
  state.nowMs += 60_000
  await other.work(share, found)
  expect(asked.waits).toBe(1)
  state.nowMs += slotMs
  state.waiting = 7
  await other.work(share, found)
  expect(points()).toEqual([
    { atMs: startMs, waiting: 40, oldestMs: startMs - 6_000 },
    { atMs: startMs + slotMs, waiting: 7, oldestMs: startMs - 6_000 },
  ])
})

it('a run that found nothing asks for nothing', async () => {
  const { isolate, asked, points } = trend()
  await isolate().work(share, emptyReport())
  expect([asked, points()]).toEqual([{ ledger: 0, waits: 0 }, []])
})

it('forgets what is older than is shown', async () => {
  const { isolate, state, points } = trend()
  const one = isolate()
  await one.work(share, found)
  state.nowMs += slotsShownMs + slotMs
  await one.work(share, found)
  expect(points()).toHaveLength(1)
})

it.each(['', 'x', '{}', '[1]', '[["a",1]]', '[[1,"b"]]'])('what another version wrote (%j) is no point', (text) => {
  expect(readTrend(text)).toEqual([])
})

it('stands in the series: of each step the most that waited', async () => {
  const { ledger, clock } = await createWorld()
  const atMs = Math.floor((clock.now() - 7_200_000) / 3_600_000) * 3_600_000
  await ledger.remember(
    trendMemo,
    writeTrend([
      { atMs, waiting: 5, oldestMs: atMs - 60_000 },
      { atMs: atMs + slotMs, waiting: 9, oldestMs: atMs },
      { atMs: atMs + 2 * slotMs, waiting: 2 },
    ]),
  )
  const { slots } = await createSeries({ ledger, clock })({ stepMs: 3_600_000 })
  expect(slots).toEqual([
    { at: new Date(atMs).toISOString(), counts: {}, byLane: {}, waiting: 9, oldestAt: new Date(atMs).toISOString() },
  ])
})
