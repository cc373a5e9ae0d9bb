/** An old key of BACKLOG_KEYS on its way to its end: what it still seals is counted, and sealed anew (G2, G8). */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { kvBacklog } from '../../../src/core/backlog/kv.ts'
import type { Backlog, DeadLetter } from '../../../src/core/backlog/port.ts'
import type { Seal } from '../../../src/core/backlog/seal.ts'
import { sqliteBacklog } from '../../../src/core/backlog/sqlite.ts'
import { defaultLimits, type Limits } from '../../../src/core/limits.ts'
import { createSeals, type Seals } from '../../../src/core/operator/seals.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { allDead, allEntries, someEntry, tinyLimits } from '../../contract/backlog.ts'
import { fakeClock, seededRandom } from '../../support/clock.ts'
import { fakeKv } from '../../support/fake-kv.ts'
import { sealWith } from '../../support/seal.ts'

const randomHex = seededRandom(11).hex
const clock = fakeClock()
const letter = (more: Partial<DeadLetter> = {}): DeadLetter => ({
  reason: 'rejected',
  source: 'api',
  detail: 'planted words of Target',
  atMs: clock.now(),
  firstSeenMs: clock.now(),
  attempts: 1,
  entry: someEntry(),
  ...more,
})

/** A store that relays with other rings open after each other. */
type Store = (seal: Seal, limits?: Limits) => Backlog
const stores: readonly (readonly [string, () => Store & { readonly texts?: () => string }])[] = [
  [
    'SQLite',
    () => {
      const database = new DatabaseSync(':memory:')
      const sql = nodeSqlite(database)
      return Object.assign((seal: Seal, limits = defaultLimits) => sqliteBacklog(sql, { randomHex, seal, limits }), {
        texts: () =>
          JSON.stringify([
            database.prepare('SELECT value FROM relay_backlog').all(),
            database.prepare('SELECT detail FROM relay_dead').all(),
          ]),
      })
    },
  ],
  [
    'KV',
    () => {
      const kv = fakeKv({ now: clock.now })
      return (seal, limits = defaultLimits) => kvBacklog(kv, { randomHex, seal, limits })
    },
  ],
]

const seals = (backlog: Backlog, first: string | undefined, maxOperations = 900) =>
  createSeals({ backlog, first, clock, maxOperations })

/** Asks on until it is complete. @returns all counts, and how many calls it took */
async function all(
  ask: ReturnType<typeof seals>,
  anew: boolean,
): Promise<{ byKey: object; resealed: number; calls: number }> {
  const byKey: Record<string, { entries: number; dead: number }> = {}
  let [resealed, calls, cursor]: [number, number, string | undefined] = [0, 0, undefined]
  do {
    const now = (await ask({ anew, ...(cursor === undefined ? {} : { cursor }) })) as Seals
    for (const [name, { entries, dead }] of Object.entries(now.byKey)) {
      const known = byKey[name] ?? { entries: 0, dead: 0 }
      byKey[name] = { entries: known.entries + entries, dead: known.dead + dead }
    }
    resealed += now.resealed
    cursor = now.cursor
    calls++
    expect(now.complete).toBe(cursor === undefined)
  } while (cursor !== undefined)
  return { byKey, resealed, calls }
}

describe.each(stores)('keys of the ring, on %s', (_, make) => {
  async function filled(limits?: Limits) {
    const store = make()
    const [plain, old, ring] = [await sealWith(), await sealWith('k1'), await sealWith('k2', 'k1')]
    await store(plain, limits).put(someEntry())
    for (let n = 0; n < 5; n++) await store(old, limits).put(someEntry())
    await store(old, limits).put(someEntry({ attributes: [{ name: 'large', value: 'x'.repeat(3_000) }] }))
    for (let n = 0; n < 4; n++) await store(old, limits).bury(letter())
    await store(old, limits).bury(letter({ reason: 'unmappable', detail: 'no field', raw: '{"a":1}' }))
    await store(ring, limits).put(someEntry())
    await store(ring, limits).bury(letter())
    await clock.advance(2_000)
    return { store, ring }
  }
  const before = { 'not sealed': { entries: 1, dead: 0 }, k1: { entries: 6, dead: 5 }, k2: { entries: 1, dead: 1 } }
  const after = { 'not sealed': { entries: 1, dead: 0 }, k2: { entries: 7, dead: 6 } }

  it.each([
    ['', defaultLimits, 900],
    [', within bounds that are reached', tinyLimits, 10],
  ] as const)(
    'are counted, and an old one ends without a change to what it sealed%s',
    async (_, limits, operations) => {
      const { store, ring } = await filled(limits)
      const backlog = store(ring, limits)
      const [entries, letters] = [await allEntries(backlog), await allDead(backlog)]
      const ask = seals(backlog, 'k2', operations)
      expect(await all(ask, false)).toMatchObject({ byKey: before, resealed: 0 })
      const { calls, ...anew } = await all(ask, true)
      expect(anew).toEqual({ byKey: after, resealed: 11 })
      expect(calls > 1).toBe(operations < 100)
      // The old key may go now: everything reads as before, its heads and their details too.
      const without = store(await sealWith('k2'), limits)
      expect([await allEntries(without), await allDead(without)]).toEqual([entries, letters])
      const heads = (await without.deadHeads({ details: true })).items
      expect(heads.every((head) => 'detail' in head && typeof head.detail === 'string')).toBe(true)
      expect(await all(seals(without, 'k2', operations), true)).toMatchObject({ byKey: after, resealed: 0 })
    },
  )

  it('what no key opens is left, and counted under the name of its key', async () => {
    const { store } = await filled()
    const lost = store(await sealWith('k2'))
    expect(await all(seals(lost, 'k2'), true)).toMatchObject({ byKey: before, resealed: 0 })
    expect(await allEntries(store(await sealWith('k1', 'k2')))).toHaveLength(8)
  })

  it('without a ring nothing is sealed anew', async () => {
    const { store } = await filled()
    expect(await all(seals(store(await sealWith()), undefined), true)).toMatchObject({ byKey: before, resealed: 0 })
  })

  it('a cursor that is none is refused', async () => {
    const { store, ring } = await filled()
    expect(await seals(store(ring), 'k2')({ anew: true, cursor: 'x' })).toBe('unknown_cursor')
  })
})

it('a letter that goes while it is sealed anew does not come back (SQLite)', async () => {
  const sql = nodeSqlite(new DatabaseSync(':memory:'))
  const parts = { randomHex, limits: defaultLimits }
  const key = await sqliteBacklog(sql, { ...parts, seal: await sealWith('k1') }).bury(letter())
  const ring = await sealWith('k2', 'k1')
  const backlog: Backlog = sqliteBacklog(sql, {
    ...parts,
    seal: {
      ...ring,
      reseal: async (stored, at) => {
        const resealed = await ring.reseal(stored, at)
        await backlog.delete(key)
        return resealed
      },
    },
  })
  await all(seals(backlog, 'k2'), true)
  expect(await backlog.readDead(key)).toBeUndefined()
})

it('a value that KV does not give is counted, and its neighbours are sealed anew', async () => {
  const kv = fakeKv({ now: clock.now })
  const old = kvBacklog(kv, { randomHex, seal: await sealWith('k1') })
  const [lost] = [await old.bury(letter()), await old.bury(letter())]
  await clock.advance(2_000)
  kv.failGet = (key) => (key === lost ? 'KV GET failed: 500' : undefined)
  const backlog = kvBacklog(kv, { randomHex, seal: await sealWith('k2', 'k1') })
  expect(await seals(backlog, 'k2')({ anew: true })).toMatchObject({
    byKey: { k2: { entries: 0, dead: 1 } },
    resealed: 1,
    failed: 1,
    complete: true,
  })
})
