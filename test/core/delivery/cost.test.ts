/** What an update costs in operations: these are the figures of docs/costs.md. */
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { fakeClock } from '../../support/clock.ts'
import { sqlWatched } from '../../support/ledger.ts'
import { createWorld, type World, worldSettings } from '../../support/world.ts'

async function costOf(quotaLimit: number, work: (world: World) => Promise<void>) {
  const database = new DatabaseSync(':memory:')
  const clock = fakeClock()
  const ledger = sqlWatched(nodeSqlite(database), { ...worldSettings, quotaLimit }, clock)
  // Beginning the epoch and recording Target's first yes happen once in a ledger's life.
  await ledger.check()
  await ledger.settle([{ visitorHash: 'first', token: '', attributes: [], signal: 'up' }])
  let calls = 0
  const counted = new Proxy(ledger, {
    get: (target, property) => {
      const method: unknown = Reflect.get(target, property)
      if (typeof method !== 'function') return method
      return (...args: unknown[]) => {
        calls++
        return method.apply(target, args)
      }
    },
  })
  const world = await createWorld({ ledger: counted })
  const rows = () => Number(database.prepare('SELECT total_changes() AS rows').get()?.['rows'])
  const before = { rows: rows(), kv: world.backlog.operations, calls }
  await work(world)
  return {
    ledgerCalls: calls - before.calls,
    rowsWritten: rows() - before.rows,
    kvOperations: world.backlog.operations - before.kv,
  }
}

const one = { id: 'evt', attributes: { tier: 'gold', city: 'Oslo' } }

it('a live update costs two calls to the ledger and no operation on KV', async () => {
  const cost = await costOf(1_000, async (world) => {
    await world.deliver([await world.update(one)])
    await world.settled()
  })
  // Admit: event, visitor, bucket, window. Settle: visitor, event, and the slot of its source.
  expect(cost).toEqual({ ledgerCalls: 2, rowsWritten: 7, kvOperations: 0 })
})

it('a deferred update costs two calls to the ledger and one put', async () => {
  const cost = await costOf(0, async (world) => {
    await world.deliver([await world.update(one)])
    await world.settled()
  })
  expect(cost).toMatchObject({ ledgerCalls: 2, kvOperations: 1 })
  expect(cost.rowsWritten).toBeLessThanOrEqual(5)
})

it('a flush of 10 deferred updates of one visitor costs one list, one call to Target and one removal of ten', async () => {
  let target = 0
  const cost = await costOf(1_000, async (world) => {
    const silent = world.isolate({ ledger: { ...world.ledger, admit: () => Promise.reject(new Error('silent')) } })
    for (let n = 0; n < 10; n++)
      await silent.deliver([await world.update({ id: `${n}`, attributes: { tier: String(n) } })])
    await world.clock.advance(120_001)
    const before = world.backlog.operations
    await world.flush()
    target = world.target.calls.length
    expect(world.backlog.operations - before).toBe(2)
  })
  expect(target).toBe(1)
  expect(cost.kvOperations).toBe(10 + 2)
})

it('an idle flush costs one list and three calls to the ledger', async () => {
  expect(
    await costOf(1_000, async (world) => {
      await world.flush()
    }),
  ).toMatchObject({ ledgerCalls: 3, kvOperations: 1 })
})

it('on the Free plan with Upstash, a run of 30 calls makes at most 50 subrequests and replays 30 visitors', async () => {
  const world = await createWorld()
  const silent = world.isolate({ ledger: { ...world.ledger, admit: () => Promise.reject(new Error('silent')) } })
  for (let n = 0; n < 100; n++)
    await silent.deliver([
      await world.update({ id: `${n}`, visitor: { thirdPartyId: `v${n}` }, attributes: { tier: 'gold' } }),
    ])
  await world.clock.advance(120_001)
  let requests = 0
  const subrequest = () => {
    if (++requests > 50) throw new Error('Too many subrequests.')
  }
  // Each method of the ledger is one request to Upstash, and each call to Target one.
  const ledger = new Proxy(world.ledger, {
    get: (target, property) => {
      const given: unknown = Reflect.get(target, property)
      if (typeof given !== 'function') return given
      return async (...args: unknown[]) => {
        subrequest()
        return given.apply(target, args)
      }
    },
  })
  world.target.behave = () => {
    requests++
    return undefined
  }
  const report = await world.isolate({ ledger }).flush({ maxCalls: 30, maxOperations: 900 })
  expect(report).toMatchObject({ stopped: 'calls', calls: 30, replayed: 30, deferredAgain: 0 })
  // One of them tells the figures of the last chunk.
  expect(requests).toBe(40)
})
