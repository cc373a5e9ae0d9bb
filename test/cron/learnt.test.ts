/** What a platform allows one run: found out, remembered, and kept within (G7); nothing is lost or sent twice (G2, G4). */
import { expect, it } from 'vitest'
import type { Backlog } from '../../src/core/backlog/port.ts'
import type { Ledger } from '../../src/core/ledger/port.ts'
import { createWorld, type World } from '../support/world.ts'

const visitors = 120
const dayMs = 86_400_000

async function filled(): Promise<World> {
  const world = await createWorld()
  const silent = world.isolate({ ledger: { ...world.ledger, admit: () => Promise.reject(new Error('silent')) } })
  for (let n = 0; n < visitors; n++)
    await silent.deliver([
      await world.update({ id: `${n}`, visitor: { thirdPartyId: `v${n}` }, attributes: { tier: `${n}` } }),
    ])
  await world.clock.advance(120_001)
  return world
}

/** The backlog of an invocation that may ask its store so often. */
function bounded(world: World, allowed: number) {
  let asked = 0
  let refused = 0
  const ask = <T>(work: () => Promise<T>): Promise<T> => {
    asked++
    if (asked <= allowed) return work()
    refused++
    return Promise.reject(new Error('Too many API requests by single Worker invocation.'))
  }
  const backlog: Backlog = Object.assign(Object.create(world.backlog) as Backlog, {
    list: (...given: Parameters<Backlog['list']>) => ask(() => world.backlog.list(...given)),
    put: (...given: Parameters<Backlog['put']>) => ask(() => world.backlog.put(...given)),
    removesTogether: () => false,
    delete: (key: string) => ask(() => world.backlog.delete(key)),
  })
  Object.defineProperty(backlog, 'operations', { get: () => asked })
  return { backlog, refused: () => refused }
}

const beyond = { maxOperations: 30, beyondOperations: true }

it('a run goes on until the store’s platform refuses; the next ones end before, and no call is made twice', async () => {
  const world = await filled()
  const first = bounded(world, 60)
  const report = await world.isolate(first).flush(beyond)
  expect(report).toMatchObject({ stopped: 'operations', replayed: 59 })
  expect(first.refused()).toBeGreaterThan(0)
  expect(report.platformOperations).toBeGreaterThanOrEqual(60)
  // Six were asked beside each other.
  expect(report.platformOperations).toBeLessThanOrEqual(66)
  // Those of the first run that are left, and a list, take operations, too.
  for (const left of [visitors - 59 - 52, 0]) {
    await world.clock.advance(60_000)
    const next = bounded(world, 60)
    const { stopped, platformOperations } = await world.isolate(next).flush(beyond)
    expect(stopped).toBe(left === 0 ? 'drained' : 'operations')
    expect(platformOperations).toBe(report.platformOperations)
    // So its duties have something left.
    expect(next.refused()).toBe(0)
    expect(await world.entries()).toBeLessThanOrEqual(left + 2)
  }
  expect(world.target.calls).toHaveLength(visitors)
  expect(await world.entries()).toBe(0)
})

it('a bound that is set is never exceeded', async () => {
  const world = await filled()
  const { backlog, refused } = bounded(world, 60)
  expect(await world.isolate({ backlog }).flush({ maxOperations: 30 })).toMatchObject({ stopped: 'operations' })
  expect(backlog.operations).toBeLessThanOrEqual(30)
  expect(refused()).toBe(0)
})

it('calls that the platform refused are remembered, too, and the next run makes fewer', async () => {
  const world = await filled()
  let made = 0
  world.target.behave = () => (++made > 40 ? { kind: 'unsent', why: 'limit' } : undefined)
  const report = await world.flush()
  expect(report).toMatchObject({ stopped: 'subrequests', calls: 40 })
  expect(report.platformCalls).toBeGreaterThanOrEqual(40)
  expect(report.platformCalls).toBeLessThanOrEqual(46)
  made = 0
  await world.clock.advance(60_000)
  const next = await world.flush()
  expect(next).toMatchObject({ stopped: 'calls', platformCalls: report.platformCalls })
  expect(next.calls).toBe(Math.floor((report.platformCalls ?? 0) * 0.75))
})

it('after a day a run tries again, and the place of a run without a refusal is as short as it was', async () => {
  const world = await filled()
  await world.isolate(bounded(world, 60)).flush(beyond)
  expect(await world.ledger.recall('flush-place')).toMatch(/^[0-9a-f]*;;\d+,,\d+$/)
  await world.clock.advance(dayMs)
  expect(await world.isolate(bounded(world, 1_000)).flush(beyond)).not.toHaveProperty('platformOperations')
  expect(await world.ledger.recall('flush-place')).toMatch(/^[0-9a-f]*;$/)
})

it('a run may be longer than a minute: the next one finds the lease held and leaves it alone', async () => {
  const world = await filled()
  const others: string[] = []
  let leases = 0
  const ledger: Ledger = {
    ...world.ledger,
    lease: (...asked) => {
      leases++
      return world.ledger.lease(...asked)
    },
  }
  world.target.behave = async () => {
    await world.clock.after(20_000).elapsed
    return { kind: 'delivered' }
  }
  const long = world.isolate({ ledger }).flush({ maxMs: 285_000 })
  let over = false
  const ended = long.finally(() => {
    over = true
  })
  for (let minutes = 0; !over; minutes++) {
    await world.clock.advance(60_000)
    if (!over && minutes < 4) others.push((await world.flush()).stopped)
  }
  const report = await ended
  expect(report.stopped).toBe('time')
  expect(report.durationMs).toBeGreaterThan(285_000)
  expect(others).toEqual(['leased', 'leased', 'leased', 'leased'])
  expect(leases).toBeGreaterThan(6)
  expect(await world.ledger.lease('flush', 'the next one', 1_000)).toBe(true)
})
