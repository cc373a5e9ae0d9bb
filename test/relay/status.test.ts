/** `GET /admin/api/status` and `/backlog` (G9): each figure is what a plain look at the stores says. */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { kvBacklog } from '../../src/core/backlog/kv.ts'
import { rowsBacklog } from '../../src/core/backlog/sqlite.ts'
import { sqliteRows } from '../../src/core/backlog/sqlite-rows.ts'
import { twoStores } from '../../src/core/backlog/two-stores.ts'
import { defaultLimits } from '../../src/core/limits.ts'
import { nodeSqlite } from '../../src/core/store/sqlite-node.ts'
import { createCensus } from '../../src/cron/census.ts'
import { keepRuns } from '../../src/cron/runs.ts'
import { readSettings } from '../../src/relay/create.ts'
import { createStatus } from '../../src/relay/status.ts'
import { seededRandom } from '../support/clock.ts'
import { fakeKv } from '../support/fake-kv.ts'
import { plainSeal } from '../support/seal.ts'
import { settingsFor } from '../support/settings.ts'
import { plainTally } from '../support/tally.ts'
import { createWorld, worldSettings } from '../support/world.ts'

const hourMs = 3_600_000
const quotaLimit = 20

const kinds = ['SQLite', 'KV', 'a move from KV', 'a move to KV'] as const

/** A world with the duties of a relay and its status, on a store, or while the backlog moves from one to the other. */
async function relay(kind: (typeof kinds)[number]) {
  const world = await createWorld({ settings: { quotaLimit, quotaWindowMs: 24 * hourMs, quotaBucketMs: 60_000 } })
  const random = seededRandom(7)
  const kv = fakeKv({ now: world.clock.now })
  const rows = sqliteRows(nodeSqlite(new DatabaseSync(':memory:')), false)
  const inObject = rowsBacklog(rows, { randomHex: random.hex, seal: plainSeal })
  const inKv = kvBacklog(kv, { randomHex: random.hex, seal: plainSeal })
  const move = (keepsIn: 'kv' | 'sql') =>
    twoStores({ kv: inKv, sql: inObject, keepsIn, now: world.clock.now, memory: {} })
  const backlog = {
    SQLite: world.backlog,
    KV: inKv,
    'a move from KV': move('sql'),
    'a move to KV': move('kv'),
  }[kind]
  const { ledger, clock } = world
  const census = createCensus({ backlog, ledger, clock, limits: defaultLimits, memory: {} })
  const isolate = world.isolate({ backlog: census.backlog })
  const settings = {
    ...readSettings(settingsFor('http://127.0.0.1:1')),
    quotaLimit,
    quotaBucketMs: 60_000,
    quotaSlackMs: worldSettings.quotaSlackMs,
    replayReserve: worldSettings.replayReserve,
  }
  const status = createStatus({
    settings,
    ledger,
    backlog,
    clock,
    ready: async () => ({ ready: true, ledger: 'embedded', checks: { store: 'ok' } }),
  })
  return {
    ...world,
    backlog,
    ...isolate,
    run: () => isolate.flushWith([census.duty, keepRuns({ ledger, clock })]),
    status: () => status.status(),
    waiting: () => status.backlog(),
    throughWith: status.throughWith,
  }
}

describe.each(kinds)('the status of a relay on %s', (kind) => {
  it('says what waits, why, of whom, and until when; what is dead; and what runs did', async () => {
    const world = await relay(kind)
    const updates = await Promise.all(
      Array.from({ length: 30 }, (_, n) =>
        world.update(
          { visitor: { thirdPartyId: `v${n % 25}` }, attributes: { tier: `t${n}` } },
          n % 2 ? 'shop' : 'crm',
        ),
      ),
    )
    for (const update of updates) await world.deliver([update])
    await world.settled()
    // Two hours later nobody asks for units any longer.
    await world.clock.advance(2 * hourMs)
    await world.run()
    const entries = (await world.backlog.list()).items.flatMap((item) => ('entry' in item ? [item.entry] : []))
    expect(entries.length).toBeGreaterThan(5)
    const { quota, backlog, dead, paused, runs, checks, today, limit } = await world.status()
    expect(backlog).toMatchObject({ ...plainTally(entries), complete: true, callsExact: true })
    expect(backlog).toEqual(await world.waiting())
    expect(backlog?.calls).toBe(backlog?.visitors)
    expect(backlog?.oldestAt).toBe(new Date(Math.min(...entries.map(({ firstSeenMs }) => firstSeenMs))).toISOString())
    expect(Date.parse(backlog?.countedAt ?? '')).toBe(world.clock.now())
    // Units are free again a day and the slack after they were spent.
    expect(Date.parse(backlog?.doneBy ?? '') - world.clock.now()).toBeGreaterThan(21 * hourMs)
    expect(Date.parse(backlog?.doneBy ?? '') - world.clock.now()).toBeLessThan(23 * hourMs)
    expect(quota).toMatchObject({
      used: 20,
      limit: quotaLimit,
      firstDeferralAt: new Date(world.clock.now()).toISOString(),
    })
    expect(quota.byLane?.['live']).toBe(19)
    expect(dead).toMatchObject({ count: 0 })
    expect({ paused, checks, limit }).toEqual({ paused: false, checks: { store: 'ok' }, limit: quotaLimit })
    expect(runs).toEqual([expect.objectContaining({ at: new Date(world.clock.now()).toISOString(), stopped: 'quota' })])
    expect(Object.keys(today ?? {}).toSorted()).toEqual(['crm', 'shop'])
  })

  it('counts a dead letter at once', async () => {
    const world = await relay(kind)
    world.target.behave = () => ({ kind: 'refused', message: 'no', own: true })
    await world.run()
    await world.deliver([await world.update({ attributes: { tier: 'gold' } }, 'shop')])
    await world.settled()
    await world.clock.advance(61_000)
    expect((await world.status()).dead).toMatchObject({ count: 1, byReason: { rejected: 1 }, bySource: { shop: 1 } })
  })

  it('foretells nothing while calls are held back', async () => {
    const world = await relay(kind)
    await world.ledger.pause(true)
    await world.deliver([await world.update({ attributes: { tier: 'gold' } })])
    await world.run()
    const { quota, backlog, paused } = await world.status()
    expect(paused).toBe(true)
    expect(backlog).toMatchObject({ waiting: 1, byReason: { paused: 1 } })
    expect(backlog).not.toHaveProperty('doneBy')
    expect(quota).not.toHaveProperty('firstDeferralAt')
  })

  it('foretells when a plan would be through beside what waits: by the quota, and by what a run can move', async () => {
    const world = await relay(kind)
    await world.run()
    const minutes = async (letters: number, calls: number) =>
      (((await world.throughWith({ letters, entries: letters, calls })) ?? Number.NaN) - world.clock.now()) / 60_000
    expect(await minutes(5, 5)).toBe(1)
    // The quota is 20 a day.
    const twoDays = await minutes(50, 50)
    expect(twoDays).toBeGreaterThan(2 * 24 * 60 - 60)
    expect(twoDays).toBeLessThan(2 * 24 * 60 + 60)
    // Of one visitor; FLUSH_MAX_OPS is 900, a put and a delete each for a letter in a KV.
    expect(await minutes(9_000, 1)).toBe(kind !== 'SQLite' ? Math.ceil(9_000 / ((900 * 25) / 51)) : 1)
    await world.ledger.pause(true)
    expect(await minutes(5, 5)).toBeNaN()
  })

  it('shows an empty backlog as counted by the run that found it empty', async () => {
    const world = await relay(kind)
    await world.run()
    expect((await world.status()).backlog).toMatchObject({
      waiting: 0,
      calls: 0,
      complete: true,
      countedAt: new Date(world.clock.now()).toISOString(),
    })
  })
})
