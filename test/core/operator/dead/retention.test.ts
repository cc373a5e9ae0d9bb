/** Dead letters end after their days, and say before when. */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { kvBacklog } from '../../../../src/core/backlog/kv.ts'
import type { Backlog } from '../../../../src/core/backlog/port.ts'
import { sqliteBacklog } from '../../../../src/core/backlog/sqlite.ts'
import { createRetention, deadEnds, retentionMemo } from '../../../../src/core/operator/dead/retention.ts'
import { nodeSqlite } from '../../../../src/core/store/sqlite-node.ts'
import { allDead, tinyLimits } from '../../../contract/backlog.ts'
import { type FakeClock, seededRandom } from '../../../support/clock.ts'
import { fakeKv } from '../../../support/fake-kv.ts'
import { plainSeal } from '../../../support/seal.ts'
import { createWorld } from '../../../support/world.ts'

const dayMs = 86_400_000
const retentionMs = 90 * dayMs
const enough = { has: () => true }
const randomHex = seededRandom(6).hex
const stores: [string, (clock: FakeClock) => Backlog][] = [
  [
    'SQLite',
    () => sqliteBacklog(nodeSqlite(new DatabaseSync(':memory:')), { randomHex, seal: plainSeal, limits: tinyLimits }),
  ],
  ['KV', (clock) => kvBacklog(fakeKv({ now: clock.now }), { randomHex, seal: plainSeal, limits: tinyLimits })],
]

describe.each(stores)('on %s', (_, make) => {
  const start = async (days = 90) => {
    const { clock, ledger } = await createWorld()
    const backlog = make(clock)
    const logged: unknown[] = []
    const walk = createRetention({
      ...{ backlog, ledger, clock, retentionMs: days * dayMs },
      log: (event, details) => logged.push([event, details]),
    })
    const bury = (daysAgo: number) => {
      const atMs = clock.now() - daysAgo * dayMs
      return backlog.bury({ reason: 'unmappable', source: 'a', atMs, firstSeenMs: atMs, attempts: 0, raw: 'x' })
    }
    return { clock, ledger, backlog, logged, walk, bury }
  }

  it('deletes what is older, logs and counts it, and says when the first of the others goes', async () => {
    const { clock, ledger, backlog, logged, walk, bury } = await start()
    for (let n = 0; n < 30; n++) await bury(91 + n)
    const young = [await bury(85), await bury(80), await bury(1)]
    await walk(enough)
    expect(await allDead(backlog)).toHaveLength(33)
    await clock.advance(6 * 3_600_000)
    await walk(enough)
    expect((await allDead(backlog)).map(({ key }) => key).sort()).toEqual(young.sort())
    expect(logged).toEqual([['dead_expired', { letters: 30 }]])
    expect((await ledger.usage()).counters['deadExpired']).toBe(30)
    expect(deadEnds(await ledger.recall(retentionMemo), retentionMs)).toEqual({
      soon: 1,
      firstMs: clock.now() - dayMs / 4 + 5 * dayMs,
    })
    expect(deadEnds(await ledger.recall(retentionMemo), 0)).toBeUndefined()
  })

  it('goes on with the next run where its share ends', async () => {
    const { clock, backlog, walk, bury } = await start()
    for (let n = 0; n < 30; n++) await bury(91 + n)
    await walk(enough)
    await clock.advance(6 * 3_600_000)
    for (let n = 0; n < 60; n++) {
      let asked = 0
      await walk({ has: () => asked++ < 2 })
    }
    expect(await allDead(backlog)).toEqual([])
  })

  it('does nothing with 0 days, nor again within hours', async () => {
    const { backlog, walk, bury } = await start(0)
    await bury(1_000)
    await walk(enough)
    const before = backlog.operations
    await walk(enough)
    expect([backlog.operations, (await allDead(backlog)).length]).toEqual([before, 1])
  })

  it('a clock that is a year ahead deletes nothing at once', async () => {
    const { clock, backlog, walk, bury } = await start()
    await bury(1)
    await walk(enough)
    await clock.advance(365 * dayMs)
    await walk(enough)
    expect(await allDead(backlog)).toHaveLength(1)
  })

  it('a cursor that the store does not take any more does not end every walk', async () => {
    const { clock, ledger, backlog, bury } = await start()
    for (let n = 0; n < 9; n++) await bury(1)
    let refuses = true
    const deadHeads: Backlog['deadHeads'] = async (options) => {
      if (options?.cursor !== undefined && refuses) throw new Error('KV: 400 invalid cursor')
      return backlog.deadHeads(options)
    }
    const parts = { backlog: { ...backlog, deadHeads }, ledger, clock, retentionMs, log: () => {} }
    await expect(createRetention(parts)(enough)).rejects.toThrow('cursor')
    refuses = false
    await createRetention(parts)(enough)
    expect(deadEnds(await ledger.recall(retentionMemo), retentionMs)).toEqual({
      soon: 0,
      firstMs: clock.now() - dayMs + retentionMs,
    })
  })
})
