/** Pacing on a virtual clock, for days under overload: what is used, how evenly, and how long anybody waits. */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import type { AdmitRequest } from '../../../src/core/ledger/port.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { makeStamp } from '../../../src/core/update/stamp.ts'
import type { Lane } from '../../../src/core/update/update.ts'
import { contractSettings } from '../../contract/ledger.ts'
import { seededRandom } from '../../support/clock.ts'
import { sqlWatched } from '../../support/ledger.ts'

const minuteMs = 60_000
const spanMs = 60 * minuteMs
const dayMs = 24 * spanMs
const startMs = Math.ceil(1_790_000_000_000 / dayMs) * dayMs
const random = seededRandom(7)

interface Grant {
  readonly lane: Lane
  readonly atMs: number
}

/** A ledger with 40 units a span, and a clock that goes on by a minute at a time. */
function paced(pace: 'none' | 'even') {
  let nowMs = startMs
  const settings = { quotaWindowMs: dayMs, quotaBucketMs: minuteMs, quotaSlackMs: 15_000, replayReserve: 0.05 }
  const ledger = sqlWatched(
    nodeSqlite(new DatabaseSync(':memory:')),
    { ...contractSettings, ...settings, quotaLimit: 960, pace },
    { now: () => nowMs },
  )
  const grants: Grant[] = []
  return {
    grants,
    async goes(lane: Lane, more: Partial<AdmitRequest> = {}): Promise<boolean> {
      const attributes = [{ name: 'a', stamp: makeStamp(nowMs, nowMs, random.hex(16)) }]
      const request = { visitorHash: random.hex(16), attributes, units: 1, token: random.hex(16), ...more }
      const [answer] = await ledger.admit([request], lane)
      if (answer?.event !== 'open') throw new Error('not open')
      if (answer.verdicts[0] === 'send') grants.push({ lane, atMs: nowMs })
      return answer.verdicts[0] === 'send'
    },
    async minutes(count: number, each: (nowMs: number, minute: number) => Promise<void>): Promise<void> {
      for (let minute = 0; minute < count; minute++) {
        nowMs = startMs + minute * minuteMs
        await each(nowMs, minute)
      }
    },
    /** Units in each span from `from` to `to`, in ms after the start. */
    spans: (from: number, to: number): number[] => {
      const all = Array.from({ length: (to - from) / spanMs }, () => 0)
      for (const { atMs } of grants) {
        const span = Math.floor((atMs - startMs - from) / spanMs)
        if (span >= 0 && span < all.length) all[span] = (all[span] ?? 0) + 1
      }
      return all
    },
  }
}

/** Three times the quota on the lanes live and bulk; what finds no unit waits, and is replayed each minute, oldest first. */
async function overloaded(pace: 'none' | 'even', days: number) {
  const relay = paced(pace)
  let waiting = 0
  await relay.minutes(days * 24 * 60, async () => {
    for (const lane of ['live', 'bulk'] as const) if (!(await relay.goes(lane))) waiting++
    while (waiting > 0 && (await relay.goes('replay'))) waiting--
  })
  return relay
}

function longestGapMs(grants: readonly Grant[], fromMs: number): number {
  const times = grants.map(({ atMs }) => atMs).filter((ms) => ms >= fromMs)
  return Math.max(...times.map((ms, index) => ms - (times[index - 1] ?? fromMs)))
}
const sum = (all: readonly number[]) => all.reduce((one, other) => one + other, 0)

describe('three times the quota, for three days', () => {
  it('the whole quota is used each day, and from the third day on each 24th of it has its 24th', async () => {
    const relay = await overloaded('even', 3)
    for (const day of [0, 1, 2]) {
      const units = sum(relay.spans(day * dayMs, (day + 1) * dayMs))
      expect(units).toBeGreaterThanOrEqual(0.99 * 960)
      expect(units).toBeLessThanOrEqual(960)
    }
    const third = relay.spans(2 * dayMs, 3 * dayMs)
    expect(Math.min(...third)).toBeGreaterThanOrEqual(0.95 * 40)
    expect(Math.max(...third)).toBeLessThanOrEqual(1.05 * 40)
    // Nobody waits for longer than a span until something goes.
    expect(longestGapMs(relay.grants, startMs + 2 * dayMs)).toBeLessThanOrEqual(spanMs)
  }, 60_000)

  it('without pacing the day is spent in its first third, each day anew', async () => {
    const relay = await overloaded('none', 3)
    expect(longestGapMs(relay.grants, startMs)).toBeGreaterThan(15 * spanMs)
  }, 60_000)

  it('on an empty day a burst passes: four times the even pace in an hour', async () => {
    const relay = paced('even')
    let granted = 0
    while (await relay.goes('replay')) granted++
    expect(granted).toBe(160)
  })
})

describe('a source over its share that asks for three times the quota, for three days', () => {
  it('others wait for a span at most, as long as they ask for no more than their part; it has the rest', async () => {
    const relay = paced('even')
    const queues: Record<'live' | 'replay', number[]> = { live: [], replay: [] }
    const waits: Record<'live' | 'replay', number[]> = { live: [], replay: [] }
    await relay.minutes(3 * 24 * 60, async (nowMs, minute) => {
      for (let more = 0; more < 2; more++) await relay.goes('live', { source: { name: 'import', units: 48 } })
      // 12 % and 4 % of the quota: the parts are 15 % and 5 %.
      if (minute % 60 === 0) queues.live.push(nowMs, nowMs, nowMs, nowMs, nowMs)
      if (minute % 38 === 0) queues.replay.push(nowMs)
      for (const lane of ['replay', 'live'] as const)
        while (queues[lane][0] !== undefined && (await relay.goes(lane)))
          waits[lane].push(nowMs - (queues[lane].shift() ?? 0))
    })
    expect(waits.live.length).toBeGreaterThan(350)
    expect(waits.replay.length).toBeGreaterThan(110)
    expect(Math.max(...waits.live)).toBeLessThanOrEqual(spanMs)
    expect(Math.max(...waits.replay)).toBeLessThanOrEqual(spanMs)
    // The ceiling of bulk is 80 % of the quota.
    for (const day of [1, 2])
      expect(sum(relay.spans(day * dayMs, (day + 1) * dayMs))).toBeGreaterThanOrEqual(0.99 * 0.8 * 960)
    expect(longestGapMs(relay.grants, startMs + 2 * dayMs)).toBeLessThanOrEqual(spanMs)
  }, 60_000)
})
