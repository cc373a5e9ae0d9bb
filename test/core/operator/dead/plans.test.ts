/** Plans: what they say, what they do, and that nothing is lost, doubled, or touched beside their set (G2, G3, G9). */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { kvBacklog } from '../../../../src/core/backlog/kv.ts'
import type { Backlog, DeadLetter } from '../../../../src/core/backlog/port.ts'
import { sqliteBacklog } from '../../../../src/core/backlog/sqlite.ts'
import { defaultLimits } from '../../../../src/core/limits.ts'
import type { PlanAsked } from '../../../../src/core/operator/dead/make-plan.ts'
import { createDeadOffice, type DeadOfficeParts } from '../../../../src/core/operator/dead/office.ts'
import { type Plan, planLease } from '../../../../src/core/operator/dead/plan.ts'
import { nodeSqlite } from '../../../../src/core/store/sqlite-node.ts'
import { createHasher } from '../../../../src/core/update/hash.ts'
import { allDead, allEntries } from '../../../contract/backlog.ts'
import { seededRandom } from '../../../support/clock.ts'
import { fakeKv } from '../../../support/fake-kv.ts'
import { plainSeal } from '../../../support/seal.ts'
import { createWorld, type World, worldSettings } from '../../../support/world.ts'

const hasher = await createHasher('a-hash-key-of-32-bytes-for-tests-only')
const limits = { ...defaultLimits, keysPerPage: 4, keysPerPlanPage: 3, lettersPerStep: 2 }
const enough = { has: () => true }

/** A share of a few steps. */
const few = (steps: number) => ({ has: () => steps-- > 0 })

async function deskOf(
  backlogOf: (world: World) => Backlog = (world) => world.backlog,
  more: Partial<DeadOfficeParts> = {},
) {
  const world = await createWorld()
  const backlog = backlogOf(world)
  const isolate = world.isolate({ backlog })
  const parts: DeadOfficeParts = {
    hasher,
    backlog,
    ledger: world.ledger,
    clock: world.clock,
    random: seededRandom(7),
    map: async () => ({ ok: false, reason: 'not mended' }),
    retentionMs: worldSettings.retentionMs,
    maxOperations: 900,
    limits,
    ...more,
  }
  const office = createDeadOffice(parts)
  let serial = 0
  return {
    world,
    backlog,
    office,
    parts,
    flush: isolate.flush,
    /** A letter about a visitor, with a value of its own. */
    async letter(visitor: string, more: Partial<DeadLetter> = {}): Promise<{ key: string; value: string }> {
      const value = `v${serial++}`
      const { visitorHash, stamp, ...update } = await world.update({
        visitor: { thirdPartyId: visitor },
        attributes: { tier: value },
      })
      const entry = {
        ...{ visitorHash, stamp, visitor: update.visitor, attributes: update.attributes, source: 'api' },
        firstSeenMs: world.clock.now(),
      }
      const nowMs = world.clock.now()
      const key = await backlog.bury({
        ...{ reason: 'rejected', source: 'api', atMs: nowMs, firstSeenMs: nowMs, attempts: 1, entry },
        ...more,
      })
      await world.clock.advance(1)
      return { key, value }
    },
    async planned(asked: Partial<PlanAsked> = {}) {
      const plan = await office.plan({ action: 'replay', asNew: false, filter: {}, ...asked })
      return plan ?? expect.fail('no slot')
    },
    /** Runs it to its end, by as many runs as that takes. */
    async through(id: string) {
      await office.run(id)
      for (let n = 0; n < 100 && (await office.findPlan(id))?.state === 'running'; n++) await office.work(enough)
      return (await office.findPlan(id)) ?? expect.fail('is not found')
    },
    texts: async () => (await allDead(backlog)).length,
  }
}

const stores: [string, (world: World) => Backlog][] = [
  [
    'SQLite',
    () =>
      sqliteBacklog(nodeSqlite(new DatabaseSync(':memory:')), {
        randomHex: seededRandom(3).hex,
        seal: plainSeal,
        limits,
      }),
  ],
  [
    'KV',
    (world) => kvBacklog(fakeKv({ now: world.clock.now }), { randomHex: seededRandom(3).hex, seal: plainSeal, limits }),
  ],
]

describe.each(stores)('a plan on %s', (_, backlogOf) => {
  it('says what it will do, does nothing until it is run, and then each value arrives once', async () => {
    const desk = await deskOf(backlogOf)
    const letters = []
    for (let n = 0; n < 11; n++) letters.push(await desk.letter(`visitor-${n}`))
    const plan = await desk.planned()
    expect(plan).toMatchObject({ state: 'planned', letters: 11, updates: 11, calls: 11, stay: {} })
    expect(await desk.texts()).toBe(11)
    expect(await desk.through(plan.id)).toMatchObject({ state: 'done', done: 11, failed: 0 })
    expect(await desk.texts()).toBe(0)
    // Not for what it was deferred once.
    expect(new Set((await allEntries(desk.backlog)).map((item) => 'entry' in item && item.entry.reason))).toEqual(
      new Set(['plan']),
    )
    await desk.flush()
    expect(desk.world.target.calls).toHaveLength(11)
    expect(letters.map((_, n) => desk.world.profile(`visitor-${n}`)['tier'])).toEqual(letters.map(({ value }) => value))
    expect(await allEntries(desk.backlog)).toEqual([])
  })

  it('brings back under the first stamp: a newer value that was delivered meanwhile stays (G3)', async () => {
    const desk = await deskOf(backlogOf)
    await desk.letter('visitor-1')
    await desk.world.clock.advance(1_000)
    await desk.world.deliver([await desk.world.update({ attributes: { tier: 'newer' } })])
    await desk.world.settled()
    const plan = await desk.planned()
    expect(plan).toMatchObject({ sampled: 1, superseded: 1 })
    await desk.world.clock.advance(1_000)
    await desk.through(plan.id)
    await desk.flush()
    expect(desk.world.profile()).toEqual({ tier: 'newer' })
    expect([await desk.texts(), await allEntries(desk.backlog)]).toEqual([0, []])
  })

  it('as new, an old value is sent over a newer one, and what is too old goes at all', async () => {
    const desk = await deskOf(backlogOf)
    const { value } = await desk.letter('visitor-1', { reason: 'expired' })
    await desk.world.clock.advance(worldSettings.retentionMs + 1_000)
    await desk.world.deliver([await desk.world.update({ attributes: { tier: 'newer' } })])
    await desk.world.settled()
    const plan = await desk.planned()
    expect(plan).toMatchObject({ updates: 0, calls: 0, stay: { too_old: 1 } })
    expect(await desk.through(plan.id)).toMatchObject({ done: 0, failed: 1, stay: { too_old: 1 } })
    expect(await desk.texts()).toBe(1)
    await desk.world.clock.advance(1)
    await desk.through((await desk.planned({ asNew: true })).id)
    await desk.flush()
    expect(desk.world.profile()).toEqual({ tier: value })
  })

  it('as new, what its visitor had before an erasure is not sent after it', async () => {
    const desk = await deskOf(backlogOf)
    await desk.letter('visitor-1')
    const plan = await desk.planned({ asNew: true })
    await desk.world.clock.advance(1_000)
    await desk.world.ledger.erase(await hasher.visitor({ thirdPartyId: 'visitor-1' }))
    await desk.world.clock.advance(1_000)
    await desk.through(plan.id)
    await desk.flush()
    expect(desk.world.target.calls).toEqual([])
  })

  it('touches nothing that was buried after it was made, whatever its time', async () => {
    const desk = await deskOf(backlogOf)
    for (let n = 0; n < 5; n++) await desk.letter('visitor-1')
    const plan = await desk.planned({ action: 'drop' })
    const later = [await desk.letter('visitor-1', { atMs: 1 }), await desk.letter('visitor-1')]
    await desk.through(plan.id)
    expect((await allDead(desk.backlog)).map(({ key }) => key).sort()).toEqual(later.map(({ key }) => key).sort())
  })

  it('is of the letters that its filter or its keys name', async () => {
    const desk = await deskOf(backlogOf)
    const one = await desk.letter('visitor-1', { source: 'loan' })
    const other = await desk.letter('visitor-2')
    const filtered = await desk.planned({ action: 'drop', filter: { source: 'loan' } })
    expect(filtered).toMatchObject({ letters: 1, updates: 0 })
    const named = await desk.planned({
      action: 'drop',
      keys: [other.key, other.key, 'b1/x', one.key.replace(/.$/, 'x')],
    })
    expect(named.letters).toBe(1)
    await desk.through(named.id)
    expect((await allDead(desk.backlog)).map(({ key }) => key)).toEqual([one.key])
  })

  it('goes on where it stopped, stops where it is cancelled, and leaves no text of its own', async () => {
    const desk = await deskOf(backlogOf)
    for (let n = 0; n < 10; n++) await desk.letter(`visitor-${n}`)
    const plan = await desk.planned({ action: 'drop' })
    // One step of two letters in the request, by the limit of operations.
    const { office } = { office: createDeadOffice({ ...desk.parts, limits: { ...limits, dutyOperations: 0 } }) }
    await office.run(plan.id)
    await office.work(few(3))
    const after = await office.findPlan(plan.id)
    expect(after).toMatchObject({ state: 'running' })
    expect(after?.done).toBeGreaterThan(0)
    expect(after?.done).toBeLessThan(10)
    const left = await desk.texts()
    expect(await desk.office.cancel(plan.id)).toMatchObject({ state: 'cancelled' })
    await desk.office.work(enough)
    expect(await desk.texts()).toBe(left)
    for (let page = 0; page < 5; page++) expect(await desk.backlog.readText(`x1/${plan.id}/${page}`)).toBeUndefined()
  })

  it('with room for one letter at a time comes to its end, and stops between two steps once it is cancelled', async () => {
    const desk = await deskOf(backlogOf)
    for (let n = 0; n < 9; n++) await desk.letter(`visitor-${n}`)
    const idle = createDeadOffice({ ...desk.parts, limits: { ...limits, dutyOperations: 0 } })
    const [dropped, cancelled] = [
      await desk.planned({ action: 'drop', filter: { beforeMs: desk.world.clock.now() - 4 } }),
      await desk.planned({ action: 'drop' }),
    ]
    await idle.run(dropped.id)
    await desk.office.work({ has: (operations = 0) => operations <= 3 })
    expect(await desk.office.findPlan(dropped.id)).toMatchObject({ state: 'done', done: dropped.letters })
    expect(await desk.texts()).toBe(9 - dropped.letters)
    await idle.run(cancelled.id)
    let asked = 0
    const cancels = () => {
      if (asked++ === 2) void desk.world.ledger.remember(`dead-plan-${cancelled.id[0]}-cancelled`, cancelled.id)
      return true
    }
    await desk.office.work({ has: cancels })
    expect(await desk.texts()).toBeGreaterThan(0)
  })

  it('whose set is too large for one request is made whole behind it', async () => {
    const desk = await deskOf(backlogOf, { maxOperations: 3 })
    for (let n = 0; n < 10; n++) await desk.letter(`visitor-${n}`)
    const plan = await desk.planned({ action: 'drop' })
    expect(plan.state).toBe('planning')
    expect(await desk.office.run(plan.id)).toMatchObject({ state: 'planning' })
    for (let n = 0; n < 9; n++) await desk.office.work(few(1))
    expect(await desk.office.findPlan(plan.id)).toMatchObject({ state: 'planned', letters: 10 })
    expect(await desk.through(plan.id)).toMatchObject({ state: 'done', done: 10 })
  })

  it('is made also where its filter fits nothing in all that one run can list (G9)', async () => {
    const desk = await deskOf(backlogOf, { maxOperations: 3 })
    const { key } = await desk.letter('visitor-1', { source: 'loan' })
    for (let n = 0; n < 20; n++) await desk.letter(`visitor-${n}`)
    const plan = await desk.planned({ action: 'drop', filter: { source: 'loan' } })
    expect(plan.state).toBe('planning')
    for (let n = 0; n < 9; n++) await desk.office.work(few(1))
    expect(await desk.office.findPlan(plan.id)).toMatchObject({ state: 'planned', letters: 1 })
    await desk.through(plan.id)
    expect((await allDead(desk.backlog)).map((one) => one.key)).not.toContain(key)
  })

  it('says of a large set by a sample how much is superseded, whichever letters it is', async () => {
    const desk = await deskOf(backlogOf)
    // The newest are not superseded: a sample of the first page of a list would say that nothing is.
    const newer = (n: number) => desk.world.update({ visitor: { thirdPartyId: `old-${n}` }, attributes: { tier: 'x' } })
    for (let n = 0; n < 60; n++) await desk.letter(`old-${n}`)
    await desk.world.clock.advance(1_000)
    for (let n = 0; n < 60; n++) await desk.world.deliver([await newer(n)])
    await desk.world.settled()
    for (let n = 0; n < 20; n++) await desk.letter(`new-${n}`)
    const { sampled, superseded, sample } = await desk.planned()
    expect([sampled, sample]).toEqual([20, undefined])
    // 15 is right; drawn by a seed.
    expect(superseded).toBeGreaterThan(10)
    expect(superseded).toBeLessThan(20)
    const old = await Promise.all(Array.from({ length: 9 }, (_, n) => hasher.visitor({ thirdPartyId: `old-${n}` })))
    for (const visitorHash of old)
      expect(await desk.planned({ filter: { visitorHash } })).toMatchObject({ updates: 1, sampled: 1, superseded: 1 })
  })

  it('that nobody ran is over after a day', async () => {
    const desk = await deskOf(backlogOf)
    await desk.letter('visitor-1')
    const plan = await desk.planned({ action: 'drop' })
    await desk.world.clock.advance(86_400_000)
    // Also while another one is at work.
    await desk.world.ledger.lease(planLease, 'another', 1_000)
    expect(await desk.office.run(plan.id)).toEqual(plan)
    await desk.world.ledger.release(planLease, 'another')
    await desk.office.run(plan.id)
    await desk.office.work(enough)
    expect(await desk.office.findPlan(plan.id)).toMatchObject({ state: 'cancelled', done: 0 })
    expect(await desk.texts()).toBe(1)
  })

  it('of keys is those, also where a flush works on plans while it is made (G9)', async () => {
    const desk = await deskOf(backlogOf)
    const letters = []
    for (let n = 0; n < 6; n++) letters.push(await desk.letter(`visitor-${n}`))
    const between = createDeadOffice({
      ...desk.parts,
      backlog: {
        ...desk.backlog,
        operations: 0,
        readDeads: async (keys) => {
          await desk.office.work(enough)
          return desk.backlog.readDeads(keys)
        },
        putText: async (key, text) => {
          await desk.office.work(enough)
          await desk.backlog.putText(key, text)
          await desk.office.work(enough)
        },
      },
    })
    const plan = await between.plan({ action: 'drop', asNew: false, filter: {}, keys: [letters[0]?.key ?? ''] })
    expect(plan).toMatchObject({ state: 'planned', letters: 1 })
    await desk.office.run(plan?.id ?? '')
    await desk.office.work(enough)
    expect((await allDead(desk.backlog)).length).toBe(5)
  })

  it('of a filter is made by one at a time (G9)', async () => {
    const desk = await deskOf(backlogOf)
    for (let n = 0; n < 6; n++) await desk.letter(`visitor-${n}`)
    const between = createDeadOffice({
      ...desk.parts,
      backlog: {
        ...desk.backlog,
        operations: 0,
        deadHeads: async (options) => {
          await desk.office.work(enough)
          return desk.backlog.deadHeads(options)
        },
      },
    })
    const plan = await between.plan({ action: 'drop', asNew: false, filter: {} })
    expect(plan).toMatchObject({ state: 'planned', letters: 6, pages: 2 })
  })

  it('that is asked to run twice, the second time by one that read it before, runs once and ends (G9)', async () => {
    const desk = await deskOf(backlogOf)
    await desk.letter('visitor-1')
    const { id } = await desk.planned({ action: 'drop' })
    const late = createDeadOffice({
      ...desk.parts,
      ledger: {
        ...desk.world.ledger,
        remember: async (name, value) => {
          await desk.office.run(id)
          await desk.office.work(enough)
          await desk.world.ledger.remember(name, value)
        },
      },
    })
    expect(await late.run(id)).toMatchObject({ state: 'done', done: 1 })
    await desk.office.work(enough)
    expect(await desk.office.findPlan(id)).toMatchObject({ state: 'done', done: 1 })
  })

  it('stays as others left it where a save lands late, after they have ended it (G9)', async () => {
    const desk = await deskOf(backlogOf)
    for (let n = 0; n < 5; n++) await desk.letter(`visitor-${n}`)
    const { id } = await desk.planned({ action: 'drop' })
    const { compareAndSet } = desk.world.ledger
    const landings: (() => Promise<unknown>)[] = []
    const slow = createDeadOffice({
      ...desk.parts,
      ledger: {
        ...desk.world.ledger,
        compareAndSet: async (...asked) => {
          landings.push(() => compareAndSet(...asked))
          throw new Error('silent')
        },
      },
    })
    await expect(slow.run(id)).rejects.toThrow('silent')
    await desk.office.work(enough)
    const ended = await desk.office.findPlan(id)
    expect(ended).toMatchObject({ state: 'done', done: 5 })
    expect(landings.length).toBe(1)
    for (const land of landings) await land()
    expect(await desk.office.findPlan(id)).toEqual(ended)
  })

  it('ends the work of one that was suspended for longer than its lease (G9)', async () => {
    const desk = await deskOf(backlogOf)
    for (let n = 0; n < 5; n++) await desk.letter(`visitor-${n}`)
    const { id } = await desk.planned()
    let awake = false
    const late = createDeadOffice({
      ...desk.parts,
      backlog: {
        ...desk.backlog,
        operations: 0,
        exchange: async (puts, deletes) => {
          if (!awake) {
            awake = true
            await desk.world.clock.advance(90_001)
            await desk.office.work(few(4))
            // KV takes one write a second of a key.
            await desk.world.clock.advance(1_000)
          }
          await desk.backlog.exchange(puts, deletes)
        },
      },
    })
    await late.run(id)
    expect(awake).toBe(true)
    for (let n = 0; n < 9; n++) await desk.office.work(enough)
    expect(await desk.office.findPlan(id)).toMatchObject({ state: 'done', done: 5, failed: 0 })
    expect(await allEntries(desk.backlog)).toHaveLength(5)
  })

  it('has a place of its own, also if another one is made in the same moment (G9)', async () => {
    const desk = await deskOf(backlogOf)
    const { key } = await desk.letter('visitor-1')
    const asked = { action: 'drop', asNew: false, filter: {}, keys: [key] } as const
    let other: Plan | undefined
    const texts: string[] = []
    const one = createDeadOffice({
      ...desk.parts,
      backlog: {
        ...desk.backlog,
        operations: 0,
        putText: async (text, keys) => {
          texts.push(text)
          await desk.backlog.putText(text, keys)
        },
      },
      ledger: {
        ...desk.world.ledger,
        compareAndSet: async (...set) => {
          other ??= await desk.planned(asked)
          return desk.world.ledger.compareAndSet(...set)
        },
      },
    })
    const plan = await one.plan(asked)
    expect([await desk.office.findPlan(plan?.id ?? ''), await desk.office.findPlan(other?.id ?? '')]).toEqual([
      plan,
      other,
    ])
    // Of the one that found its place taken nothing is left.
    expect(texts).toHaveLength(2)
    expect(await Promise.all(texts.map((text) => desk.backlog.readText(text)))).toEqual([undefined, key])
  })

  it('takes the place of one that nobody ran, and never of one that runs', async () => {
    const desk = await deskOf(backlogOf)
    for (let n = 0; n < 4; n++) await desk.letter('visitor-1')
    const plans = []
    for (let n = 0; n < 5; n++) {
      plans.push(await desk.planned({ action: 'drop', keys: [] }))
      await desk.world.clock.advance(1)
    }
    expect(await Promise.all(plans.map(async ({ id }) => (await desk.office.findPlan(id)) !== undefined))).toEqual([
      false,
      true,
      true,
      true,
      true,
    ])
    const still = createDeadOffice({ ...desk.parts, ledger: { ...desk.world.ledger, lease: async () => false } })
    for (const { id } of plans) await still.run(id)
    expect(await desk.office.plan({ action: 'drop', asNew: false, filter: {} })).toBeUndefined()
  })

  it('never takes the place of one that is being made', async () => {
    const desk = await deskOf(backlogOf)
    await desk.letter('visitor-1')
    const still = createDeadOffice({ ...desk.parts, ledger: { ...desk.world.ledger, lease: async () => false } })
    const asked = { action: 'drop', asNew: false, filter: {} } as const
    for (let n = 0; n < 4; n++) expect(await still.plan(asked)).toMatchObject({ state: 'planning' })
    expect(await still.plan(asked)).toBeUndefined()
  })

  it('maps events again, each update waiting for its first stamp; what still cannot be mapped stays', async () => {
    const desk = await deskOf(backlogOf, {
      map: async ({ raw }, arrivalMs) => {
        if (raw === 'bad') return { ok: false, reason: 'no' }
        const updates = await Promise.all(
          ['a', 'b'].map((name) => desk.world.update({ id: raw, attributes: { [name]: raw } })),
        )
        expect(arrivalMs).toBe(firstSeenMs)
        return { ok: true, updates: raw === 'nothing' ? [] : updates, lane: 'live' }
      },
    })
    const firstSeenMs = desk.world.clock.now()
    const raw = { reason: 'unmappable', source: 'loan', atMs: firstSeenMs, firstSeenMs, attempts: 0 } as const
    for (const text of ['good', 'bad', 'nothing']) await desk.backlog.bury({ ...raw, raw: text })
    await desk.letter('visitor-2')
    const plan = await desk.planned({ action: 'remap' })
    expect(plan).toMatchObject({ letters: 4, updates: 3, stay: { unfit: 1 } })
    expect(await desk.through(plan.id)).toMatchObject({ done: 2, failed: 2, stay: { unmappable: 1, unfit: 1 } })
    expect(await desk.texts()).toBe(2)
    for (const item of await allEntries(desk.backlog)) expect(item).toHaveProperty('entry.blind', true)
    await desk.world.clock.advance(120_001)
    await desk.flush()
    expect(desk.world.profile()).toEqual({ a: 'good', b: 'good' })
  })

  it.each(['replay', 'drop'] as const)(
    '%s: a run that dies between any two steps loses and doubles nothing',
    async (action) => {
      for (let dies = 0; dies < 60; dies++) {
        const desk = await deskOf(backlogOf)
        const kept = []
        for (let n = 0; n < 5; n++) kept.push(await desk.letter(`visitor-${n}`))
        const plan = await desk.planned({ action })
        let left = dies
        const dying = <T extends object>(port: T): T =>
          new Proxy(port, {
            get: (target, name) => {
              const method = Reflect.get(target, name) as unknown
              if (typeof method !== 'function') return method
              return async (...asked: unknown[]) => {
                if (left-- <= 0) throw new Error('died')
                return method.apply(target, asked) as unknown
              }
            },
          })
        const office = createDeadOffice({
          ...desk.parts,
          backlog: dying(desk.backlog),
          ledger: dying(desk.world.ledger),
        })
        const survived = await office.run(plan.id).then(
          () => true,
          () => false,
        )
        // The one that died has the lease until it ends.
        await desk.world.clock.advance(90_001)
        await desk.through(plan.id)
        expect(await desk.office.findPlan(plan.id)).toMatchObject({ state: 'done', done: 5, failed: 0 })
        const values = (await allEntries(desk.backlog)).flatMap((item) =>
          'entry' in item ? item.entry.attributes.map(({ value }) => value) : 'unreadable',
        )
        expect(values.sort()).toEqual(action === 'drop' ? [] : kept.map(({ value }) => value))
        expect(await desk.texts()).toBe(0)
        if (survived) return
      }
      expect.fail('it never survives')
    },
  )
})

it('two runs that overlap keep each entry once', async () => {
  const desk = await deskOf(stores[1]?.[1])
  for (let n = 0; n < 6; n++) await desk.letter(`visitor-${n}`)
  const plan = await desk.planned()
  const both = { ...desk.parts, ledger: { ...desk.world.ledger, lease: async () => true } }
  // KV takes one write a second of a key: one of them may be refused, and is done again.
  await Promise.allSettled([createDeadOffice(both).run(plan.id), createDeadOffice(both).run(plan.id)])
  await desk.world.clock.advance(90_001)
  await desk.through(plan.id)
  expect(await allEntries(desk.backlog)).toHaveLength(6)
})

it('a put that fails leaves every letter of its step where it is (G2)', async () => {
  const world = await createWorld()
  const kv = fakeKv({ now: world.clock.now })
  const desk = await deskOf(() => kvBacklog(kv, { randomHex: seededRandom(3).hex, seal: plainSeal, limits }))
  for (let n = 0; n < 2; n++) await desk.letter(`visitor-${n}`)
  const plan = await desk.planned()
  kv.failPuts = 1
  await expect(desk.office.run(plan.id)).rejects.toThrow('503')
  expect(await desk.texts()).toBe(2)
  await desk.world.clock.advance(2_000)
  await world.clock.advance(2_000)
  expect(await desk.through(plan.id)).toMatchObject({ state: 'done', done: 2 })
})
