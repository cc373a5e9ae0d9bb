/** The census of a backlog that can't count itself (KV): G9. */
import { describe, expect, it } from 'vitest'
import { kvBacklog } from '../../src/core/backlog/kv.ts'
import type { Backlog, Entry } from '../../src/core/backlog/port.ts'
import { defaultLimits, type Limits } from '../../src/core/limits.ts'
import { censusMemo, figuresOf, readCensus } from '../../src/core/operator/census.ts'
import { type CensusMemory, createCensus } from '../../src/cron/census.ts'
import type { Share } from '../../src/cron/duties.ts'
import { emptyReport, type FlushReport } from '../../src/cron/report.ts'
import { someEntry } from '../contract/backlog.ts'
import { fakeClock, seededRandom } from '../support/clock.ts'
import { fakeKv } from '../support/fake-kv.ts'
import { plainSeal } from '../support/seal.ts'
import { mergedCalls, plainTally, tallyOf } from '../support/tally.ts'
import { createWorld } from '../support/world.ts'

const limits: Limits = { ...defaultLimits, keysPerPage: 4, deadPagesPerRun: 2, dutyOperations: 0 }

function counting(seed: number, { emptyPages = false } = {}) {
  const random = seededRandom(seed)
  const clock = fakeClock()
  const kv = fakeKv({ now: clock.now, emptyPages })
  const backlog = kvBacklog(kv, { randomHex: random.hex, seal: plainSeal, limits })
  const memos = new Map<string, string>()
  const memory: CensusMemory = {}
  const recalls: string[] = []
  const census = createCensus({
    backlog,
    ledger: {
      recall: async (name) => {
        recalls.push(name)
        return memos.get(name)
      },
      remember: async (name, text) => void memos.set(name, text),
    },
    clock,
    limits,
    memory,
  })
  /** A run whose share is this many operations. */
  const run = async (operations: number, report: Partial<FlushReport> = { read: 1 }) => {
    const before = backlog.operations
    const share: Share = { has: (more = 0) => backlog.operations + more <= before + operations }
    await census.duty.work(share, { ...emptyReport(), ...report })
    return backlog.operations - before
  }
  const kept = () => readCensus(memos.get(censusMemo))
  return { recalls, random, clock, kv, backlog, memos, census, run, kept, figures: () => figuresOf(kept(), 'post') }
}

const hash = (random: { hex: (bytes: number) => string }) => random.hex(16)

async function fill(backlog: Backlog, random: ReturnType<typeof seededRandom>, count: number): Promise<Entry[]> {
  const visitors = Array.from({ length: Math.ceil(count / 2) }, () => hash(random))
  const entries = Array.from({ length: count }, (_, n) =>
    someEntry({
      visitorHash: visitors[Math.floor(random.fraction() * visitors.length)] ?? '',
      source: n % 3 === 0 ? 'shop' : 'crm',
      reason: n % 2 === 0 ? 'quota' : 'paused',
    }),
  )
  for (const entry of entries) await backlog.put(entry)
  return entries
}

describe('the census (G9)', () => {
  it.each([1, 2, 3])('is whole in one run where the share has a list for every page (seed %i)', async (seed) => {
    const world = counting(seed, { emptyPages: seed === 3 })
    const entries = await fill(world.backlog, world.random, 50)
    await world.run(100)
    const { countedAtMs, complete, calls, callsExact, ...figures } = world.figures()
    expect(figures).toMatchObject(plainTally(entries))
    expect({ complete, calls, callsExact, countedAtMs }).toEqual({
      complete: true,
      calls: mergedCalls(entries, 'post'),
      callsExact: true,
      countedAtMs: world.clock.now(),
    })
    expect(world.kept().parts.map(({ prefix }) => prefix)).toEqual([''])
  })

  it.each([1, 2, 3, 4, 5])(
    'goes on part by part where it has not, each with its time, and comes to the oracle’s count (seed %i)',
    async (seed) => {
      const world = counting(seed)
      const entries = await fill(world.backlog, world.random, 120)
      const operations = 3 + (seed % 3)
      let runs = 0
      for (; !world.figures().complete; runs++) {
        expect(runs).toBeLessThan(100)
        await world.clock.advance(60_000)
        expect(await world.run(operations)).toBeLessThanOrEqual(operations)
        // What is not whole never claims more than there is.
        expect(world.figures().waiting).toBeLessThanOrEqual(entries.length)
      }
      expect(runs).toBeGreaterThan(1)
      expect(world.figures()).toMatchObject(plainTally(entries))
      expect(world.figures().countedAtMs).toBeLessThan(world.clock.now())
      const prefixes = world.kept().parts.map(({ prefix }) => prefix)
      // No two parts overlap, and together they are the ring.
      expect(prefixes.some((one) => prefixes.some((other) => one !== other && other.startsWith(one)))).toBe(false)
      expect(prefixes.reduce((sum, { length }) => sum + 16 ** -length, 0)).toBeCloseTo(1, 9)
      // The oldest part is counted again first: after as many runs, no figure is of before.
      const sinceMs = world.clock.now()
      for (let run = 0; run < 2 * runs + 2; run++) {
        await world.clock.advance(60_000)
        await world.run(operations)
      }
      expect(world.figures().countedAtMs).toBeGreaterThan(sinceMs)
      expect(world.figures()).toMatchObject({ ...plainTally(entries), complete: true })
    },
  )

  it.each([1, 2, 3, 4, 5])(
    'counts a visitor who has more than a run can list over several runs, and all others too (seed %i)',
    async (seed) => {
      const world = counting(seed)
      const entries = await fill(world.backlog, world.random, 40)
      const visitorHash = seed === 1 ? '0'.repeat(32) : hash(world.random)
      for (let n = 0; n < 75; n++) {
        const entry = someEntry({ visitorHash, source: 'kiosk', reason: 'quota' })
        await world.backlog.put(entry)
        entries.push(entry)
      }
      for (let count = 0; count < 3; count++) {
        const sinceMs = world.clock.now()
        for (let runs = 0; !world.figures().complete || (world.figures().countedAtMs ?? 0) <= sinceMs; runs++) {
          expect(runs).toBeLessThan(100)
          await world.clock.advance(60_000)
          expect(await world.run(3)).toBeLessThanOrEqual(3)
          if (world.figures().complete) expect(world.figures()).toMatchObject(plainTally(entries))
        }
      }
      // As one who lists all of it counts.
      const { waiting } = await tallyOf(world.backlog)
      expect(world.figures()).toMatchObject({ visitors: waiting.visitors, calls: waiting.posts })
      // One who can't be divided makes no parts.
      expect(world.kept().parts.length).toBeLessThan(100)
    },
  )

  it('counts a visitor anew where the store no longer knows where it stopped', async () => {
    const world = counting(6)
    for (let n = 0; n < 30; n++) await world.backlog.put(someEntry({ visitorHash: '5'.repeat(32) }))
    const { list } = world.kv
    let epoch = 1
    world.kv.list = async ({ cursor, ...asked }) => {
      const [, of, own] = /^(\d+):(.*)$/s.exec(cursor ?? '') ?? []
      if (of !== undefined && Number(of) !== epoch) throw new Error('no such cursor')
      const page = await list(own === undefined ? asked : { ...asked, cursor: own })
      return page.list_complete ? page : { ...page, cursor: `${epoch}:${page.cursor}` }
    }
    await world.run(3)
    epoch = 2
    await expect(world.run(3)).rejects.toThrow('no such cursor')
    for (let runs = 0; !world.figures().complete; runs++) {
      expect(runs).toBeLessThan(10)
      await world.run(3)
    }
    expect(world.figures()).toMatchObject({ waiting: 30, visitors: 1 })
  })

  it('takes no operation for a backlog of a page: it counts what the flush read, without what it removed', async () => {
    const world = await createWorld()
    const kv = counting(7)
    const isolate = world.isolate({ backlog: kv.census.backlog, ledger: world.ledger })
    await world.ledger.pause(true)
    await isolate.deliver(await Promise.all(['gold', 'blue'].map((tier) => world.update({ attributes: { tier } }))))
    await isolate.deliver([
      await world.update({ visitor: { thirdPartyId: 'held' }, attributes: { tier: 'red' } }, 'shop', 600_000),
    ])
    await world.ledger.pause(false)
    const report = await isolate.flush()
    expect(report).toMatchObject({ read: 3, replayed: 1 })
    expect(await kv.run(0, report)).toBe(0)
    expect(kv.figures()).toMatchObject({ waiting: 1, visitors: 1, bySource: { shop: 1 }, byReason: { delayed: 1 } })
  })

  it('asks for nothing where nothing waits; the report says so', async () => {
    const world = counting(8)
    await world.run(10, { read: 0 })
    const counted = world.memos.get(censusMemo)
    const asked = world.recalls.length
    expect(await world.run(10, { read: 0 })).toBe(0)
    expect(world.recalls).toHaveLength(asked)
    expect(world.memos.get(censusMemo)).toBe(counted)
    expect(figuresOf(world.kept(), 'post', world.clock.now())).toMatchObject({
      waiting: 0,
      complete: true,
      countedAtMs: world.clock.now(),
    })
  })

  it('an empty backlog is shown as empty until something was counted in it again', async () => {
    const world = counting(9)
    const entries = await fill(world.backlog, world.random, 9)
    await world.run(100)
    await world.clock.advance(60_000)
    expect(figuresOf(world.kept(), 'post', world.clock.now())).toMatchObject({
      waiting: 0,
      countedAtMs: world.clock.now(),
    })
    await world.run(100)
    expect(figuresOf(world.kept(), 'post')).toMatchObject(plainTally(entries))
  })

  it('counts dead letters by reason and source, some pages a run, and goes on where it stopped', async () => {
    const world = counting(10)
    for (let n = 0; n < 20; n++)
      await world.backlog.bury({
        reason: n % 4 === 0 ? 'expired' : 'rejected',
        source: n < 5 ? 'shop' : 'crm',
        atMs: 1_790_000_000_000 + n,
        firstSeenMs: 1_790_000_000_000,
        attempts: 1,
        raw: 'x',
      })
    await world.run(100)
    expect(world.kept().dead).toBeUndefined()
    await world.run(100)
    await world.run(100)
    expect(world.kept().dead).toEqual({
      atMs: world.clock.now(),
      byReason: { expired: 5, rejected: 15 },
      bySource: { shop: 5, crm: 15 },
    })
    // Not again until something was buried, or a quarter of an hour is over.
    expect(await world.run(100, { read: 0 })).toBe(0)
    expect(await world.run(100, { read: 0, dead: 1 })).toBeGreaterThan(0)
  })

  it.each([
    ['the platform', 'Too many API requests by single Worker invocation.'],
    ['the store', 'unreachable'],
  ])('comes to its end where %s ends the lists of each run', async (_, message) => {
    const world = counting(13)
    const entries = await fill(world.backlog, world.random, 120)
    for (let n = 0; n < 30; n++)
      await world.backlog.bury({
        ...{ reason: 'rejected', source: 'crm', atMs: n, firstSeenMs: n, attempts: 1 },
        entry: someEntry(),
      })
    const { list } = world.kv
    for (let runs = 0; !world.figures().complete || world.kept().dead === undefined; runs++) {
      expect(runs).toBeLessThan(200)
      await world.clock.advance(60_000)
      let left = world.kept().dead === undefined ? 1 : 4
      world.kv.list = (...asked) => (left-- <= 0 ? Promise.reject(new Error(message)) : list(...asked))
      await world.run(100).catch((error: Error) => expect(error.message).toBe(message))
    }
    expect(world.figures()).toMatchObject(plainTally(entries))
    expect(world.kept().dead?.byReason).toEqual({ rejected: 30 })
  })

  it('loses nothing of what it counted where nothing is left for it in a run', async () => {
    const world = counting(14)
    for (let n = 0; n < 40; n++) await world.backlog.put(someEntry({ visitorHash: '5'.repeat(32) }))
    await world.run(4)
    const { list } = world.kv
    const before = world.kept().parts
    world.kv.list = () => Promise.reject(new Error('Too many API requests by single Worker invocation.'))
    await expect(world.run(4)).rejects.toThrow('Too many')
    expect(world.kept().parts).toEqual(before)
    expect(before[0]?.soFar?.tally.waiting).toBeGreaterThan(0)
    world.kv.list = list
  })

  it('keeps what it counted where the store ends the rest', async () => {
    const world = counting(11)
    await fill(world.backlog, world.random, 60)
    const { list } = world.kv
    let lists = 0
    world.kv.list = (...asked) => (++lists > 6 ? Promise.reject(new Error('Too many API requests')) : list(...asked))
    await expect(world.run(100)).rejects.toThrow('Too many API requests')
    world.kv.list = list
    expect(world.kept().dead).toBeDefined()
  })
})

it('leaves half of a scarce share to the duties behind it (G7)', async () => {
  const world = await createWorld()
  const random = seededRandom(12)
  const kv = fakeKv({ now: world.clock.now })
  const scarce = { ...limits, dutyOperations: 10 }
  const backlog = kvBacklog(kv, { randomHex: random.hex, seal: plainSeal, limits: scarce })
  await fill(backlog, random, 120)
  const { duty } = createCensus({ backlog, ledger: world.ledger, clock: world.clock, limits: scarce, memory: {} })
  const before = backlog.operations
  await duty.work(
    { has: (more = 0) => backlog.operations + more <= before + scarce.dutyOperations },
    { ...emptyReport(), read: 1 },
  )
  expect(backlog.operations - before).toBe(5)
})
