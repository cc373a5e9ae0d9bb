/** A backlog that moves between stores: nothing of either is missed, kept twice, or left behind. */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { kvBacklog } from '../../../src/core/backlog/kv.ts'
import type { Backlog } from '../../../src/core/backlog/port.ts'
import { rowsBacklog } from '../../../src/core/backlog/sqlite.ts'
import { sqliteRows } from '../../../src/core/backlog/sqlite-rows.ts'
import { lookAgainMs, type MoveMemory, rawCharsPerRow, twoStores } from '../../../src/core/backlog/two-stores.ts'
import { defaultLimits, type Limits } from '../../../src/core/limits.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { allDead, allEntries, allPages, backlogContract, someEntry, tinyLimits } from '../../contract/backlog.ts'
import { fakeClock, seededRandom } from '../../support/clock.ts'
import { fakeKv } from '../../support/fake-kv.ts'
import { plainSeal, sealWith } from '../../support/seal.ts'
import { plainTally, tallyOf } from '../../support/tally.ts'

const randomHex = seededRandom(5).hex
const clock = fakeClock()

type Kind = 'kv' | 'sql'
function storeOf(kind: Kind, limits: Limits = defaultLimits, seal = plainSeal): Backlog {
  return kind === 'kv'
    ? kvBacklog(fakeKv({ now: clock.now }), { randomHex, limits, seal })
    : rowsBacklog(sqliteRows(nodeSqlite(new DatabaseSync(':memory:')), false), { randomHex, limits, seal })
}

/** Both stores, and the backlog as an instance sees it: `again` is another instance in the same isolate. */
function moving(toKind: Kind, limits?: Limits, memory: MoveMemory = {}) {
  const stores = { kv: storeOf('kv', limits), sql: storeOf('sql', limits) }
  const [to, from] = [stores[toKind], stores[toKind === 'kv' ? 'sql' : 'kv']]
  const again = () => twoStores({ ...stores, keepsIn: toKind, now: clock.now, memory })
  /** An instance of before, or of after a move back. */
  const backwards = () => twoStores({ ...stores, keepsIn: toKind === 'kv' ? 'sql' : 'kv', now: clock.now, memory: {} })
  return { to, from, again, backwards, backlog: again() }
}

const aSecondLater = () => clock.advance(1_000)

for (const limits of [defaultLimits, tinyLimits])
  for (const to of ['kv', 'sql'] as const) {
    backlogContract(`two stores, to ${to}`, {
      limits,
      aSecondLater,
      listOperations: 2,
      make: async () => moving(to, limits).backlog,
    })
    backlogContract(`two stores, to ${to}, the old one known to be empty`, {
      limits,
      aSecondLater,
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
    // In the order of keys, so that the entries of a visitor are neighbours.
    expect(listed).toEqual([...old, ...fresh].sort())
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

  it('what lies in the SQL store alone is removed together', async () => {
    const { to, from, backlog, again } = moving(toKind)
    const sql = await (toKind === 'sql' ? to : from).put(someEntry())
    const kv = await (toKind === 'kv' ? to : from).put(someEntry())
    // It may lie in both.
    expect([sql, kv].map((key) => again().removesTogether?.(key))).toEqual([false, false])
    await allEntries(backlog)
    expect([sql, kv].map((key) => backlog.removesTogether?.(key))).toEqual([true, false])
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

  it('a list that instances of before and after the move go on with in turn shows all (G2, G9)', async () => {
    const { from, to, backlog, backwards } = moving(toKind, tinyLimits)
    const keys = { entries: [] as string[], dead: [] as string[] }
    for (let index = 0; index < 9; index++)
      for (const store of [from, to]) {
        keys.entries.push(await store.put(someEntry()))
        keys.dead.push(await store.bury(letter(index)))
      }
    let turn = 0
    const other = () => (turn++ % 2 === 0 ? backlog : backwards())
    const entries = keys.entries.toSorted()
    const dead = keys.dead.toSorted()
    const shown = async (ask: (options: { cursor?: string }) => Promise<{ items: readonly { key: string }[] }>) =>
      (await allPages((cursor) => ask(cursor === undefined ? {} : { cursor }))).map(({ key }) => key).sort()
    expect(await shown((options) => other().list(options))).toEqual(entries)
    expect(await shown(async (options) => (await other().heads?.(options)) ?? { items: [] })).toEqual(entries)
    expect(await shown((options) => other().listDead(options))).toEqual(dead)
    expect(await shown((options) => other().deadHeads(options))).toEqual(dead)
    for (const part of ['entries', 'dead'] as const) {
      let sealed = 0
      let cursor: string | undefined
      do {
        const page = await other().reseal({ part, anew: false, limit: 4, ...(cursor === undefined ? {} : { cursor }) })
        sealed += Object.values(page.byKey).reduce((sum, count) => sum + count, 0)
        cursor = page.cursor
      } while (cursor !== undefined)
      expect(sealed).toBe(18)
    }
  })

  it('a letter that is too large for a row of the object is kept in KV, listed, read and removed (G2)', async () => {
    const { to, from, backlog, again } = moving(toKind)
    const kv = toKind === 'kv' ? to : from
    const { entry, ...rest } = letter(1)
    const raw = 'ä'.repeat(rawCharsPerRow + 1)
    const key = await backlog.bury({ ...rest, reason: 'unmappable', raw })
    expect((await allDead(kv)).map((one) => one.key)).toEqual([key])
    expect(await again().readDead(key)).toMatchObject({ dead: { raw } })
    await again().delete(key)
    expect(await allDead(backlog)).toEqual([])
  })

  it('an exchange keeps what is new before it removes what is old (G2)', async () => {
    const { to, from } = moving(toKind)
    const key = await from.bury(letter(1))
    const refusing: Backlog = Object.assign(Object.create(to) as Backlog, {
      exchange: () => Promise.reject(new Error('full')),
    })
    const sides = toKind === 'kv' ? { kv: refusing, sql: from } : { kv: from, sql: refusing }
    const backlog = twoStores({ ...sides, keepsIn: toKind, now: clock.now, memory: {} })
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

  it('a look that was left out does not count as one that found nothing, where the time for the next comes meanwhile', async () => {
    const stores = { kv: storeOf('kv'), sql: storeOf('sql') }
    const memory: MoveMemory = { emptyAtMs: 0 }
    // The first question is within the ten minutes, every later one is not.
    let asked = 0
    const now = () => (asked++ === 0 ? 1 : lookAgainMs)
    await twoStores({ ...stores, keepsIn: toKind, now, memory }).list()
    expect(memory.emptyAtMs).toBe(0)
  })

  it('a visitor is looked for in both, however empty the old one was (G9)', async () => {
    const { from, again } = moving(toKind, defaultLimits, { emptyAtMs: clock.now() })
    const entry = someEntry()
    await from.put(entry)
    expect((await allEntries(again(), entry.visitorHash)).length).toBe(1)
  })

  it.each([1, 2, 3, 4, 5, 6])(
    'however they lie, pages of both are in order, whole and without repetition (seed %i)',
    async (seed) => {
      const random = seededRandom(seed)
      const { to, from, backlog } = moving(toKind, tinyLimits)
      const keys: string[] = []
      const share = random.fraction()
      for (let count = 0; count < 40; count++) {
        const visitorHash = Math.floor(random.fraction() * 10)
          .toString(16)
          .padStart(32, random.hex(1)[0])
        keys.push(await (random.fraction() < share ? to : from).put(someEntry({ visitorHash })))
      }
      const limit = 1 + Math.floor(random.fraction() * 5)
      const listed = await allPages((cursor) => backlog.list({ limit, ...(cursor === undefined ? {} : { cursor }) }))
      expect(listed.map(({ key }) => key)).toEqual(keys.toSorted())
      const heads = await allPages(
        async (cursor) => (await backlog.heads?.(cursor === undefined ? {} : { cursor })) ?? { items: [] },
      )
      expect(heads.map(({ key }) => key)).toEqual(keys.toSorted())
    },
  )

  it('a cursor of one store alone begins anew', async () => {
    const { from, backlog } = moving(toKind)
    const key = await from.put(someEntry())
    for (const cursor of ['b1/f', '"x"', '{}', 'AAA='])
      expect((await backlog.list({ cursor })).items.map((item) => item.key)).toEqual([key])
  })

  it('the heads of both are counted (G9)', async () => {
    const { to, from, backlog } = moving(toKind, tinyLimits)
    const entries = Array.from({ length: 9 }, (_, index) => someEntry({ reason: index % 2 === 0 ? 'quota' : 'paused' }))
    for (const [index, entry] of entries.entries()) await (index % 3 === 0 ? to : from).put(entry)
    expect((await tallyOf(backlog)).waiting).toMatchObject(plainTally(entries))
  })
})

it('both stores are sealed anew', async () => {
  const seals = { old: await sealWith('old'), both: await sealWith('new', 'old') }
  const kv = fakeKv({ now: clock.now })
  const rows = sqliteRows(nodeSqlite(new DatabaseSync(':memory:')), false)
  const open = (seal: typeof seals.old) =>
    twoStores({
      sql: rowsBacklog(rows, { randomHex, seal }),
      kv: kvBacklog(kv, { randomHex, seal }),
      keepsIn: 'sql',
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
