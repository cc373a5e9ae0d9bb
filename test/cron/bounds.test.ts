/** A run's bounds: nothing makes it exceed its time or budget, or stops it for everybody (G7); its work stays correct. */
import { describe, expect, it } from 'vitest'
import { LedgerSilent } from '../../src/core/ledger/errors.ts'
import type { AdmitRequest, Ledger, Settlement } from '../../src/core/ledger/port.ts'
import { defaultLimits } from '../../src/core/limits.ts'
import { segmentMemo } from '../../src/cron/place.ts'
import { emptyReport, lastRunMemo, writeLastRun } from '../../src/cron/report.ts'
import { firstDigit, holds, type Segment, segmentsOf } from '../../src/cron/segments.ts'
import { createWorld, type TargetAnswer, type World } from '../support/world.ts'

type Draft = Parameters<World['update']>[0]

/** Defers the updates, since the ledger is silent, and waits until the outage has settled. */
async function deferred(world: World, drafts: readonly Draft[]): Promise<void> {
  const silent = world.isolate({ ledger: { ...world.ledger, admit: () => Promise.reject(new Error('silent')) } })
  for (const draft of drafts) {
    await silent.deliver([await world.update(draft)])
    await world.clock.advance(1)
  }
  await world.clock.advance(120_001)
}

const visitors = (count: number): Draft[] =>
  Array.from({ length: count }, (_, n) => ({
    id: `${n}`,
    visitor: { thirdPartyId: `v${n}` },
    attributes: { tier: `x${n}` },
  }))
const reached = (world: World, count: number) =>
  Array.from({ length: count }, (_, n) => n).filter((n) => world.profile(`v${n}`)['tier'] === `x${n}`)
const hashOf = async (world: World, thirdPartyId: string) =>
  (await world.update({ visitor: { thirdPartyId }, attributes: { any: '1' } })).visitorHash

/** Rejects each admission or settle that contains one of these visitors, after `takesMs`. */
function refusing(world: World, hashes: readonly string[], step: 'admit' | 'settle', takesMs = 0) {
  const asked: number[] = []
  const reject = async (): Promise<never> => {
    await world.clock.advance(takesMs)
    throw takesMs > 0 ? new LedgerSilent(takesMs) : new RangeError('too large')
  }
  const ledger: Ledger = {
    ...world.ledger,
    admit: async (requests, lane) => {
      if (step === 'admit') asked.push(requests.length)
      return step === 'admit' && requests.some(({ visitorHash }) => hashes.includes(visitorHash))
        ? reject()
        : world.ledger.admit(requests, lane)
    },
    settle: async (settlements, counts) => {
      if (step === 'settle') asked.push(settlements.length)
      return step === 'settle' && settlements.some(({ visitorHash }) => hashes.includes(visitorHash))
        ? reject()
        : world.ledger.settle(settlements, counts)
    },
  }
  return { ledger, asked }
}

describe('a visitor that the ledger rejects', () => {
  it('does not stop the others: only it is skipped, and that is logged (G7)', async () => {
    const world = await createWorld()
    await deferred(world, visitors(20))
    const hash = await hashOf(world, 'v0')
    const report = await world.isolate(refusing(world, [hash], 'admit')).flush()
    expect(reached(world, 20)).toHaveLength(19)
    expect(report).toMatchObject({ stopped: 'drained', skipped: 1, replayed: 19 })
    expect(world.logged).toContain(JSON.stringify({ event: 'replay_skipped', step: 'admit', error: 'RangeError' }))
    expect(world.logged.join()).not.toContain(hash)
    expect(await world.entries()).toBe(1)
  })

  it('keeps nobody from a second try, also where asking about it takes the rest of each run (G7)', async () => {
    const world = await createWorld()
    await deferred(world, visitors(5))
    const { ledger } = refusing(world, [await hashOf(world, 'v0')], 'admit', 2_000)
    const isolate = world.isolate({ ledger })
    world.target.behave = () => ({ kind: 'unavailable', status: 503 })
    for (let run = 0; run < 6; run++) {
      await isolate.flush({ maxMs: 1_500 })
      await world.clock.advance(900_000)
    }
    world.target.behave = () => undefined
    for (let run = 0; run < 4; run++) {
      await isolate.flush({ maxMs: 1_500 })
      await world.clock.advance(900_000)
    }
    expect(await world.entries()).toBe(1)
  })

  it('is asked about last and alone from then on, and costs a run one request', async () => {
    const world = await createWorld()
    await deferred(world, visitors(20))
    const { ledger, asked } = refusing(world, [await hashOf(world, 'v0')], 'admit')
    await world.isolate({ ledger }).flush()
    await deferred(
      world,
      visitors(20).map((draft) => ({ ...draft, id: `again-${draft.id}` })),
    )
    asked.length = 0
    await world.isolate({ ledger }).flush()
    expect(asked).toEqual([16, 3, 1])
    // Once it is admitted again, it is treated like all others.
    expect(await world.flush()).toMatchObject({ stopped: 'drained', skipped: 0 })
    expect(await world.entries()).toBe(0)
    expect(await world.ledger.recall('flush-place')).toBe(';')
  })

  it('does not block replay even if one rejection takes longer than a run may last', async () => {
    const world = await createWorld()
    await deferred(world, visitors(40))
    const { ledger } = refusing(world, [await hashOf(world, 'v0')], 'admit', 1_500)
    for (let run = 0; run < 8; run++) {
      await world.isolate({ ledger }).flush({ maxMs: 1_000 })
      await world.clock.advance(60_000)
    }
    expect(reached(world, 40)).toHaveLength(39)
    expect(await world.entries()).toBe(1)
  })

  it.each([
    ['at once', 0],
    ['after more time than a run has', 1_500],
  ] as const)(
    'does not block replay even if its entries fill whole pages, and it is rejected %s',
    async (_, takesMs) => {
      const world = await createWorld()
      await deferred(world, visitors(6))
      const many = Array.from({ length: 20 }, (_, n) => ({
        id: `m${n}`,
        visitor: { thirdPartyId: 'many' },
        attributes: { [`a${n}`]: 'x' },
      }))
      await deferred(world, many)
      const { ledger } = refusing(world, [await hashOf(world, 'many')], 'admit', takesMs)
      const limits = { keysPerPage: 4, entriesTogether: 4, attributesPerAttempt: 1, attributesTogether: 1 }
      for (let run = 0; run < 20; run++) {
        await world.isolate({ ledger, limits }).flush({ maxMs: 1_000 })
        await world.clock.advance(60_000)
      }
      expect(await world.entries()).toBe(20)
    },
  )

  it('does not block a run of several either, whose place is that of its segment (G7)', async () => {
    const world = await createWorld()
    const [own] = segmentsOf(2) as [Segment, Segment]
    const hashes = await Promise.all(visitors(40).map((_, n) => hashOf(world, `v${n}`)))
    const inOwn = hashes.filter((hash) => holds(own, hash)).toSorted()
    // The first of its segment: a run that begins there finds nothing else.
    const [many = '', ...others] = inOwn.map((hash) => `v${hashes.indexOf(hash)}`)
    const draft = (thirdPartyId: string, n: number) => ({
      id: `${thirdPartyId}-${n}`,
      visitor: { thirdPartyId },
      attributes: { [`a${n}`]: 'x' },
    })
    await deferred(
      world,
      others.map((name) => draft(name, 0)),
    )
    await deferred(
      world,
      Array.from({ length: 20 }, (_, n) => draft(many, n)),
    )
    const { ledger } = refusing(world, [await hashOf(world, many)], 'admit', 1_500)
    const limits = { keysPerPage: 4, entriesTogether: 4, attributesPerAttempt: 1, attributesTogether: 1 }
    // Where a run that has read all of it leaves it; that on the ring is elsewhere.
    await world.ledger.remember(segmentMemo(own), `${firstDigit(own)};`)
    // The other run finds nothing, and the lead's own always has too little time: the next one is again of two.
    const startRun = async () => ({ ...emptyReport(), stopped: 'time' as const })
    await world.ledger.remember(lastRunMemo, writeLastRun({ atMs: 1, report: { stopped: 'time' } }))
    for (let run = 0; run < 20; run++) {
      const report = await world.isolate({ ledger, limits }).flush({ maxMs: 1_000, runs: 2, startRun })
      expect(report).toMatchObject({ runsTogether: 2, stopped: 'time' })
      await world.clock.advance(60_000)
    }
    expect(others.filter((name) => world.profile(name)['a0'] === 'x')).toEqual(others)
    expect(await world.entries()).toBe(20)
  })

  it('if one settlement is rejected, the others are confirmed and its own entry stays (G2)', async () => {
    const world = await createWorld()
    await deferred(world, visitors(20))
    const report = await world.isolate(refusing(world, [await hashOf(world, 'v7')], 'settle')).flush()
    expect(report).toMatchObject({ stopped: 'drained', skipped: 1, replayed: 19 })
    const { items } = await world.backlog.list()
    expect(items.map((item) => ('entry' in item ? item.entry.visitor : {}))).toEqual([{ thirdPartyId: 'v7' }])
    await world.clock.advance(90_001)
    await world.flush()
    expect(await world.entries()).toBe(0)
  })

  it('a ledger that answers but rejects every visitor ends the run after a few requests', async () => {
    const world = await createWorld()
    await deferred(world, visitors(40))
    const all = await Promise.all(Array.from({ length: 40 }, (_, n) => hashOf(world, `v${n}`)))
    const { ledger, asked } = refusing(world, all, 'admit')
    expect(await world.isolate({ ledger }).flush()).toMatchObject({ stopped: 'ledger_unavailable', skipped: 3 })
    expect(asked.length).toBeLessThanOrEqual(8)
    expect(await world.entries()).toBe(40)
  })

  it('a ledger that falls silent in a run costs two time-outs', async () => {
    const world = await createWorld()
    await deferred(world, visitors(40))
    let silences = 0
    const silent = async () => {
      silences++
      await world.clock.advance(1_500)
      throw new LedgerSilent(1_500)
    }
    let down = false
    const ledger = new Proxy(world.ledger, {
      get: (target, property) => {
        const given: unknown = Reflect.get(target, property)
        if (typeof given !== 'function') return given
        return (...args: unknown[]) => {
          down ||= property === 'admit'
          return down ? silent() : given.apply(target, args)
        }
      },
    })
    expect((await world.isolate({ ledger }).flush()).stopped).toBe('ledger_unavailable')
    // And one each for saving the place of the run and for releasing its lease, which both fail.
    expect(silences).toBe(4)
  })
})

describe('what one visitor has in the backlog', () => {
  const bad: TargetAnswer = { kind: 'refused', message: 'no', own: true }

  /** Sixty entries of one visitor, one of which Target refuses, and one of another visitor. */
  async function refusedMerge(): Promise<World> {
    const world = await createWorld()
    const drafts = Array.from({ length: 60 }, (_, n) => ({
      id: `${n}`,
      attributes: n === 30 ? { poison: '1' } : { [`a${n}`]: `${n}` },
    }))
    await deferred(world, [
      ...drafts,
      { id: 'other', visitor: { thirdPartyId: 'other' }, attributes: { tier: 'gold' } },
    ])
    return world
  }

  it.each([
    ['of one call', { maxCalls: 1 }, 0],
    ['of two calls', { maxCalls: 2 }, 0],
    ['of three calls', { maxCalls: 3 }, 0],
    ['that are over after one call', { maxMs: 1_000 }, 1_200],
  ] as const)('is split up by runs %s, and keeps nobody else waiting (G7)', async (_, bounds, callMs) => {
    const world = await createWorld()
    const drafts = Array.from({ length: 12 }, (_, n) => ({
      id: `${n}`,
      attributes: n === 6 ? { poison: '1' } : { [`a${n}`]: `${n}` },
    }))
    await deferred(world, [...drafts, ...visitors(3)])
    world.target.behave = async (_call, pairs) => {
      await world.clock.advance(callMs)
      return pairs.has('poison') ? bad : { kind: 'delivered' }
    }
    let runs = 0
    for (; (await world.entries()) > 0 && runs < 60; runs++) {
      await world.flush(bounds)
      await world.clock.advance(60_000)
    }
    expect(await world.entries()).toBe(0)
    expect(await world.dead()).toEqual(['rejected'])
    expect(Object.keys(world.profile())).toHaveLength(11)
  })

  it('leaves what lost to it where it is, if the run has no call left for that (G2)', async () => {
    const world = await createWorld()
    await deferred(world, [
      { id: '1', attributes: { tier: 'good' } },
      { id: '2', attributes: { tier: 'poison' } },
    ])
    world.target.behave = (_, pairs) => (pairs.get('tier') === 'poison' ? bad : undefined)
    expect(await world.flush({ maxCalls: 1 })).toMatchObject({ calls: 1, dead: 1, replayed: 0 })
    expect(await world.entries()).toBe(1)
    await world.flush({ maxCalls: 1 })
    expect([world.profile(), await world.entries(), await world.dead()]).toEqual([{ tier: 'good' }, 0, ['rejected']])
  })

  it('is split up within the run’s time, and the next run goes on (G7)', async () => {
    const world = await refusedMerge()
    world.target.behave = async (_, pairs) => {
      await world.clock.advance(300)
      return pairs.has('poison') ? bad : { kind: 'delivered' }
    }
    let runs = 0
    for (; (await world.entries()) > 0 && runs < 10; runs++) {
      const startedMs = world.clock.now()
      const report = await world.flush({ maxMs: 5_000 })
      expect(world.clock.now() - startedMs).toBeLessThan(5_400)
      expect(report.stopped).toBe((await world.entries()) === 0 ? 'drained' : 'time')
      // What was done has left the backlog, although the run ended in the middle.
      expect(report.replayed + report.dead).toBeGreaterThan(5)
      await world.clock.advance(60_000)
    }
    expect(runs).toBeGreaterThan(2)
    expect(Object.keys(world.profile())).toHaveLength(59)
    expect(await world.dead()).toEqual(['rejected'])
  })

  it.each(['operations', 'calls'] as const)(
    'is split up within the run’s %s, and the next run goes on (G7)',
    async (spent) => {
      const world = await refusedMerge()
      world.target.behave = (_, pairs) => (pairs.has('poison') ? bad : undefined)
      let runs = 0
      for (; (await world.entries()) > 0 && runs < 30; runs++) {
        const [operations, calls] = [world.backlog.operations, world.target.calls.length]
        await world.flush(spent === 'operations' ? { maxOperations: 20 } : { maxCalls: 9 })
        if (spent === 'operations') expect(world.backlog.operations - operations).toBeLessThanOrEqual(20 + 1)
        else expect(world.target.calls.length - calls).toBeLessThanOrEqual(9)
        await world.clock.advance(60_000)
      }
      expect(await world.entries()).toBe(0)
      expect(Object.keys(world.profile())).toHaveLength(59)
      expect(await world.dead()).toEqual(['rejected'])
    },
  )

  it('is left as it is once the process shuts down', async () => {
    const world = await refusedMerge()
    let calls = 0
    world.target.behave = (_, pairs) => {
      calls++
      return pairs.has('poison') ? bad : undefined
    }
    const report = await world.flush({ stopping: () => calls >= 5 })
    expect(report.stopped).toBe('stopping')
    expect(calls).toBe(5)
  })

  it('is cleaned up within one and a half times the run’s time', async () => {
    const world = await createWorld()
    await deferred(
      world,
      Array.from({ length: 100 }, (_, n) => ({ id: `${n}`, attributes: { [`a${n}`]: 'x' } })),
    )
    const slow = {
      ...world.backlog,
      removesTogether: () => false,
      delete: async (key: string) => {
        await world.clock.advance(1_000)
        await world.backlog.delete(key)
      },
    }
    const startedMs = world.clock.now()
    expect((await world.isolate({ backlog: slow }).flush({ maxMs: 10_000 })).stopped).toBe('time')
    expect(world.clock.now() - startedMs).toBeLessThanOrEqual(16_000)
    // Sent only once, however much is left to clean up.
    for (let run = 0; run < 10; run++) {
      await world.clock.advance(60_000)
      await world.isolate({ backlog: slow }).flush({ maxMs: 10_000 })
    }
    expect(await world.entries()).toBe(0)
    expect(world.target.calls).toHaveLength(1)
  })

  it('clean-up uses no more operations than the run has (G7)', async () => {
    const world = await createWorld()
    await deferred(
      world,
      Array.from({ length: 30 }, (_, n) => ({ id: `${n}`, attributes: { [`a${n}`]: 'x' } })),
    )
    const counting = { ...world.backlog, operations: 0 }
    const counted = new Proxy(world.backlog, {
      get: (target, property) => {
        const given: unknown = Reflect.get(target, property)
        if (property === 'removesTogether') return () => false
        if (typeof given !== 'function') return given
        return (...args: unknown[]) => {
          counting.operations++
          return given.apply(target, args)
        }
      },
    })
    expect((await world.isolate({ backlog: counted }).flush({ maxOperations: 11 })).stopped).toBe('operations')
    expect(counting.operations).toBe(11)
    expect(await world.entries()).toBe(20)
  })
})

describe('budgets', () => {
  it('everything is delivered even with the smallest ones (G7)', async () => {
    const world = await createWorld()
    await deferred(world, [
      ...visitors(25),
      ...visitors(5).map((draft) => ({ ...draft, id: `b${draft.id}`, attributes: { other: '1' } })),
    ])
    world.target.behave = async () => {
      await world.clock.advance(300)
      return { kind: 'delivered' }
    }
    let runs = 0
    for (; (await world.entries()) > 0 && runs < 60; runs++) {
      const [operations, startedMs] = [world.backlog.operations, world.clock.now()]
      await world.flush({ maxMs: 1_000, maxOperations: 5 })
      expect(world.backlog.operations - operations).toBeLessThanOrEqual(5 + 1)
      expect(world.clock.now() - startedMs).toBeLessThan(3_000)
      await world.clock.advance(60_000)
    }
    expect(await world.entries()).toBe(0)
    expect(reached(world, 25)).toHaveLength(25)
    expect(world.target.calls.length).toBe(25)
  })

  it('calls: a run makes at most FLUSH_MAX_CALLS, even if one update takes several (G1)', async () => {
    const world = await createWorld()
    const note = 'x'.repeat(50_000)
    await deferred(world, [
      { id: 'large', visitor: { thirdPartyId: 'large' }, attributes: { a: note, b: note, c: note } },
      ...visitors(6),
    ])
    for (const [calls, stopped] of [
      [4, 'calls'],
      [4, 'calls'],
      [1, 'drained'],
    ] as const) {
      expect(await world.flush({ maxCalls: 4 })).toMatchObject({ calls, stopped })
      await world.clock.advance(60_000)
    }
    expect(world.target.calls).toHaveLength(9)
    expect(await world.entries()).toBe(0)
    expect((await world.ledger.usage()).used).toBe(9)
  })

  it('calls: also if one attempt takes several, of which the rest wait', async () => {
    const world = await createWorld()
    const note = 'x'.repeat(7_000)
    await deferred(world, [{ id: 'large', attributes: { a: note, b: note, c: note, d: note, e: note } }])
    const byGet = world.isolate({ method: 'get' })
    for (const [calls, stopped] of [
      [2, 'calls'],
      [2, 'calls'],
      [1, 'drained'],
    ] as const) {
      expect(await byGet.flush({ maxCalls: 2 })).toMatchObject({ calls, stopped })
      await world.clock.advance(60_000)
    }
    expect(Object.keys(world.profile())).toHaveLength(5)
    expect(await world.entries()).toBe(0)
  })

  it('the lease is renewed throughout, so that nobody else gets it while a run lasts', async () => {
    const world = await createWorld()
    world.target.behave = async (_, pairs) => {
      if (pairs.has('tier')) return { kind: 'delivered' }
      await world.clock.advance(20_000)
      expect(await world.ledger.lease('flush', 'somebody else', 1_000)).toBe(false)
      return pairs.has('poison') ? { kind: 'refused', message: 'no', own: true } : { kind: 'delivered' }
    }
    // Many visitors, and one whose merge is split up.
    await deferred(world, [
      ...visitors(4),
      ...Array.from({ length: 12 }, (_, n) => ({
        id: `m${n}`,
        attributes: n === 6 ? { poison: '1' } : { [`a${n}`]: 'x' },
      })),
    ])
    const slow = {
      ...world.backlog,
      removesTogether: () => false,
      delete: async (key: string) => {
        await world.clock.advance(25_000)
        expect(await world.ledger.lease('flush', 'somebody else', 1_000)).toBe(false)
        await world.backlog.delete(key)
      },
    }
    const report = await world.isolate({ backlog: slow }).flush({ maxMs: 3_600_000 })
    expect(report.durationMs).toBeGreaterThan(300_000)
    expect(await world.entries()).toBe(0)
    expect(await world.ledger.lease('flush', 'somebody else', 1_000)).toBe(true)
  })

  it('the run ends if somebody else has got the lease meanwhile', async () => {
    const world = await createWorld()
    await deferred(world, visitors(40))
    const ledger: Ledger = {
      ...world.ledger,
      lease: async (name, holder, ttlMs) => world.target.calls.length === 0 && world.ledger.lease(name, holder, ttlMs),
    }
    world.target.behave = async () => {
      await world.clock.advance(40_000)
      return { kind: 'delivered' }
    }
    expect((await world.isolate({ ledger }).flush({ maxMs: 600_000 })).stopped).toBe('leased')
    expect(world.target.calls.length).toBeLessThan(16)
  })
})

describe('a store that is hard to read', () => {
  it('if reading a page takes longer than a run may last, what was read is still worked on (G7)', async () => {
    const world = await createWorld()
    await deferred(world, visitors(40))
    const backlog: World['backlog'] = {
      ...world.backlog,
      get operations() {
        return world.backlog.operations
      },
      list: async (options) => {
        await world.clock.advance(80_000)
        return world.backlog.list(options)
      },
    }
    await world.isolate({ backlog }).flush()
    expect(reached(world, 40)).toHaveLength(40)
  })

  it('if one key in the first page is slow, runs that begin elsewhere still make progress (G7)', async () => {
    const world = await createWorld()
    await deferred(world, visitors(40))
    const limits = { keysPerPage: 4, entriesTogether: 4 }
    const [first] = (await world.backlog.list({ limit: 1 })).items
    const backlog: World['backlog'] = {
      ...world.backlog,
      get operations() {
        return world.backlog.operations
      },
      list: async (options) => {
        const page = await world.backlog.list(options)
        await world.clock.advance(page.items.some(({ key }) => key === first?.key) ? 20_000 : 1_000)
        return { ...page, items: page.items.filter(({ key }) => key !== first?.key) }
      },
    }
    for (let run = 0; run < 30; run++) {
      await world.isolate({ backlog, limits }).flush({ maxMs: 5_000 })
      await world.clock.advance(60_000)
    }
    expect(await world.entries()).toBe(1)
  })

  it('if a visitor’s second page is slow and its first waits for values there, it is still worked on (G7)', async () => {
    const world = await createWorld()
    const startMs = world.clock.now()
    world.target.behave = () => ({ kind: 'unanswered', why: 'network' })
    await world.deliver([await world.update({ id: 'newest', attributes: { tier: 'newest' }, occurredAt: startMs })])
    await world.settled()
    const older = Array.from({ length: 4 }, (_, n) => ({
      id: `${n}`,
      attributes: { tier: `${n}` },
      occurredAt: startMs - 10_000 + n,
    }))
    await deferred(world, older)
    world.target.behave = () => undefined
    const newest = (await world.backlog.list()).items.at(-1)?.key
    const backlog: World['backlog'] = {
      ...world.backlog,
      get operations() {
        return world.backlog.operations
      },
      list: async (options) => {
        const page = await world.backlog.list(options)
        await world.clock.advance(page.items.some(({ key }) => key === newest) ? 20_000 : 500)
        return page
      },
    }
    for (let run = 0; run < 10; run++) {
      await world.isolate({ backlog, limits: { keysPerPage: 3, entriesTogether: 3 } }).flush({ maxMs: 10_000 })
      await world.clock.advance(15 * 60_000)
    }
    expect(world.profile()).toEqual({ tier: 'newest' })
    expect(await world.entries()).toBe(0)
  })

  it('if one key can’t be deleted, the pages after it are still replayed (G7)', async () => {
    const world = await createWorld()
    await deferred(world, visitors(40))
    const limits = { keysPerPage: 4, entriesTogether: 4 }
    const sick = (await world.backlog.list()).items[13]?.key
    const backlog: World['backlog'] = {
      ...world.backlog,
      get operations() {
        return world.backlog.operations
      },
      removesTogether: () => false,
      delete: (key) => (key === sick ? Promise.reject(new Error('KV DELETE failed: 500')) : world.backlog.delete(key)),
    }
    for (let run = 0; run < 30; run++) {
      await world.isolate({ backlog, limits }).flush()
      await world.clock.advance(60_000)
    }
    expect(reached(world, 40)).toHaveLength(40)
    expect((await world.backlog.list()).items.map(({ key }) => key)).toContain(sick)
  })

  it.each([7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 24, 26])(
    'if the platform allows fewer operations than configured (%i), each page still gets a whole run in turn (G7)',
    async (operations) => {
      const world = await createWorld({ limits: { ...defaultLimits, keysPerPage: 3, entriesTogether: 3 } })
      await deferred(
        world,
        Array.from({ length: 13 }, (_, n) => ({
          id: `${n}`,
          visitor: { thirdPartyId: 'v0' },
          attributes: { [`a${n}`]: `x${n}` },
        })),
      )
      for (let run = 0; run < 150 && (await world.entries()) > 0; run++) {
        let left = operations
        const given = async <T>(work: () => Promise<T>): Promise<T> => {
          if (left-- <= 0) throw new Error('Too many API requests by single Worker invocation.')
          return work()
        }
        const { backlog } = world
        const scarce: World['backlog'] = {
          ...backlog,
          get operations() {
            return backlog.operations
          },
          list: (options) => given(() => backlog.list(options)),
          put: (entry) => given(() => backlog.put(entry)),
          removesTogether: () => false,
          delete: (key) => given(() => backlog.delete(key)),
        }
        await world.isolate({ backlog: scarce }).flush()
        await world.clock.advance(60_000)
      }
      expect(await world.entries()).toBe(0)
    },
  )
})

describe('the platform’s own limits', () => {
  it('“Too many subrequests” ends the run and is not counted as a failure: no backoff, no breaker, nothing lost', async () => {
    const world = await createWorld()
    await deferred(world, visitors(20))
    world.target.behave = () => (world.target.calls.length > 5 ? { kind: 'unsent', why: 'limit' } : undefined)
    const report = await world.flush()
    expect(report).toMatchObject({ stopped: 'subrequests', calls: 5, replayed: 5 })
    const { used, health } = await world.ledger.usage()
    expect(used).toBe(5)
    expect(health.breaker).toBeUndefined()
    world.target.behave = () => undefined
    await world.clock.advance(60_000)
    // With what the platform surely allows.
    expect(await world.flush()).toMatchObject({ stopped: 'calls', replayed: 10 })
    expect(await world.flush()).toMatchObject({ stopped: 'drained', replayed: 5 })
  })

  it('is distinguished from a silent ledger and from a store that is down', async () => {
    const world = await createWorld()
    await deferred(world, visitors(3))
    const tooMany = (what: string) => () => Promise.reject(new Error(what))
    const ledger = { ...world.ledger, admit: tooMany('Too many subrequests.') }
    expect((await world.isolate({ ledger }).flush()).stopped).toBe('subrequests')
    const backlog = Object.create(world.backlog, {
      removesTogether: { value: () => false },
      delete: { value: tooMany('Too many API requests by single worker invocation.') },
    }) as World['backlog']
    expect((await world.isolate({ backlog }).flush()).stopped).toBe('operations')
    expect(await world.flush()).toMatchObject({ stopped: 'drained' })
    expect(world.target.calls).toHaveLength(3)
  })
})

describe('attempts of bounded size', () => {
  const many = (count: number, tag = 'a') =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`${tag}${n}`, `${n}`]))

  /** The requests of each step. */
  function watching(world: World) {
    const admissions: (readonly AdmitRequest[])[] = []
    const settles: (readonly Settlement[])[] = []
    const ledger: Ledger = {
      ...world.ledger,
      admit: (requests, lane) => {
        admissions.push(requests)
        return world.ledger.admit(requests, lane)
      },
      settle: (settlements, counts) => {
        settles.push(settlements)
        return world.ledger.settle(settlements, counts)
      },
    }
    return { ledger, admissions }
  }

  function expectBounded(admissions: readonly (readonly AdmitRequest[])[]) {
    for (const requests of admissions) {
      expect(requests.length).toBeLessThanOrEqual(16)
      for (const { attributes } of requests) expect(attributes.length).toBeLessThanOrEqual(200)
      expect(requests.reduce((sum, { attributes }) => sum + attributes.length, 0)).toBeLessThanOrEqual(1_000)
    }
  }

  it('an entry with very many attributes, written by an older version, is replayed and blocks nobody', async () => {
    const world = await createWorld()
    const older = world.isolate({
      limits: { attributesPerAttempt: 1e6, attributesTogether: 1e6 },
      ledger: { ...world.ledger, admit: () => Promise.reject(new Error('silent')) },
    })
    await older.deliver([await world.update({ id: 'huge', attributes: many(3_000) })])
    expect(await world.entries()).toBe(1)
    await deferred(world, visitors(20))
    const { ledger, admissions } = watching(world)
    expect(await world.isolate({ ledger }).flush()).toMatchObject({ stopped: 'drained', replayed: 21, calls: 35 })
    expectBounded(admissions)
    expect(Object.keys(world.profile())).toHaveLength(3_000)
    expect(reached(world, 20)).toHaveLength(20)
    expect(await world.entries()).toBe(0)
  })

  it('many entries of one visitor are merged into several attempts with the newest of each attribute (G2, G3)', async () => {
    const world = await createWorld()
    await deferred(
      world,
      Array.from({ length: 12 }, (_, n) => ({ id: `${n}`, attributes: { ...many(50, `n${n % 6}-`), shared: `${n}` } })),
    )
    const { ledger, admissions } = watching(world)
    expect(await world.isolate({ ledger }).flush()).toMatchObject({
      stopped: 'drained',
      calls: 2,
      merged: 11,
      callsSaved: 10,
    })
    expectBounded(admissions)
    expect(Object.keys(world.profile())).toHaveLength(301)
    expect(world.profile()['shared']).toBe('11')
    expect(await world.entries()).toBe(0)
  })

  it('the failed ones of a visitor’s attempts are settled last, so that no success clears their backoff', async () => {
    const world = await createWorld()
    await deferred(world, [{ id: '1', attributes: { ...many(250), bad: '1' } }])
    // The part that fails comes first.
    world.target.behave = (_, pairs) =>
      pairs.has('a0') ? { kind: 'unavailable', status: 503, retryAfterMs: 300_000 } : undefined
    expect(await world.flush()).toMatchObject({ calls: 2 })
    await world.clock.advance(290_000)
    expect(await world.flush()).toMatchObject({ calls: 0 })
    await world.clock.advance(20_000)
    expect(await world.flush()).toMatchObject({ calls: 1 })
  })

  it('failures of several attempts of one visitor do not mean that Target is down', async () => {
    const world = await createWorld()
    await deferred(world, [{ id: 'large', attributes: many(700) }, ...visitors(3)])
    world.target.behave = (_, pairs) => (pairs.has('tier') ? undefined : { kind: 'unavailable', status: 500 })
    await world.isolate({ limits: { attemptsTogether: 4 } }).flush()
    expect(reached(world, 3)).toHaveLength(3)
  })
})

describe('stamps in a run', () => {
  it('the earliest stamp of equal ids in the backlog counts: a repeat does not overtake what came in between (G3)', async () => {
    const world = await createWorld()
    await deferred(world, [
      { id: 'evt', attributes: { tier: 'old' } },
      { id: 'between', attributes: { tier: 'new' } },
      { id: 'evt', attributes: { tier: 'old' } },
    ])
    await world.flush()
    expect(world.profile()).toEqual({ tier: 'new' })
    expect(await world.entries()).toBe(0)
  })
})
