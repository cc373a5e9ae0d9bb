/** Removals of a run: one request for many where the store can, none lost, none told of wrongly (G2, G7). */
import { expect, it } from 'vitest'
import type { Backlog } from '../../src/core/backlog/port.ts'
import { createConnections } from '../../src/core/connections.ts'
import { createRemovals } from '../../src/cron/removals.ts'
import { createWorld } from '../support/world.ts'

interface Asked {
  readonly keys: readonly string[]
  readonly answer: (error?: Error) => void
}

/** A store whose answers the test gives, behind one connection. */
function removing() {
  const asked: Asked[] = []
  const exchange = (_puts: readonly unknown[], keys: readonly string[]) =>
    new Promise<void>((resolve, reject) => {
      asked.push({ keys: [...keys], answer: (error) => (error === undefined ? resolve() : reject(error)) })
    })
  const { remove } = createRemovals({ exchange }, createConnections(1, ['ledger', 'call', 'store']))
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  return { asked, remove, turn, keys: () => asked.map(({ keys }) => keys.join(' ')) }
}

it('what is removed while no connection is free is one request', async () => {
  const { asked, remove, turn, keys } = removing()
  const all = ['t1', 't2'].map(remove)
  await turn()
  expect(keys()).toEqual(['t1 t2'])
  all.push(...['t3', 't4', 't5'].map(remove))
  await turn()
  expect(asked).toHaveLength(1)
  asked[0]?.answer()
  await turn()
  expect(keys()).toEqual(['t1 t2', 't3 t4 t5'])
  asked[1]?.answer()
  await Promise.all(all)
})

it('a removal that fails is told to each who asked for it, and to nobody else', async () => {
  const { asked, remove, turn } = removing()
  const failing = Promise.allSettled(['t1', 't2'].map(remove))
  await turn()
  const next = remove('t3')
  asked[0]?.answer(new Error('gone'))
  expect((await failing).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  await turn()
  asked[1]?.answer()
  await next
})

/** Entries of 32 visitors in a store with these keys to be removed together; and what it was asked. */
async function runWith(connections: number, together: (key: string) => boolean) {
  const world = await createWorld({ settings: { quotaLimit: 1_000 } })
  const silent = world.isolate({ ledger: { ...world.ledger, admit: () => Promise.reject(new Error('silent')) } })
  for (let n = 0; n < 32; n++)
    await silent.deliver([
      await world.update({ id: `${n}`, visitor: { thirdPartyId: `v${n}` }, attributes: { tier: 'gold' } }),
    ])
  await world.clock.advance(120_001)
  const asked = { alone: [] as string[], together: [] as string[] }
  const backlog: Backlog = {
    ...world.backlog,
    operations: 0,
    removesTogether: together,
    delete: (key) => {
      asked.alone.push(key)
      return world.backlog.delete(key)
    },
    exchange: (puts, keys) => {
      asked.together.push(...keys)
      return world.backlog.exchange(puts, keys)
    },
  }
  const report = await world.isolate({ backlog, limits: { connections } }).flush()
  return { report, asked, left: await world.entries() }
}

it.each([1, 2, 6])('a run with %i connections removes each entry as its store can (G2, G7)', async (connections) => {
  const { report, asked, left } = await runWith(connections, (key) => key < 'b1/8')
  expect(report).toMatchObject({ stopped: 'drained', replayed: 32 })
  expect(left).toBe(0)
  expect(asked.together.length + asked.alone.length).toBe(32)
  expect(asked.together.every((key) => key < 'b1/8')).toBe(true)
  expect(asked.alone.every((key) => key >= 'b1/8')).toBe(true)
})
