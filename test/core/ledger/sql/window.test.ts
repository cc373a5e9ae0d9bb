/** The rolling window on SQL for one account: what counts from when until when, whatever the clock does (G1, G7). */
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jumpToleranceMs } from '../../../../src/core/ledger/rules/clock-watch.ts'
import {
  lastOf,
  openWindow,
  type SqlWindow,
  type WindowSettings,
  windowSchema,
} from '../../../../src/core/ledger/sql/window.ts'
import type { Sql } from '../../../../src/core/store/sql.ts'
import { nodeSqlite } from '../../../../src/core/store/sqlite-node.ts'

const settings: WindowSettings = {
  quotaLimit: 1_000,
  quotaBucketMs: 60_000,
  quotaWindowMs: 3_600_000,
  quotaSlackMs: 15_000,
  pace: 'none',
}
const keptMs = settings.quotaWindowMs + settings.quotaSlackMs
const startMs = 1_790_000_040_000
const lastMs = startMs + 59_999
/** When what is taken at `startMs` no longer counts. */
const freeMs = lastMs + 1 + keptMs
/** When it may be removed. */
const removableMs = freeMs + settings.quotaWindowMs

function windowsOf() {
  const sql = nodeSqlite(new DatabaseSync(':memory:'))
  for (const statement of windowSchema) sql.exec(statement)
  const written: string[] = []
  const watched: Sql = {
    ...sql,
    exec: (query, ...params) => {
      if (!query.startsWith('SELECT')) written.push(query)
      return sql.exec(query, ...params)
    },
  }
  /** One transaction. */
  const at = <Result>(
    nowMs: number,
    work: (window: SqlWindow) => Result,
    { account = '', ...more }: Partial<WindowSettings> & { account?: string } = {},
  ): Result => {
    const window = openWindow(watched, { ...settings, ...more }, account, nowMs)
    const result = work(window)
    window.save()
    return result
  }
  return { at, written }
}
const total = (window: SqlWindow) => window.total
const everything = ({ total: units, granted, buckets }: SqlWindow) => ({ units, granted, buckets: buckets() })

describe('a bucket', () => {
  it('is named by its last millisecond', () => {
    expect([0, 99, 100, 101, 199, 200].map((ms) => lastOf(ms, 100))).toEqual([99, 99, 199, 199, 199, 299])
    expect(startMs % settings.quotaBucketMs).toBe(0)
  })
})

describe('taking', () => {
  it('fills the ceiling to its last unit; a refusal spends nothing and says when there will be room', () => {
    const { at } = windowsOf()
    expect(at(startMs, (window) => window.take(7, 10))).toEqual({ ok: true, bucket: lastMs })
    expect(at(startMs + 1, (window) => window.take(3, 10))).toEqual({ ok: true, bucket: lastMs })
    expect(at(startMs + 2, (window) => window.take(1, 10))).toEqual({ ok: false, retryAtMs: freeMs })
    expect(at(startMs + 2, everything)).toEqual({ units: 10, granted: 10, buckets: [[lastMs, 10]] })
  })

  it('says no time for more units than the ceiling', () => {
    const { at } = windowsOf()
    expect(at(startMs, (window) => window.take(11, 10))).toStrictEqual({ ok: false })
    expect(at(startMs, (window) => window.take(10, 10))).toMatchObject({ ok: true })
    expect(at(startMs, (window) => window.take(11, 10))).toStrictEqual({ ok: false })
  })

  it('waits for as many of the oldest buckets as it needs, and no more', () => {
    const { at } = windowsOf()
    for (const minute of [0, 1, 2]) at(startMs + 60_000 * minute, (window) => window.take(3, 9))
    const waits = [1, 3, 4, 6, 7, 9].map((units) => at(startMs + 180_000, (window) => window.take(units, 9)))
    const free = (minute: number) => ({ ok: false, retryAtMs: freeMs + 60_000 * minute })
    expect(waits).toEqual([free(0), free(0), free(1), free(1), free(2), free(2)])
    expect(at(startMs + 180_000, (window) => window.nextFreeAtMs())).toBe(freeMs)
  })

  it('counts until window and slack have passed since the end of its bucket, and not a millisecond longer', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.take(5, 5))
    expect(at(freeMs - 1, (window) => [window.total, window.take(1, 5).ok])).toEqual([5, false])
    expect(at(freeMs, everything)).toEqual({ units: 0, granted: 5, buckets: [] })
    expect(at(freeMs, (window) => [window.nextFreeAtMs(), window.take(5, 5).ok])).toEqual([undefined, true])
  })

  it('agrees with a plain log of every unit, however time passes', () => {
    const steps = fc.array(
      fc.record({ waitMs: fc.oneof(fc.nat(90_000), fc.nat(2_000_000)), units: fc.integer({ min: 1, max: 9 }) }),
      {
        maxLength: 40,
      },
    )
    fc.assert(
      fc.property(steps, (some) => {
        const { at } = windowsOf()
        const log: { freeMs: number; units: number }[] = []
        let nowMs = startMs
        for (const { waitMs, units } of some) {
          nowMs += waitMs
          const countedAt = (ms: number) =>
            log.filter((one) => one.freeMs > ms).reduce((sum, one) => sum + one.units, 0)
          expect(at(nowMs, total)).toBe(countedAt(nowMs))
          const taken = at(nowMs, (window) => window.take(units, 20))
          expect(taken.ok).toBe(countedAt(nowMs) + units <= 20)
          if (taken.ok) log.push({ freeMs: taken.bucket + 1 + keptMs, units })
          else
            expect(taken.retryAtMs).toBe(
              Math.min(...log.map((one) => one.freeMs).filter((ms) => ms > nowMs && countedAt(ms) + units <= 20)),
            )
        }
        expect(at(nowMs, ({ granted }) => granted)).toBe(log.reduce((sum, { units }) => sum + units, 0))
      }),
      { numRuns: 100 },
    )
  })

  it('keeps accounts apart', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.take(5, 5), { account: 'crm' })
    expect([
      at(startMs, total),
      at(startMs, total, { account: 'crm' }),
      at(startMs, total, { account: 'shop' }),
    ]).toEqual([0, 5, 0])
    at(startMs, (window) => window.restate(0))
    expect(at(startMs, everything, { account: 'crm' })).toEqual({ units: 5, granted: 5, buckets: [[lastMs, 5]] })
  })
})

describe('giving back', () => {
  it('takes units out of their bucket; the count of grants stays', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.take(5, 9))
    at(startMs + 60_000, (window) => window.take(2, 9))
    at(startMs + 60_001, (window) => window.giveBack(lastMs, 3))
    expect(at(startMs + 60_001, everything)).toEqual({
      units: 4,
      granted: 7,
      buckets: [
        [lastMs, 2],
        [lastMs + 60_000, 2],
      ],
    })
  })

  it('is never more than was taken', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.take(2, 9))
    at(startMs, (window) => window.giveBack(lastMs, 3))
    at(startMs, (window) => window.giveBack(lastMs, 3))
    at(startMs, (window) => window.giveBack(lastMs - 60_000, 3))
    expect(at(startMs, everything)).toEqual({ units: 0, granted: 2, buckets: [] })
  })

  it('to a bucket that no longer counts frees no room', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.take(2, 9))
    at(freeMs, (window) => window.take(2, 9))
    at(freeMs, (window) => window.giveBack(lastMs, 2))
    expect(at(freeMs, total)).toBe(2)
  })
})

describe('charging, whatever the limit', () => {
  it.each<[string, number | undefined, number]>([
    ['now', undefined, lastMs],
    ['at a time that is not over', lastMs, lastMs],
    ['at a time to come', lastMs + 1, lastMs],
    ['at an earlier time', startMs - 500, startMs - 500],
  ])('%s', (_, atMs, bucket) => {
    const { at } = windowsOf()
    at(startMs, (window) => window.charge(7, atMs))
    expect(at(startMs, everything)).toEqual({ units: 7, granted: 7, buckets: [[bucket, 7]] })
  })

  it('to a bucket that is not over keeps later units out of earlier buckets if the clock is set back', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.charge(7, lastMs))
    expect(at(startMs - 120_000, (window) => window.take(1, 9))).toEqual({ ok: true, bucket: lastMs })
  })

  it('counts from the exact beginning of the window', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.charge(7, startMs - keptMs))
    expect([at(startMs, total), at(startMs + 1, total)]).toEqual([7, 0])
  })

  it('at a time that no longer counts takes no room, and is remembered for a longer window', () => {
    const { at } = windowsOf()
    const goneMs = startMs - keptMs - 1
    at(startMs, (window) => window.charge(7, goneMs))
    expect(at(startMs, everything)).toEqual({ units: 0, granted: 7, buckets: [] })
    expect(at(startMs, everything, { quotaWindowMs: 2 * settings.quotaWindowMs })).toMatchObject({
      buckets: [[goneMs, 7]],
    })
  })

  it('at a time that was removed already leaves a gap, which is charged', () => {
    const { at } = windowsOf()
    const longAgoMs = startMs - keptMs - settings.quotaWindowMs
    at(startMs, (window) => window.charge(7, longAgoMs))
    expect(at(startMs, (window) => window.reckon(100))).toBe(0)
    at(startMs, (window) => window.charge(7, longAgoMs - 1))
    // A window that begins at that moment lacks it, one that begins after it lacks nothing.
    const beginningAt = (ms: number) => ({ quotaWindowMs: startMs - settings.quotaSlackMs - ms })
    expect(at(startMs, (window) => [window.reckon(100), window.total], beginningAt(longAgoMs))).toEqual([0, 7])
    expect(at(startMs, (window) => [window.reckon(100), window.total], beginningAt(longAgoMs - 1))).toEqual([93, 100])
  })
})

describe('restating', () => {
  it('forgets what counts, and counts the stated units as spent now', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.take(50, 100))
    at(startMs + 60_000, (window) => window.restate(12))
    expect(at(startMs + 60_000, everything)).toEqual({ units: 12, granted: 50, buckets: [[lastMs + 60_000, 12]] })
    at(startMs + 60_000, (window) => window.restate(0))
    expect(at(startMs + 60_000, everything)).toEqual({ units: 0, granted: 50, buckets: [] })
  })
})

describe('a clock that is set back', () => {
  it('frees nothing, and units taken meanwhile count as long as those taken last', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.take(5, 9))
    expect(at(startMs - 120_000, (window) => window.take(2, 9))).toEqual({ ok: true, bucket: lastMs })
    expect(at(startMs - 120_000, (window) => window.take(3, 9))).toEqual({ ok: false, retryAtMs: freeMs })
    expect(at(freeMs - 1, total)).toBe(7)
    expect(at(freeMs, total)).toBe(0)
  })

  it('counts again what had ceased to count', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.take(5, 9))
    at(freeMs, (window) => window.take(1, 9))
    expect(at(freeMs, total)).toBe(1)
    expect(at(freeMs - 1, total)).toBe(6)
    expect(at(freeMs, total)).toBe(1)
  })

  it('time and again, the total is still the sum of the buckets', () => {
    const steps = fc.array(
      fc.record({
        moveMs: fc.integer({ min: -4_000_000, max: 5_000_000 }),
        kind: fc.constantFrom('take', 'charge', 'back', 'look'),
        units: fc.integer({ min: 1, max: 9 }),
      }),
      { maxLength: 30 },
    )
    fc.assert(
      fc.property(steps, (some) => {
        const { at } = windowsOf()
        let nowMs = startMs
        let bucket = lastMs
        for (const { moveMs, kind, units } of some) {
          nowMs += moveMs
          at(nowMs, (window) => {
            if (kind === 'take') {
              const taken = window.take(units, 30)
              if (taken.ok) bucket = taken.bucket
            } else if (kind === 'charge') window.charge(units, nowMs - 300_000)
            else if (kind === 'back') window.giveBack(bucket, units)
            expect(window.total).toBe(window.buckets().reduce((sum, [, count]) => sum + count, 0))
          })
          expect(at(nowMs, total)).toBe(
            at(nowMs, ({ buckets }) => buckets().reduce((sum, [, count]) => sum + count, 0)),
          )
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('forgetting', () => {
  it('removes what ceased to count a window ago, and keeps the rest', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.take(5, 9))
    at(startMs + 60_000, (window) => window.take(3, 9))
    for (const nowMs of [removableMs - 1, removableMs]) at(nowMs, (window) => window.forget())
    const longer = { quotaWindowMs: 9 * settings.quotaWindowMs }
    expect(at(removableMs, everything, longer)).toEqual({ units: 3, granted: 8, buckets: [[lastMs + 60_000, 3]] })
  })

  it('removes nothing earlier', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.take(5, 9))
    at(removableMs - 1, (window) => window.forget())
    expect(at(removableMs - 1, total, { quotaWindowMs: 9 * settings.quotaWindowMs })).toBe(5)
  })

  it('with a small window waits as long as a clock may be set back unnoticed', () => {
    const small = { quotaWindowMs: 10_000, quotaSlackMs: 0 }
    const { at } = windowsOf()
    at(startMs, (window) => window.take(5, 9), small)
    const endMs = lastMs + 1 + 10_000 + jumpToleranceMs
    at(endMs - 1, (window) => window.forget(), small)
    expect(at(startMs, total, small)).toBe(5)
    at(endMs, (window) => window.forget(), small)
    expect(at(startMs, ({ buckets }) => buckets(), small)).toEqual([])
  })

  it('leaves a gap: if more of the past counts than is known, the limit counts as spent, once', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.take(5, 9))
    at(removableMs, (window) => window.forget())
    const gapEndMs = lastMs + 1
    const reckonAt = (frontierMs: number) =>
      at(frontierMs + keptMs, (window) => [window.reckon(100), window.total, window.granted])
    expect(reckonAt(gapEndMs)).toEqual([0, 0, 5])
    expect(reckonAt(gapEndMs - 1)).toEqual([100, 100, 105])
    expect(reckonAt(gapEndMs - 1)).toEqual([0, 100, 105])
  })

  it('charges for the gap only what is left of the limit', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.take(5, 9))
    at(removableMs, (window) => {
      window.forget()
      window.take(30, 100)
    })
    const wider = { quotaWindowMs: 3 * settings.quotaWindowMs }
    expect(at(removableMs, (window) => [window.reckon(100), window.total], wider)).toEqual([70, 100])
    at(removableMs, (window) => window.charge(50), wider)
    expect(at(removableMs, (window) => window.reckon(100), { quotaWindowMs: 4 * settings.quotaWindowMs })).toBe(0)
    expect(at(removableMs, total, wider)).toBe(150)
  })

  it('leaves no gap if all was given back', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.take(5, 9))
    at(startMs, (window) => window.giveBack(lastMs, 5))
    at(removableMs, (window) => window.forget())
    expect(at(startMs, (window) => window.reckon(100))).toBe(0)
  })
})

describe('what is dated in the future', () => {
  const aheadMs = startMs + 10 * jumpToleranceMs

  it('counts as granted now once the time is confirmed', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.take(1, 99))
    at(aheadMs, (window) => window.take(5, 99))
    at(aheadMs + 60_000, (window) => window.take(2, 99))
    at(startMs, (window) => window.redate())
    expect(at(startMs, everything)).toEqual({ units: 8, granted: 8, buckets: [[lastMs, 8]] })
    // What is taken from then on is dated now.
    expect(at(startMs + 60_000, (window) => window.take(1, 99))).toEqual({ ok: true, bucket: lastMs + 60_000 })
  })

  it('stays until then in the quota of all; in a source’s own it is corrected at once beyond the clock’s tolerance', () => {
    const own = { account: 'crm' }
    for (const [offMs, bucket] of [
      [jumpToleranceMs, lastMs + jumpToleranceMs],
      [jumpToleranceMs + 1, lastMs],
    ] as const) {
      const { at } = windowsOf()
      for (const account of [own, {}]) at(startMs + offMs, (window) => window.take(5, 99), account)
      expect(at(startMs, ({ buckets }) => buckets(), own)).toEqual([
        [bucket === lastMs ? lastMs : lastOf(startMs + offMs, 60_000), 5],
      ])
      expect(at(startMs, ({ buckets }) => buckets())).toEqual([[lastOf(startMs + offMs, 60_000), 5]])
    }
  })
})

describe('another width', () => {
  it('changes nothing of the past: spent units stay spent for as long', () => {
    const { at } = windowsOf()
    at(startMs, (window) => window.take(5, 9))
    for (const quotaBucketMs of [1_000, 60_000, 600_000]) {
      expect(at(freeMs - 1, everything, { quotaBucketMs })).toEqual({ units: 5, granted: 5, buckets: [[lastMs, 5]] })
      expect(at(freeMs, total, { quotaBucketMs })).toBe(0)
    }
  })
})

describe('writing', () => {
  it('is not done if only time has passed: reading costs nothing', () => {
    const { at, written } = windowsOf()
    at(startMs, total)
    at(startMs, (window) => window.take(1, 0))
    at(startMs, (window) => window.giveBack(lastMs, 1))
    at(startMs, (window) => window.forget())
    at(startMs, (window) => window.reckon(10))
    expect(written).toEqual([])
    at(startMs, (window) => window.take(1, 9))
    written.length = 0
    at(freeMs - 1, total)
    expect(written).toEqual([])
    // Units that left the window are written.
    at(freeMs, total)
    expect(written).toHaveLength(1)
  })
})
