/** What is counted of updates, by source and lane: live, and by the flush. */
import { expect, it } from 'vitest'
import type { Counters } from '../../../src/core/ledger/port.ts'
import { createWorld, type World } from '../../support/world.ts'

const silent = () => Promise.reject(new Error('silent'))

async function lines(world: World): Promise<Readonly<Record<string, Counters>>> {
  await world.settled()
  return (await world.ledger.usage()).totals
}

async function send(world: World, source: string, id: string, attributes: Record<string, string>, visitor = id) {
  const update = await world.update({ id, visitor: { thirdPartyId: visitor }, attributes }, source)
  const [receipt] = await world.deliver([update])
  await world.settled()
  return receipt?.status
}

it('what was sent, a duplicate, a superseded and a rejected update, each under its source and lane', async () => {
  const world = await createWorld()
  world.target.behave = (_, pairs) =>
    pairs.get('tier') === 'bad' ? { kind: 'refused', message: 'no', own: true } : undefined
  const old = await world.update({ attributes: { tier: 'old' } }, 'crm')
  await world.clock.advance(1)
  expect(await send(world, 'crm', 'a', { tier: 'gold' }, 'visitor-1')).toBe('submitted')
  await world.clock.advance(60_000)
  expect(await send(world, 'crm', 'a', { tier: 'gold' }, 'visitor-1')).toBe('duplicate')
  expect(await world.deliver([old], 'bulk')).toEqual([{ status: 'superseded' }])
  expect(await send(world, 'desk', 'b', { tier: 'bad' })).toBe('rejected')
  expect(await lines(world)).toEqual({
    'crm/live': { received: 2, submitted: 1, duplicate: 1, calls: 1 },
    'crm/bulk': { received: 1, superseded: 1 },
    'desk/live': { received: 1, rejected: 1, calls: 1 },
  })
})

it('a deferred update counts by its reason, also without an id; the flush counts what it made of each', async () => {
  const world = await createWorld({ settings: { quotaLimit: 1, replayReserve: 0 } })
  await world.ledger.pause(true)
  for (const tier of ['1', '2', '3']) {
    await send(world, 'crm', `crm-${tier}`, { tier }, 'v')
    await world.clock.advance(1_000)
  }
  await world.deliver([await world.update({ visitor: { thirdPartyId: 'v' }, attributes: { city: 'Oslo' } }, 'desk')])
  expect(await lines(world)).toEqual({
    'crm/live': { received: 3, deferred_paused: 3 },
    'desk/live': { received: 1, deferred_paused: 1 },
  })
  await world.ledger.pause(false)
  const report = await world.flush()
  expect(report).toMatchObject({ replayed: 2, superseded: 2, calls: 1, callsSaved: 3 })
  expect(await lines(world)).toEqual({
    'crm/live': { received: 3, deferred_paused: 3 },
    'desk/live': { received: 1, deferred_paused: 1 },
    'crm/replay': { replayed: 1, superseded: 2 },
    'desk/replay': { replayed: 1 },
    // A call that carries updates of several sources is nobody's.
    '_several/replay': { calls: 1, calls_saved: 3 },
  })
  expect(await send(world, 'crm', 'next', { tier: '4' })).toBe('deferred')
  expect((await lines(world))['crm/live']).toEqual({ received: 4, deferred_paused: 3, deferred_quota: 1 })
})

it('what the flush sets aside counts as rejected where Target was asked, and as set aside where it was not', async () => {
  const world = await createWorld()
  await world.ledger.pause(true)
  await send(world, 'crm', 'bad', { tier: 'bad' })
  await send(world, 'desk', 'good', { tier: 'gold' })
  await world.ledger.pause(false)
  world.target.behave = (_, pairs) =>
    pairs.get('tier') === 'bad' ? { kind: 'refused', message: 'no', own: true } : undefined
  await world.flush()
  await world.ledger.pause(true)
  await send(world, 'desk', 'late', { tier: 'gold' })
  await world.clock.advance(73 * 3_600_000)
  await world.flush()
  const { 'crm/replay': crm, 'desk/replay': desk } = await lines(world)
  expect([crm, desk]).toEqual([
    { calls: 1, rejected: 1 },
    { calls: 1, replayed: 1, set_aside: 1 },
  ])
})

it('what was deferred while the ledger was silent counts with the next settle', async () => {
  const world = await createWorld()
  const isolate = world.isolate({ ledger: { ...world.ledger, admit: silent } })
  await isolate.deliver([await world.update({ attributes: { tier: 'gold' } }, 'crm')])
  await isolate.settled()
  expect(await lines(world)).toEqual({})
  await isolate.flush()
  expect(await lines(world)).toEqual({ 'crm/live': { received: 1, deferred_ledger_unavailable: 1 } })
})

it('the counts of a settle that fails twice go with the next one', async () => {
  const world = await createWorld()
  let failing = 2
  const isolate = world.isolate({
    ledger: {
      ...world.ledger,
      settle: async (...settled) => (failing-- > 0 ? silent() : world.ledger.settle(...settled)),
    },
  })
  for (const id of ['a', 'b']) {
    await isolate.deliver([
      await world.update({ id, visitor: { thirdPartyId: id }, attributes: { tier: 'gold' } }, 'crm'),
    ])
    await isolate.settled()
  }
  expect(await lines(world)).toEqual({ 'crm/live': { received: 2, submitted: 2, calls: 2 } })
})
