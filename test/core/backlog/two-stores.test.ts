/** A backlog that moves between stores: nothing of either is missed, kept twice, or left behind. */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { kvBacklog } from '../../../src/core/backlog/kv.ts'
import type { Backlog } from '../../../src/core/backlog/port.ts'
import { sqliteBacklog } from '../../../src/core/backlog/sqlite.ts'
import { lookAgainMs, type MoveMemory, twoStores } from '../../../src/core/backlog/two-stores.ts'
import { defaultLimits, type Limits } from '../../../src/core/limits.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { allDead, allEntries, allPages, backlogContract, someEntry, tinyLimits } from '../../contract/backlog.ts'
import { fakeClock, seededRandom } from '../../support/clock.ts'
import { fakeKv } from '../../support/fake-kv.ts'
import { plainSeal, sealWith } from '../../support/seal.ts'

const randomHex = seededRandom(5).hex
const clock = fakeClock()

type Kind = 'kv' | 'sql'
function storeOf(kind: Kind, limits: Limits = defaultLimits, seal = plainSeal): Backlog {
  return kind === 'kv'
    ? kvBacklog(fakeKv({ now: clock.now }), { randomHex, limits, seal })
    : sqliteBacklog(nodeSqlite(new DatabaseSync(':memory:')), { randomHex, limits, seal })
}

/** Both stores, and the backlog as an instance sees it: `again` is another instance in the same isolate. */
function moving(toKind: Kind, limits?: Limits, memory: MoveMemory = {}) {
  const to = storeOf(toKind, limits)
  const from = storeOf(toKind === 'kv' ? 'sql' : 'kv', limits)
  const again = () => twoStores({ to, from, now: clock.now, memory })
  return { to, from, again, backlog: again() }
}

for (const limits of [defaultLimits, tinyLimits])
  for (const to of ['kv', 'sql'] as const) {
    backlogContract(`two stores, to ${to}`, { limits, listOperations: 2, make: async () => moving(to, limits).backlog })
    backlogContract(`two stores, to ${to}, the old one known to be empty`, {
      limits,
      make: async () => moving(to, limits, { emptyAtMs: clock.now() }).backlog,
    })
  }

const letter = (atMs: number) => ({
  reason: 'rejected' as const,
  source: 'loan',
  atMs,
  firstSeenMs: atMs,
  attempts: 1,
  entry: someEntry(),
})

describe.each(['kv', 'sql'] as const)('a backlog that moves, to %s', (toKind) => {
  it('what is new goes to the new store, and all of both is listed, once (G2)', async () => {
    const { to, from, backlog } = moving(toKind, tinyLimits)
    const old = await Promise.all(Array.from({ length: 8 }, () => from.put(someEntry())))
    const fresh = await Promise.all(Array.from({ length: 8 }, () => backlog.put(someEntry())))
    expect((await allEntries(to)).map(({ key }) => key).sort()).toEqual(fresh.sort())
    const listed = (await allEntries(backlog)).map(({ key }) => key)
    expect(listed.toSorted()).toEqual([...old, ...fresh].sort())
  })

  it('what was listed is removed from where it lies, and what was not from both', async () => {
    const { to, from, backlog, again } = moving(toKind)
    const entries = [someEntry(), someEntry(), someEntry()]
    const keys = [
      await from.put(entries[0] as never),
      await to.put(entries[1] as never),
      await from.put(entries[2] as never),
    ]
    await allEntries(backlog)
    const before = { to: to.operations, from: from.operations }
    await backlog.delete(keys[0] ?? '')
    expect([to.operations - before.to, from.operations - before.from]).toEqual([0, 1])
    await again().delete(keys[1] ?? '')
    await again().delete(keys[2] ?? '')
    expect(await allEntries(backlog)).toEqual([])
  })

  it('letters of both are listed, read and removed, a plan’s too (G9)', async () => {
    const { from, backlog, again } = moving(toKind, tinyLimits)
    const keys = []
    for (let index = 0; index < 7; index++) keys.push(await (index % 2 === 0 ? from : backlog).bury(letter(index)))
    expect((await allDead(backlog)).map(({ key }) => key).sort()).toEqual(keys.toSorted())
    expect((await again().readDeads(keys.slice(0, 2))).map(({ key }) => key)).toEqual(keys.slice(0, 2))
    for (const key of keys) expect((await again().readDead(key))?.key).toBe(key)
    await from.putText('x1/plan', 'of the old store')
    expect(await backlog.readText('x1/plan')).toBe('of the old store')
    for (const key of keys) await again().exchange([], [key])
    expect(await allDead(backlog)).toEqual([])
  })

  it('an exchange keeps what is new before it removes what is old (G2)', async () => {
    const { to, from } = moving(toKind)
    const key = await from.bury(letter(1))
    const refusing: Backlog = Object.assign(Object.create(to) as Backlog, {
      exchange: () => Promise.reject(new Error('full')),
    })
    const backlog = twoStores({ to: refusing, from, now: clock.now, memory: {} })
    await expect(backlog.exchange([{ entry: someEntry(), name: '0'.repeat(16) }], [key])).rejects.toThrow('full')
    expect((await allDead(from)).length).toBe(1)
  })

  it('the old store costs nothing once it is empty, until it is looked at again', async () => {
    const { to, from, again } = moving(toKind)
    await to.put(someEntry())
    expect((await allEntries(again())).length).toBe(1)
    const before = from.operations
    for (let count = 0; count < 5; count++) await allEntries(again())
    expect(from.operations).toBe(before)
    // An instance of the old setting, late.
    await from.put(someEntry())
    expect((await allEntries(again())).length).toBe(1)
    await clock.advance(lookAgainMs)
    expect((await allEntries(again())).length).toBe(2)
    expect((await allEntries(again())).length).toBe(2)
  })

  it('a visitor is looked for in both, however empty the old one was (G9)', async () => {
    const { from, again } = moving(toKind, defaultLimits, { emptyAtMs: clock.now() })
    const entry = someEntry()
    await from.put(entry)
    expect((await allEntries(again(), entry.visitorHash)).length).toBe(1)
  })

  it('what counts itself and what must be listed are together all that waits (G9)', async () => {
    const { to, from, backlog } = moving(toKind)
    for (let index = 0; index < 5; index++) await from.put(someEntry())
    for (let index = 0; index < 3; index++) await to.put(someEntry())
    const counted = (await backlog.tally?.())?.waiting.waiting ?? 0
    const heads = await allPages(
      async (cursor) => (await backlog.heads?.(cursor === undefined ? {} : { cursor })) ?? { items: [] },
    )
    expect([counted, heads.length].sort()).toEqual([3, 5])
  })
})

it('both stores are sealed anew', async () => {
  const seals = { old: await sealWith('old'), both: await sealWith('new', 'old') }
  const kv = fakeKv({ now: clock.now })
  const sql = nodeSqlite(new DatabaseSync(':memory:'))
  const open = (seal: typeof seals.old) =>
    twoStores({
      to: sqliteBacklog(sql, { randomHex, seal }),
      from: kvBacklog(kv, { randomHex, seal }),
      now: clock.now,
      memory: {},
    })
  await kvBacklog(kv, { randomHex, seal: seals.old }).put(someEntry())
  await open(seals.old).put(someEntry())
  // A key of KV takes one write a second.
  await clock.advance(2_000)
  const counts: Record<string, number>[] = []
  for (let cursor: string | undefined; ; ) {
    const page = await open(seals.both).reseal({
      part: 'entries',
      anew: true,
      limit: 10,
      ...(cursor === undefined ? {} : { cursor }),
    })
    counts.push(page.byKey)
    if (page.cursor === undefined) break
    cursor = page.cursor
  }
  expect(counts).toEqual([{ new: 1 }, { new: 1 }])
})
