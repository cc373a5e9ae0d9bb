/** The last runs, as operators are shown them. */
import { expect, it } from 'vitest'
import { keepRuns, readRuns, runsMemo } from '../../src/cron/runs.ts'
import { createWorld } from '../support/world.ts'

it('keeps the last 60 runs that did something, newest first, without what is 0; an idle one asks the ledger nothing', async () => {
  const world = await createWorld()
  const duty = keepRuns(world)
  for (let minute = 0; minute < 70; minute++) {
    await world.deliver([
      await world.update({ visitor: { thirdPartyId: `v${minute}` }, attributes: { tier: 'gold' } }, 'api', 1),
    ])
    await world.clock.advance(60_000)
    await world.flushWith([duty])
  }
  const runs = readRuns(await world.ledger.recall(runsMemo))
  expect(runs).toHaveLength(60)
  expect(runs[0]).toEqual({
    atMs: world.clock.now(),
    read: 1,
    replayed: 1,
    calls: 1,
    quotaLeft: expect.any(Number),
    stopped: 'drained',
  })
  expect(runs[1]?.atMs).toBe(world.clock.now() - 60_000)
  const idle = keepRuns({
    ledger: { recall: () => Promise.reject(new Error('asked')), remember: () => Promise.reject(new Error('asked')) },
    clock: world.clock,
  })
  await world.flushWith([idle])
  expect(world.logged.join()).not.toContain('duty_failed')
})

it('reads what another version wrote as nothing', () => {
  expect(readRuns('{"a":1}')).toEqual([])
  expect(readRuns('no JSON')).toEqual([])
  expect(readRuns(undefined)).toEqual([])
})
