/** Several runs that share the ring: each visitor in one of them, one report, and none that stops another (G2, G7). */
import { describe, expect, it } from 'vitest'
import { type StartRun, startBeside } from '../../src/cron/beside.ts'
import { leaseMs, Stop } from '../../src/cron/budget.ts'
import { segmentMemo } from '../../src/cron/place.ts'
import { emptyReport, type FlushReport, lastRunMemo, readLastRun, writeLastRun } from '../../src/cron/report.ts'
import { placeMemo, prefixesFrom, walkPart } from '../../src/cron/ring.ts'
import { firstDigit, hexDigits, holds, type Segment, segmentsOf } from '../../src/cron/segments.ts'
import { createWorld, type FlushOverrides, type World } from '../support/world.ts'

const runs = 4
const visitors = 60
/** More than a page waits, whatever a run reads. */
const limits = { keysPerPage: 5, entriesTogether: 5 }

async function defer(world: World, thirdPartyId: string, id: string) {
  const silent = world.isolate({ ledger: { ...world.ledger, admit: () => Promise.reject(new Error('silent')) } })
  await silent.deliver([await world.update({ id, visitor: { thirdPartyId }, attributes: { tier: 'gold' } })])
}

/** Something of each visitor waits, and the last run ended for `stopped`. */
async function waiting(stopped: FlushReport['stopped'] = 'time') {
  const world = await createWorld({ limits })
  for (let n = 0; n < visitors; n++) await defer(world, `v${n}`, `${n}`)
  await world.clock.advance(120_001)
  await world.ledger.remember(lastRunMemo, writeLastRun({ atMs: 1, report: { stopped } }))
  world.logged.length = 0
  return world
}

/** Each started run at an isolate of its own. */
function starting(world: World, overrides: FlushOverrides = {}): { startRun: StartRun; started: Segment[] } {
  const started: Segment[] = []
  const startRun: StartRun = (segment) => {
    started.push(segment)
    return world.isolate().flush({ ...overrides, segment })
  }
  return { startRun, started }
}

const names = (world: World) => world.logged.map((line) => (JSON.parse(line) as { event: string }).event)
const indexes = (segments: readonly Segment[]) => segments.map(({ index }) => index)

describe('segments', () => {
  it('hold each digit once, in any division', () => {
    for (let count = 1; count <= 16; count++)
      for (const digit of hexDigits)
        expect(
          segmentsOf(count).filter((segment) => holds(segment, `${digit}7`)),
          `${digit} of ${count}`,
        ).toHaveLength(1)
    for (const segment of segmentsOf(5)) expect(holds(segment, firstDigit(segment))).toBe(true)
    expect(segmentsOf(4).map(firstDigit)).toEqual(['0', '4', '8', 'c'])
    expect(segmentsOf(2).some((segment) => holds(segment, ''))).toBe(false)
  })

  it('are each read once round, from their own place on, and nothing else is', async () => {
    const [, second] = segmentsOf(4) as [Segment, Segment]
    const read = async (position: string) => {
      const asked: string[] = []
      const moved: string[] = []
      const list = async ({ prefix = '' }: { prefix?: string } = {}) => {
        asked.push(prefix)
        return { items: [] }
      }
      for await (const _ of walkPart(
        { list },
        { segment: second, position },
        () => 5,
        (to) => moved.push(to),
      ));
      return { asked, last: moved.at(-1) }
    }
    expect(await read('')).toEqual({ asked: ['4', '5', '6', '7'], last: '4' })
    // The place that another division left.
    expect(await read('c3')).toEqual({ asked: ['4', '5', '6', '7'], last: '4' })
    const { asked, last } = await read('6d')
    expect(asked).toEqual(prefixesFrom('6d').filter((prefix) => '4567'.includes(prefix[0] ?? '-')))
    expect(asked).toEqual(['6d', '6e', '6f', '7', '4', '5', ...[...'0123456789abc'].map((digit) => `6${digit}`)])
    expect(last).toBe('6d')
  })
})

describe('several runs', () => {
  it('share what one did not carry: each entry is delivered by one of them, and there is one report (G2, G7)', async () => {
    const world = await waiting()
    const { startRun, started } = starting(world)
    const admitted: string[][] = []
    const ledger = {
      ...world.ledger,
      admit: (...asked: Parameters<World['ledger']['admit']>) => {
        admitted.push(asked[0].map(({ visitorHash }) => visitorHash))
        return world.ledger.admit(...asked)
      },
    }
    const report = await world.isolate({ ledger }).flush({ runs, startRun })
    expect(indexes(started)).toEqual([1, 2, 3])
    expect(report).toMatchObject({ runsTogether: runs, read: visitors, replayed: visitors, calls: visitors })
    expect(report.stopped).toBe('drained')
    expect(world.target.calls).toHaveLength(visitors)
    expect(await world.entries()).toBe(0)
    // The lead has read its own segment alone.
    const [own] = segmentsOf(runs) as [Segment]
    expect(admitted.flat().every((hash) => holds(own, hash))).toBe(true)
    expect(admitted.flat().length).toBeGreaterThan(0)
    expect(names(world)).toEqual(['flush'])
    expect(readLastRun(await world.ledger.recall(lastRunMemo))?.report).toEqual(report)
  })

  it.each(['drained', 'quota', 'target_unavailable', 'part_left', 'ledger_unavailable'] as const)(
    'are not started after a run that ended by %s: it had enough left to spend',
    async (stopped) => {
      const world = await waiting(stopped)
      const { startRun, started } = starting(world)
      const report = await world.flush({ runs, startRun })
      expect(report).toMatchObject({ replayed: visitors })
      expect(report).not.toHaveProperty('runsTogether')
      expect(started).toEqual([])
    },
  )

  it.each(['time', 'operations', 'calls', 'subrequests'] as const)('are started after one by %s', async (stopped) => {
    const world = await waiting(stopped)
    const { startRun, started } = starting(world)
    await world.flush({ runs: 3, startRun })
    expect(indexes(started)).toEqual([1, 2])
  })

  it('are not started for what is one page, nor by who may not: FLUSH_RUNS of 1, or nothing that starts them', async () => {
    const small = await createWorld({ limits })
    for (let n = 0; n < 4; n++) await defer(small, `v${n}`, `${n}`)
    await small.clock.advance(120_001)
    await small.ledger.remember(lastRunMemo, writeLastRun({ atMs: 1, report: { stopped: 'time' } }))
    const { startRun, started } = starting(small)
    expect(await small.flush({ runs, startRun })).toMatchObject({ replayed: 4, stopped: 'drained' })
    const world = await waiting()
    expect(await world.flush({ startRun })).toMatchObject({ replayed: visitors })
    const other = await waiting()
    expect(await other.flush({ runs })).toMatchObject({ replayed: visitors })
    expect(started).toEqual([])
  })

  it('that end early each go on from a place of their own; that of the whole ring stays (G7)', async () => {
    const world = await waiting()
    await world.ledger.remember(placeMemo, 'b7;')
    const few = { maxCalls: 7 }
    const { startRun } = starting(world, few)
    const first = await world.isolate().flush({ ...few, runs, startRun })
    expect(first).toMatchObject({ stopped: 'calls', calls: 4 * 7, runsTogether: runs })
    expect(await world.ledger.recall(placeMemo)).toBe('b7;')
    const segments = segmentsOf(runs)
    for (const segment of segments) {
      const place = (await world.ledger.recall(segmentMemo(segment))) ?? ''
      expect(holds(segment, place), `${place} of segment ${segment.index}`).toBe(true)
      expect(place).not.toBe(`${firstDigit(segment)};`)
    }
    for (let more = 0; (await world.entries()) > 0 && more < 5; more++)
      await world.isolate().flush({ ...few, runs, startRun })
    expect(await world.entries()).toBe(0)
    expect(world.target.calls).toHaveLength(visitors)
  })

  it('where one dies: the others and the lead go on, and the next run reads the whole ring (G7)', async () => {
    const world = await waiting()
    const { startRun } = starting(world)
    const dying: StartRun = (segment) =>
      segment.index === 2 ? Promise.reject(new TypeError('secret')) : startRun(segment)
    const report = await world.flush({ runs, startRun: dying })
    expect(report).toMatchObject({ stopped: 'part_left', runsTogether: 3 })
    expect(report.replayed).toBe(visitors - (await world.backlog.list({ limit: 100 })).items.length)
    expect(report.replayed).toBeLessThan(visitors)
    expect(world.logged.filter((line) => line.includes('flush_run_failed'))).toEqual([
      JSON.stringify({ event: 'flush_run_failed', segment: 2, error: 'TypeError' }),
    ])
    expect(await world.flush({ runs, startRun: dying })).toMatchObject({ stopped: 'drained' })
    expect(await world.entries()).toBe(0)
    expect(world.target.calls).toHaveLength(visitors)
  })

  it('where all die, though the lead spends all it has: every other run is one of the whole ring (G7)', async () => {
    const world = await waiting()
    const startRun: StartRun = () => Promise.reject(new Error('no memory'))
    const together: boolean[] = []
    for (let ran = 0; ran < 25 && (await world.entries()) > 0; ran++) {
      const { runsTogether, stopped } = await world.flush({ runs: 2, startRun, maxCalls: 6 })
      together.push(runsTogether !== undefined)
      if (runsTogether !== undefined) expect(stopped).toBe('part_left')
      await world.clock.advance(60_000)
    }
    expect(together.slice(0, 4)).toEqual([true, false, true, false])
    expect(await world.entries()).toBe(0)
  })

  it('leave a segment alone that another run works on, and release only their own leases', async () => {
    const world = await waiting()
    await world.ledger.lease('flush/1', 'somebody', leaseMs)
    const { startRun } = starting(world)
    expect(await world.flush({ runs, startRun })).toMatchObject({ stopped: 'part_left', runsTogether: 3 })
    const [, second] = segmentsOf(runs) as [Segment, Segment]
    const left = (await world.backlog.list()).items
    expect(left.length).toBeGreaterThan(0)
    for (const { key } of left) expect(holds(second, key.slice(3))).toBe(true)
    expect(await world.ledger.lease('flush/1', 'another', leaseMs)).toBe(false)
    for (const name of ['flush', 'flush/2', 'flush/3'])
      expect(await world.ledger.lease(name, 'another', leaseMs)).toBe(true)
  })

  it('hold the lease until the last of them has ended (G7)', async () => {
    const world = await waiting()
    const { startRun } = starting(world)
    let mayEnd = () => {}
    const slow = new Promise<void>((resolve) => {
      mayEnd = resolve
    })
    const isLeased = async () => !(await world.ledger.lease('flush', 'another', 1))
    let over = false
    const run = world
      .flush({
        runs,
        startRun: async (segment) => {
          const report = await startRun(segment)
          if (segment.index === 1) await slow
          return report
        },
      })
      .finally(() => {
        over = true
      })
    for (let ms = 0; ms < leaseMs + 20_000; ms += 5_000) await world.clock.advance(5_000)
    expect(world.target.calls).toHaveLength(visitors)
    expect(over).toBe(false)
    expect(await isLeased()).toBe(true)
    mayEnd()
    expect(await run).toMatchObject({ replayed: visitors, runsTogether: runs })
  })

  it('share what the platform was found to allow', async () => {
    const world = await waiting()
    const startRun: StartRun = async ({ index }) => ({
      ...emptyReport(),
      ...(index === 2 ? { platformOperations: 300, stopped: 'operations' as const } : { platformOperations: 800 }),
    })
    expect(await world.flush({ runs, startRun })).toMatchObject({ platformOperations: 300, stopped: 'operations' })
    expect(await world.ledger.recall(placeMemo)).toMatch(/^;;300,,\d+$/)
    // One of a segment knows what the lead wrote down.
    expect(await world.isolate().flush({ segment: { index: 1, of: 4 } })).toMatchObject({ platformOperations: 300 })
  })

  it('of a segment record no end, and read no other', async () => {
    const world = await waiting('quota')
    const segment = { index: 3, of: 4 }
    const report = await world.flush({ segment })
    expect(report.replayed).toBeGreaterThan(0)
    expect(world.logged).toEqual([])
    expect(readLastRun(await world.ledger.recall(lastRunMemo))?.report).toEqual({ stopped: 'quota' })
    for (const { key } of (await world.backlog.list({ limit: 100 })).items)
      expect(holds(segment, key.slice(3))).toBe(false)
  })

  it('that stop with the process have one report, and it says so', async () => {
    const world = await waiting()
    const stopping = () => world.target.calls.length >= 20
    const { startRun } = starting(world, { stopping })
    const report = await world.flush({ runs, startRun, stopping })
    expect(report).toMatchObject({ stopped: 'stopping', runsTogether: runs, calls: world.target.calls.length })
    expect(await world.entries()).toBe(visitors - report.replayed)
  })
})

describe('runs that one has started', () => {
  const parts = (world: World, startRun: StartRun) => ({
    startRun,
    clock: world.clock,
    maxMs: 45_000,
    log: (event: string, details: object = {}) => world.logged.push(JSON.stringify({ event, ...details })),
  })

  it('are waited for no longer than a run can take (G7)', async () => {
    const world = await createWorld()
    let renewed = 0
    const budget = { renew: async () => void renewed++ }
    const beside = startBeside(segmentsOf(2).slice(1), {
      ...parts(world, () => new Promise(() => {})),
      budget,
    })
    const ended = beside.end()
    for (let ms = 0; ms < 2 * 45_000 + leaseMs + 1_000; ms += 1_000) await world.clock.advance(1_000)
    expect(await ended).toEqual([undefined])
    expect(world.logged).toEqual([JSON.stringify({ event: 'flush_run_failed', segment: 1, error: 'RunTimeout' })])
    // Never nearer to its end than two thirds of the lease.
    expect(renewed).toBeGreaterThanOrEqual(5)
  })

  it('are waited for also where the lease is lost meanwhile', async () => {
    const world = await createWorld()
    let end = (_: FlushReport) => {}
    const beside = startBeside(segmentsOf(2).slice(1), {
      ...parts(
        world,
        () =>
          new Promise((resolve) => {
            end = resolve
          }),
      ),
      budget: { renew: () => Promise.reject(new Stop('leased')) },
    })
    const ended = beside.end()
    for (let ms = 0; ms < leaseMs; ms += 5_000) await world.clock.advance(5_000)
    end({ ...emptyReport(), read: 3 })
    expect(await ended).toMatchObject([{ read: 3 }])
  })
})
