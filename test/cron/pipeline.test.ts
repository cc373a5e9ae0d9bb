/** Chunks of a run beside each other: as fast as its connections allow, under the rules of one after another (G2, G7). */
import { describe, expect, it } from 'vitest'
import type { Backlog } from '../../src/core/backlog/port.ts'
import { createConnections } from '../../src/core/connections.ts'
import type { Ledger } from '../../src/core/ledger/port.ts'
import type { Limits } from '../../src/core/limits.ts'
import { Stop } from '../../src/cron/budget.ts'
import { createPipeline, sideBySide } from '../../src/cron/pipeline.ts'
import { createWorld, type World } from '../support/world.ts'

const targetMs = 150
const storeMs = 60
const ledgerMs = 5

/** What was under way at one time at most. */
interface Most {
  all: number
  calls: number
  deletes: number
  callsBesideDeletes: number
}

/** A world in which every step takes time, and everything that is under way is counted. */
async function slowWorld(entriesEach: number, visitors: number, { callMs = targetMs, deleteMs = storeMs } = {}) {
  const world = await createWorld({ settings: { quotaLimit: 10_000 } })
  for (let n = 0; n < visitors; n++)
    for (let e = 0; e < entriesEach; e++) await defer(world, `v${n}`, { [`a${e}`]: 'x' }, `${n} ${e}`)
  await world.clock.advance(120_001)
  const under = { calls: 0, deletes: 0, ledger: 0 }
  const most: Most = { all: 0, calls: 0, deletes: 0, callsBesideDeletes: 0 }
  const during = async <T>(kind: keyof typeof under, ms: number, work: () => Promise<T>): Promise<T> => {
    under[kind]++
    most.all = Math.max(most.all, under.calls + under.deletes + under.ledger)
    most.calls = Math.max(most.calls, under.calls)
    most.deletes = Math.max(most.deletes, under.deletes)
    if (under.deletes > 0) most.callsBesideDeletes = Math.max(most.callsBesideDeletes, under.calls)
    try {
      await world.clock.after(ms).elapsed
      return await work()
    } finally {
      under[kind]--
    }
  }
  world.target.behave = () => during('calls', callMs, async () => ({ kind: 'delivered' }) as const)
  const backlog: Backlog = {
    ...world.backlog,
    removesTogether: () => false,
    delete: (key) => during('deletes', deleteMs, () => world.backlog.delete(key)),
  }
  Object.defineProperty(backlog, 'operations', { get: () => world.backlog.operations })
  const ledger: Ledger = {
    ...world.ledger,
    admit: (...asked) => during('ledger', ledgerMs, () => world.ledger.admit(...asked)),
    settle: (...asked) => during('ledger', ledgerMs, () => world.ledger.settle(...asked)),
  }
  return { world, backlog, ledger, most }
}

async function defer(world: World, thirdPartyId: string, attributes: Record<string, string>, id: string) {
  const silent = world.isolate({ ledger: { ...world.ledger, admit: () => Promise.reject(new Error('silent')) } })
  await silent.deliver([await world.update({ id, visitor: { thirdPartyId }, attributes })])
}

/** Of each settle, how many attempts were admitted and not sent. */
function countingUnsent(ledger: Ledger) {
  const unsent: number[] = []
  const watched: Ledger = {
    ...ledger,
    settle: (settlements, counts) => {
      unsent.push(settlements.filter(({ attributes }) => attributes.some(({ outcome }) => outcome === 'unsent')).length)
      return ledger.settle(settlements, counts)
    },
  }
  return { ledger: watched, unsent }
}

/** Moves time on until the work is over. */
async function inTime<T>(world: World, work: Promise<T>): Promise<T> {
  let over = false
  const ended = work.finally(() => {
    over = true
  })
  while (!over) await world.clock.advance(5)
  return ended
}

describe('a run', () => {
  it('keeps its six connections busy and never uses a seventh: calls beside the deletes of the chunk before', async () => {
    const { world, most, ...ports } = await slowWorld(1, 100)
    const report = await inTime(world, world.isolate(ports).flush())
    expect(report).toMatchObject({ stopped: 'drained', replayed: 100, calls: 100 })
    expect(most.all).toBe(6)
    expect(most.callsBesideDeletes).toBeGreaterThan(2)
    // Six connections over 210 ms a visitor.
    expect(report.durationMs).toBeLessThan((100 * (targetMs + storeMs)) / 6 / 0.8)
    expect(await world.entries()).toBe(0)
  })

  it('deletes the entries of a merged visitor beside each other', async () => {
    const { world, most, ...ports } = await slowWorld(12, 1)
    const report = await inTime(world, world.isolate(ports).flush())
    expect(report).toMatchObject({ calls: 1, merged: 11 })
    expect(most.deletes).toBe(6)
    expect(report.durationMs).toBeLessThan(400)
  })

  it('has no more under way than its limits say', async () => {
    const { world, most, ...ports } = await slowWorld(2, 20)
    const limits = { connections: 2, chunksAtOnce: 2, attemptsTogether: 3 }
    expect(await inTime(world, world.isolate({ ...ports, limits }).flush())).toMatchObject({ stopped: 'drained' })
    expect(most.all).toBe(2)
    expect(await world.entries()).toBe(0)
  })

  it('admits no more than it can start within START, as slow as Target is', async () => {
    const { world, ...ports } = await slowWorld(1, 60, { callMs: 1_900 })
    const { ledger, unsent } = countingUnsent(ports.ledger)
    await inTime(world, world.isolate({ ...ports, ledger }).flush())
    // The first chunk finds out.
    expect(unsent[0]).toBeGreaterThan(0)
    expect(unsent.slice(1).filter((count) => count > 0)).toEqual([])
  })

  it('gives a connection to a call before a delete, so that as slow as the store is, calls start within START', async () => {
    const { world, ...ports } = await slowWorld(4, 64, { deleteMs: 900 })
    const { ledger, unsent } = countingUnsent(ports.ledger)
    await inTime(world, world.isolate({ ...ports, ledger }).flush())
    expect(world.target.calls.length).toBeGreaterThan(40)
    expect(unsent.filter((count) => count > 0)).toEqual([])
  })

  it('asks for nothing more once the quota is spent', async () => {
    const world = await createWorld({ settings: { quotaLimit: 40 } })
    for (let n = 0; n < 200; n++) await defer(world, `v${n}`, { tier: 'x' }, `${n}`)
    await world.clock.advance(120_001)
    let admissions = 0
    const ledger: Ledger = {
      ...world.ledger,
      admit: (...asked) => {
        admissions++
        return world.ledger.admit(...asked)
      },
    }
    expect(await world.isolate({ ledger }).flush()).toMatchObject({ stopped: 'quota', calls: 40 })
    // Three that fit, and those that were under way beside them.
    expect(admissions).toBeLessThanOrEqual(5)
  })

  it('makes exactly the calls that it may, and sends nobody whom it could not clean up', async () => {
    for (const bounds of [{ maxCalls: 20 }, { maxOperations: 21 }]) {
      const { world, most: _, ...ports } = await slowWorld(1, 60)
      const before = world.backlog.operations
      const report = await inTime(world, world.isolate(ports).flush(bounds))
      expect(report).toMatchObject({ calls: 20, replayed: 20 })
      expect(world.backlog.operations - before).toBeLessThanOrEqual(21)
      expect(await world.entries()).toBe(40)
    }
  })

  it('that must end in one chunk brings the others to their end, and leaves the rest alone (G2)', async () => {
    const { world, backlog, ledger } = await slowWorld(1, 96)
    let deletes = 0
    const failing: Backlog = Object.assign(Object.create(backlog) as Backlog, {
      delete: (key: string) => (++deletes >= 20 ? Promise.reject(new Error('down')) : backlog.delete(key)),
    })
    const report = await inTime(world, world.isolate({ ledger, backlog: failing }).flush())
    expect(report.stopped).toBe('backlog_unavailable')
    // What had begun beside it was settled: nothing is in flight, and the next run makes no call for it.
    const called = world.target.calls.length
    expect(called).toBeLessThanOrEqual(64)
    expect(deletes).toBeLessThanOrEqual(26)
    await inTime(world, world.flush())
    expect(world.target.calls).toHaveLength(96)
    expect(await world.entries()).toBe(0)
  })
})

describe('an entry that the store does not let go', () => {
  async function withSickKey(which: readonly number[]) {
    const world = await createWorld()
    for (let n = 0; n < 60; n++) {
      await defer(world, `v${n}`, { tier: 'x' }, `${n}`)
      await world.clock.advance(1)
    }
    await world.clock.advance(120_001)
    const keys = (await world.backlog.list()).items
      .flatMap((item) => ('entry' in item ? [item] : []))
      .sort((a, b) => a.entry.firstSeenMs - b.entry.firstSeenMs)
      .map(({ key }) => key)
    const sick = which.map((n) => keys[n])
    const backlog: Backlog = Object.assign(Object.create(world.backlog) as Backlog, {
      removesTogether: () => false,
      delete: (key: string) =>
        sick.includes(key) ? Promise.reject(new Error('KV DELETE failed: 500')) : world.backlog.delete(key),
    })
    Object.defineProperty(backlog, 'operations', { get: () => world.backlog.operations })
    return { world, backlog }
  }

  it('stays, is logged, and holds up nobody (G7, G2)', async () => {
    const { world, backlog } = await withSickKey([3])
    const report = await world.isolate({ backlog }).flush()
    expect(report).toMatchObject({ stopped: 'drained', calls: 60, replayed: 59, deferredAgain: 1 })
    expect(world.logged).toContain(JSON.stringify({ event: 'entry_kept', error: 'Error' }))
    expect(await world.entries()).toBe(1)
    // It is found delivered each time.
    await world.isolate({ backlog }).flush()
    await world.flush()
    expect(world.target.calls).toHaveLength(60)
    expect(await world.entries()).toBe(0)
  })

  it('is the store’s failure if there are three in a row, or nothing came behind it', async () => {
    const three = await withSickKey([20, 21, 22])
    expect(await three.world.isolate(three).flush()).toMatchObject({ stopped: 'backlog_unavailable' })
    const last = await withSickKey([59])
    expect(await last.world.isolate(last).flush()).toMatchObject({ stopped: 'backlog_unavailable', calls: 60 })
  })
})

describe('who goes first', () => {
  /** Visitors who came one after another, in an order that their places in the ring do not tell. */
  async function many(count: number, limits: Partial<Limits>) {
    const world = await createWorld({ settings: { quotaLimit: 21 }, limits })
    for (let n = 0; n < count; n++) {
      await defer(world, `v${n}`, { tier: 'x' }, `${n}`)
      await world.clock.advance(1_000)
    }
    await world.clock.advance(120_001)
    return world
  }
  const sent = (world: World) => world.target.calls.map(({ visitor }) => Number(visitor.slice(1))).sort((a, b) => a - b)

  it('is who has waited longest in all that a run reads, not page by page', async () => {
    const world = await many(60, { keysPerPage: 7 })
    expect(await world.flush({ maxCalls: 20 })).toMatchObject({ stopped: 'calls', calls: 20 })
    expect(sent(world)).toEqual(Array.from({ length: 20 }, (_, n) => n))
  })

  it('in a larger backlog is so in each part of the ring, and the next run goes on behind it', async () => {
    const world = await many(60, { keysPerPage: 7, entriesTogether: 28 })
    await world.flush({ maxCalls: 10 })
    await world.flush({ maxCalls: 10 })
    // About the third part of each half.
    expect(sent(world).filter((n) => n < 30).length).toBeGreaterThan(17)
  })

  it('reads no more than a quarter of its operations and a tenth of its time before it works', async () => {
    const world = await many(60, { keysPerPage: 3 })
    const counting = (slowMs: number) => {
      let lists = 0
      const backlog: Backlog = Object.assign(Object.create(world.backlog) as Backlog, {
        list: async (...asked: Parameters<Backlog['list']>) => {
          if (world.target.calls.length === 0) lists++
          await world.clock.advance(slowMs)
          return world.backlog.list(...asked)
        },
      })
      Object.defineProperty(backlog, 'operations', { get: () => world.backlog.operations })
      return { backlog, lists: () => lists }
    }
    const slow = counting(1_000)
    await world.isolate({ backlog: slow.backlog }).flush({ maxMs: 20_000, maxCalls: 1 })
    expect(slow.lists()).toBe(2)
    world.target.calls.length = 0
    const scarce = counting(0)
    await world.isolate({ backlog: scarce.backlog }).flush({ maxOperations: 20, maxCalls: 1 })
    expect(scarce.lists()).toBeLessThanOrEqual(6)
  })

  it('works on what it has read, also where the next page can’t be read (G7)', async () => {
    const world = await many(20, { keysPerPage: 6 })
    let lists = 0
    const backlog: Backlog = Object.assign(Object.create(world.backlog) as Backlog, {
      list: (...asked: Parameters<Backlog['list']>) =>
        ++lists > 2 ? Promise.reject(new Error('down')) : world.backlog.list(...asked),
    })
    const { stopped, calls } = await world.isolate({ backlog }).flush()
    expect(stopped).toBe('backlog_unavailable')
    expect(calls).toBeGreaterThan(5)
  })
})

describe('connections', () => {
  it('go to the most urgent purpose, and within it to who came first', async () => {
    const { use } = createConnections(1, ['first', 'second'])
    const order: string[] = []
    const one = (purpose: 'first' | 'second', name: string) =>
      use(purpose, async () => {
        order.push(name)
        await Promise.resolve()
      })
    await Promise.all([
      one('second', 'a'),
      one('second', 'b'),
      one('first', 'c'),
      one('second', 'd'),
      one('first', 'e'),
    ])
    expect(order).toEqual(['a', 'c', 'e', 'b', 'd'])
  })

  it('are free again behind work that failed', async () => {
    const { use } = createConnections(1, ['one'])
    await expect(use('one', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await use('one', async () => 'yes')).toBe('yes')
  })
})

describe('a pipeline', () => {
  const later = () => new Promise<void>((resolve) => setImmediate(resolve))

  it('begins the next only once one has moved on and there is room', async () => {
    const pipeline = createPipeline<number>(() => 2)
    const events: string[] = []
    for (let n = 0; n < 4; n++)
      await pipeline.begin(async (movedOn) => {
        events.push(`begin ${n}`)
        await later()
        events.push(`moved ${n}`)
        movedOn()
        await later()
        await later()
        events.push(`end ${n}`)
        return n
      })
    expect((await pipeline.end()).results).toEqual([0, 1, 2, 3])
    expect(events.slice(0, 4)).toEqual(['begin 0', 'moved 0', 'begin 1', 'moved 1'])
    expect(events.indexOf('begin 1')).toBeLessThan(events.indexOf('end 0'))
    expect(events.indexOf('begin 2')).toBeGreaterThan(events.indexOf('end 0'))
  })

  it('begins nothing behind a stop, and waits for what had begun', async () => {
    const pipeline = createPipeline<string>(() => 3)
    let ended = false
    await pipeline.begin(async (movedOn) => {
      movedOn()
      await later()
      await later()
      ended = true
      return 'whole'
    })
    await expect(pipeline.begin(() => Promise.reject(new Stop('quota')))).rejects.toMatchObject({ reason: 'quota' })
    expect(await pipeline.end()).toMatchObject({ results: ['whole'], stop: { reason: 'quota' } })
    expect(ended).toBe(true)
  })

  it('does not hide an error that is no stop', async () => {
    const pipeline = createPipeline<string>(() => 1)
    await pipeline.begin(() => Promise.reject(new TypeError('a bug')))
    await expect(pipeline.end()).rejects.toThrow('a bug')
    const works = sideBySide()
    works.begin(Promise.reject(new Stop('time')))
    works.begin(Promise.reject(new TypeError('a bug')))
    await expect(works.end()).rejects.toThrow('a bug')
  })
})
