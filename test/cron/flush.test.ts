import { describe, expect, it } from 'vitest'
import type { Backlog } from '../../src/core/backlog/port.ts'
import type { Ledger } from '../../src/core/ledger/port.ts'
import { createWorld, type World } from '../support/world.ts'

/** Defers whatever `work` delivers, since Target is down, and waits until the backoff is over. */
async function deferred(
  world: World,
  drafts: readonly (Parameters<World['update']>[0] & { visitor?: unknown })[],
): Promise<void> {
  const silent = world.isolate({ ledger: { ...world.ledger, admit: () => Promise.reject(new Error('silent')) } })
  for (const draft of drafts) await silent.deliver([await world.update(draft)])
  await world.clock.advance(120_001)
}

describe('flush: updates taken in under another TARGET_METHOD', () => {
  it('an attribute that no longer fits in a call is set aside and blocks nobody (G7, G2)', async () => {
    const world = await createWorld()
    await deferred(world, [
      { id: '1', attributes: { note: 'x'.repeat(20_000), tier: 'gold' } },
      { id: '2', visitor: { thirdPartyId: 'only-large' }, attributes: { note: 'y'.repeat(20_000) } },
      { id: '3', visitor: { thirdPartyId: 'visitor-2' }, attributes: { tier: 'iron' } },
    ])
    const byGet = world.isolate({ method: 'get' })
    expect(await byGet.flush()).toMatchObject({ stopped: 'drained', dead: 2, deferredAgain: 0 })
    expect([world.profile(), world.profile('visitor-2')]).toEqual([{ tier: 'gold' }, { tier: 'iron' }])
    const dead = (await world.backlog.listDead()).items.map((item) =>
      'dead' in item ? [item.dead.reason, item.dead.detail] : [],
    )
    expect(dead).toEqual(Array.from({ length: 2 }, () => ['rejected', 'is larger than one call to Target can carry']))
    expect(await world.entries()).toBe(0)
  })
})

describe('flush: merging', () => {
  it('sends one call for many updates of one visitor, with the newest value of each attribute (G3), and reports the calls saved', async () => {
    const world = await createWorld()
    await deferred(world, [
      { id: '1', attributes: { tier: 'bronze', city: 'Oslo' }, occurredAt: world.clock.now() - 30_000 },
      { id: '2', attributes: { tier: 'gold' }, occurredAt: world.clock.now() - 10_000 },
      { id: '3', attributes: { tier: 'silver' }, occurredAt: world.clock.now() - 20_000 },
    ])
    const report = await world.flush()
    expect(world.profile()).toEqual({ tier: 'gold', city: 'Oslo' })
    expect(report).toMatchObject({
      read: 3,
      calls: 1,
      callsSaved: 2,
      merged: 2,
      deferredAgain: 0,
      stopped: 'drained',
    })
    expect(world.target.calls).toHaveLength(1)
    expect(await world.entries()).toBe(0)
  })

  it('splits up a refused merge: the good events are delivered, the bad one is set aside, a loser is not lost (G2)', async () => {
    const world = await createWorld()
    world.target.behave = (_, pairs) =>
      pairs.get('tier') === 'poison' ? { kind: 'refused', message: 'no', own: true } : undefined
    await deferred(world, [
      { id: '1', attributes: { tier: 'silver' }, occurredAt: world.clock.now() - 30_000 },
      { id: '2', attributes: { city: 'Oslo' }, occurredAt: world.clock.now() - 20_000 },
      { id: '3', attributes: { tier: 'poison' }, occurredAt: world.clock.now() - 10_000 },
    ])
    await world.flush()
    expect(world.profile()).toEqual({ tier: 'silver', city: 'Oslo' })
    expect(await world.dead()).toEqual(['rejected'])
    expect(await world.entries()).toBe(0)
  })
})

it('an update that a relay with a clock hours ahead took in without the ledger does not wait by that clock (G7)', async () => {
  const world = await createWorld()
  const { visitor, visitorHash, attributes, stamp, source } = await world.update({
    attributes: { tier: 'gold' },
    occurredAt: world.clock.now(),
  })
  const put = (aheadMs: number) =>
    world.backlog.put({
      visitor,
      visitorHash,
      attributes,
      stamp,
      source,
      blind: true,
      firstSeenMs: world.clock.now() + aheadMs,
    })
  await put(5 * 60_000)
  await world.flush()
  expect(await world.entries()).toBe(1)
  await put(9 * 3_600_000)
  await world.flush()
  expect(world.profile()).toEqual({ tier: 'gold' })
})

describe('flush: what stops it', () => {
  it('a hanging Target: the first calls time out, nothing is lost, and the run stops (G2)', async () => {
    const world = await createWorld()
    await deferred(
      world,
      Array.from({ length: 40 }, (_, n) => ({
        id: `${n}`,
        visitor: { thirdPartyId: `v${n}` },
        attributes: { tier: 'gold' },
      })),
    )
    world.target.behave = async () => {
      await world.clock.advance(5_000)
      return { kind: 'unanswered', why: 'timeout' }
    }
    const report = await world.flush()
    expect(report.stopped).toBe('target_unavailable')
    expect(await world.entries()).toBe(40)
    expect(world.target.calls.length).toBeLessThanOrEqual(8)
    world.target.behave = () => undefined
    await world.clock.advance(60_000)
    await world.flush()
    expect(await world.entries()).toBe(0)
    expect(world.target.profiles.size).toBe(40)
  })

  it('a run whose end can’t be recorded still releases its lease (G7)', async () => {
    const world = await createWorld()
    await deferred(world, [{ id: '1', visitor: { thirdPartyId: 'v' }, attributes: { tier: 'gold' } }])
    const silent = () => Promise.reject(new Error('silent'))
    const unwell = world.isolate({ ledger: { ...world.ledger, remember: silent, rememberAndRelease: silent } })
    await unwell.flush()
    expect((await world.flush()).stopped).toBe('drained')
    expect(await world.entries()).toBe(0)
  })

  it('a run that does not know whether it got the lease releases it (G7)', async () => {
    const world = await createWorld()
    await deferred(world, [{ id: '1', attributes: { tier: 'gold' } }])
    const leaseAndRecall = async (...asked: Parameters<typeof world.ledger.leaseAndRecall>) => {
      await world.ledger.leaseAndRecall(...asked)
      throw new Error('silent')
    }
    expect((await world.isolate({ ledger: { ...world.ledger, leaseAndRecall } }).flush()).stopped).toBe(
      'ledger_unavailable',
    )
    expect(await world.flush()).toMatchObject({ stopped: 'drained', replayed: 1 })
  })

  it('a used-up quota: the run stops, says when there will be room, and the next one goes on then (G1, G7)', async () => {
    const world = await createWorld({ settings: { quotaLimit: 5 } })
    await deferred(
      world,
      Array.from({ length: 40 }, (_, n) => ({
        id: `${n}`,
        visitor: { thirdPartyId: `v${n}` },
        attributes: { tier: 'gold' },
      })),
    )
    const first = await world.flush()
    expect(first).toMatchObject({ stopped: 'quota', calls: 5 })
    expect(first.retryAtMs).toBeGreaterThan(world.clock.now())
    await world.clock.advance((first.retryAtMs ?? 0) - world.clock.now())
    expect(await world.flush()).toMatchObject({ calls: 5 })
  })

  it('little quota: the visitor that has waited longest goes first, whatever its hash (G7)', async () => {
    const world = await createWorld({ settings: { quotaLimit: 4, replayReserve: 0 } })
    const visitors = Array.from({ length: 8 }, (_, n) => `v${n}`)
    for (const visitor of visitors)
      await deferred(world, [{ id: visitor, visitor: { thirdPartyId: visitor }, attributes: { tier: visitor } }])
    const report = await world.flush()
    expect(report).toMatchObject({ stopped: 'quota', calls: 4 })
    expect(visitors.filter((visitor) => world.profile(visitor)['tier'] === visitor)).toEqual(['v0', 'v1', 'v2', 'v3'])
  })

  it('a silent ledger: nothing is sent and nothing deleted (G1, G2)', async () => {
    const world = await createWorld()
    await deferred(world, [{ id: '1', attributes: { tier: 'gold' } }])
    const silent = () => Promise.reject(new Error('silent'))
    for (const method of ['leaseAndRecall', 'check', 'firstStamps', 'admit'] as const) {
      // From the first such request on it is silent.
      let down = false
      const ledger = new Proxy(world.ledger, {
        get: (target, property) => {
          const given: unknown = Reflect.get(target, property)
          if (typeof given !== 'function') return given
          return (...args: unknown[]) => {
            down ||= property === method
            return down ? silent() : given.apply(target, args)
          }
        },
      })
      const report = await world.isolate({ ledger }).flush()
      expect(report.stopped).toBe('ledger_unavailable')
      await world.clock.advance(90_001)
    }
    expect(world.target.calls).toHaveLength(0)
    expect(await world.entries()).toBe(1)
  })

  it('an unconfirmed settle: nothing is deleted, and the next run settles it', async () => {
    const world = await createWorld()
    await deferred(world, [{ id: '1', attributes: { tier: 'gold' } }])
    const report = await world
      .isolate({ ledger: { ...world.ledger, settle: () => Promise.reject(new Error('silent')) } })
      .flush()
    expect(report).toMatchObject({ skipped: 1, replayed: 0 })
    expect(world.target.calls).toHaveLength(1)
    expect(await world.entries()).toBe(1)
    await world.clock.advance(90_001)
    await world.flush()
    expect(await world.entries()).toBe(0)
  })

  it('its budget of operations: the next run goes on', async () => {
    const world = await createWorld()
    await deferred(
      world,
      Array.from({ length: 60 }, (_, n) => ({
        id: `${n}`,
        visitor: { thirdPartyId: `v${n}` },
        attributes: { tier: 'gold' },
      })),
    )
    let runs = 0
    for (; (await world.entries()) > 0 && runs < 20; runs++) {
      const before = world.backlog.operations
      const report = await world.flush({ maxOperations: 40 })
      expect(world.backlog.operations - before).toBeLessThanOrEqual(40)
      expect(['operations', 'drained']).toContain(report.stopped)
    }
    expect(await world.entries()).toBe(0)
    expect(runs).toBeGreaterThan(1)
    expect(world.target.calls).toHaveLength(60)
  })
})

describe('flush: overlapping runs and stale lists', () => {
  it('a second run stops because the lease is taken', async () => {
    const world = await createWorld()
    await world.ledger.lease('flush', 'somebody', 90_000)
    expect((await world.flush()).stopped).toBe('leased')
  })

  it('overlapping runs, with or without the lease, send each value once (G4) and lose none (G2)', async () => {
    const world = await createWorld()
    await deferred(
      world,
      Array.from({ length: 30 }, (_, n) => ({
        id: `${n}`,
        visitor: { thirdPartyId: `v${n % 10}` },
        attributes: { [`a${n}`]: 'x' },
      })),
    )
    const unleased: Ledger = {
      ...world.ledger,
      lease: async () => true,
      leaseAndRecall: (_name, _holder, _ttlMs, memos) => world.ledger.recallAll(memos),
    }
    await Promise.all([1, 2, 3].map(() => world.isolate({ ledger: unleased }).flush()))
    expect(world.target.calls).toHaveLength(10)
    await world.clock.advance(90_001)
    await world.flush()
    expect(await world.entries()).toBe(0)
    expect([...world.target.profiles.values()].reduce((sum, profile) => sum + profile.size, 0)).toBe(30)
  })

  it('a stale list shows a deleted key again: it is found superseded and never overwrites a newer value (G3)', async () => {
    const world = await createWorld()
    await deferred(world, [{ id: '1', attributes: { tier: 'old' } }])
    const stale = await world.backlog.list()
    await world.flush()
    await world.deliver([await world.update({ id: '2', attributes: { tier: 'new' } })])
    await world.settled()
    const lying: Backlog = { ...world.backlog, list: async () => stale }
    await world.clock.advance(90_001)
    await world.isolate({ backlog: lying }).flush()
    expect(world.profile()).toEqual({ tier: 'new' })
    expect(world.target.calls).toHaveLength(2)
  })
})

describe('flush: first stamps', () => {
  it('an entry deferred without the ledger takes the stamp of its event’s first attempt (G3)', async () => {
    const world = await createWorld()
    const first = await world.update({ id: 'evt', attributes: { tier: 'old' } })
    await world.ledger.firstStamps([{ event: first.event ?? '', stamp: first.stamp }])
    await world.clock.advance(1_000)
    await world.deliver([await world.update({ id: 'other', attributes: { tier: 'new' } })])
    await world.settled()
    await world.clock.advance(60_000)
    // The sender of the first event tries again while the ledger is silent: same event, later arrival.
    await deferred(world, [{ id: 'evt', attributes: { tier: 'old' } }])
    await world.flush()
    expect(world.profile()).toEqual({ tier: 'new' })
  })

  it('two updates with the same id and different content, both acknowledged without the ledger, are two events (G2, G3)', async () => {
    const world = await createWorld()
    const silent = world.isolate({ ledger: { ...world.ledger, admit: () => Promise.reject(new Error('silent')) } })
    const context = { source: 'api', idsNameOneUpdate: true }
    for (const attributes of [{ tier: 'old', city: 'Oslo' }, { tier: 'new' }]) {
      const draft = { id: 'evt', visitor: { thirdPartyId: 'visitor-1' }, attributes }
      const prepared = await world.prepare(draft, { ...context, arrivalMs: world.clock.now() })
      expect(await silent.deliver(prepared.ok ? [prepared.update] : [])).toMatchObject([{ status: 'deferred' }])
      await world.clock.advance(1_000)
    }
    await world.clock.advance(120_001)
    await world.flush()
    expect(world.profile()).toEqual({ tier: 'new', city: 'Oslo' })
    expect(await world.entries()).toBe(0)
  })

  it('an entry deferred without the ledger is left alone until the outage has settled', async () => {
    const world = await createWorld()
    const silent = world.isolate({ ledger: { ...world.ledger, admit: () => Promise.reject(new Error('silent')) } })
    await silent.deliver([await world.update({ id: '1', attributes: { tier: 'gold' } })])
    await world.clock.advance(119_999)
    expect(await world.flush()).toMatchObject({ calls: 0, deferredAgain: 1 })
    await world.clock.advance(1)
    expect(await world.flush()).toMatchObject({ calls: 1 })
  })
})

describe('flush: backoff and retention', () => {
  it('a visitor that failed is left alone until its next try is due, and Retry-After is honoured', async () => {
    const world = await createWorld()
    await deferred(world, [{ id: '1', attributes: { tier: 'gold' } }])
    world.target.behave = () => ({ kind: 'unavailable', status: 503, retryAfterMs: 300_000 })
    await world.flush()
    world.target.behave = () => undefined
    await world.clock.advance(299_000)
    expect(await world.flush()).toMatchObject({ calls: 0, deferredAgain: 1 })
    await world.clock.advance(1_001)
    expect(await world.flush()).toMatchObject({ calls: 1, deferredAgain: 0 })
  })

  it('an entry older than the retention becomes a dead letter, never nothing (G2)', async () => {
    const world = await createWorld()
    await deferred(world, [{ id: '1', attributes: { tier: 'gold' } }])
    await world.clock.advance(72 * 3_600_000)
    expect(await world.flush()).toMatchObject({ calls: 0, dead: 1 })
    expect(await world.dead()).toEqual(['expired'])
    expect(await world.entries()).toBe(0)
  })

  it('twenty expired entries of one visitor are set aside in one run, and the newer one is sent (G7)', async () => {
    const world = await createWorld()
    const old = Array.from({ length: 20 }, (_, n) => ({
      id: `${n}`,
      attributes: { tier: `value-${n}`, city: `town-${n}` },
    }))
    await deferred(world, old)
    await world.clock.advance(72 * 3_600_000 - 60_000)
    await deferred(world, [{ id: 'young', attributes: { score: 'new' } }])
    await world.clock.advance(120_000)
    expect(await world.flush()).toMatchObject({ calls: 1, dead: 20, deferredAgain: 0 })
    expect(await world.dead()).toEqual(Array.from({ length: 20 }, () => 'expired'))
    expect(await world.entries()).toBe(0)
  })

  it('if Target refuses the newest values one by one, the next newest is sent in the same run (G2)', async () => {
    const world = await createWorld()
    await deferred(world, [
      { id: '1', attributes: { tier: 'silver' }, occurredAt: world.clock.now() - 3_000 },
      { id: '2', attributes: { tier: 'refused too' }, occurredAt: world.clock.now() - 2_000 },
      { id: '3', attributes: { tier: 'refused' }, occurredAt: world.clock.now() - 1_000 },
    ])
    world.target.behave = (_, pairs) =>
      pairs.get('tier')?.startsWith('refused') === true ? { kind: 'refused', message: 'no', own: true } : undefined
    expect(await world.flush()).toMatchObject({ calls: 3, dead: 2, replayed: 1, deferredAgain: 0 })
    expect(world.target.profiles.get('visitor-1')?.get('tier')).toBe('silver')
    expect(await world.entries()).toBe(0)
  })
})

describe('flush: a refused merge', () => {
  it('is not a verdict on a single event: an older value does not overtake one that may have been delivered (G3)', async () => {
    const world = await createWorld()
    const startMs = world.clock.now()
    // The newer value reaches Target, and its answer is lost.
    world.target.behave = (_, pairs) => {
      world.target.profiles.set('visitor-1', new Map(pairs))
      return { kind: 'unanswered', why: 'network' }
    }
    await world.deliver([
      await world.update({ id: 'newer', attributes: { tier: 'newer' }, occurredAt: startMs - 1_000 }),
    ])
    await world.settled()
    await deferred(world, [
      { id: 'older', attributes: { tier: 'older' }, occurredAt: startMs - 9_000 },
      { id: 'bad', attributes: { city: 'refused' } },
    ])
    world.target.behave = (_, pairs) => (pairs.has('city') ? { kind: 'refused', message: 'no', own: true } : undefined)
    const sent: string[] = []
    for (let run = 0; run < 5; run++) {
      await world.clock.advance(20 * 60_000)
      await world.flush()
    }
    for (const { pairs } of world.target.calls) for (const [name, value] of pairs) if (name === 'tier') sent.push(value)
    expect(sent).not.toContain('older')
    expect(world.profile()['tier']).toBe('newer')
    expect(await world.dead()).toEqual(['rejected'])
  })

  it('with a bare 4xx, without Target’s own refusal, is not a verdict on an earlier try either (G3)', async () => {
    const world = await createWorld()
    const startMs = world.clock.now()
    world.target.behave = () => ({ kind: 'unanswered', why: 'timeout' })
    await world.deliver([
      await world.update({ id: 'newer', attributes: { tier: 'newer' }, occurredAt: startMs - 1_000 }),
    ])
    await world.settled()
    await world.clock.advance(20 * 60_000)
    world.target.behave = () => ({ kind: 'refused', message: 'status 404', own: false })
    await world.flush()
    expect(await world.dead()).toEqual(['rejected'])
    world.target.behave = () => undefined
    const [receipt] = await world.deliver([
      await world.update({ id: 'older', attributes: { tier: 'older' }, occurredAt: startMs - 9_000 }),
    ])
    expect(receipt).toEqual({ status: 'deferred', reason: 'contended' })
  })
})
