import { DatabaseSync } from 'node:sqlite'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterAll, describe, expect, it } from 'vitest'
import { entryKey, packEntry } from '../../../src/core/backlog/entry-format.ts'
import { kvBacklog } from '../../../src/core/backlog/kv.ts'
import type { KeptEntry, Unreadable } from '../../../src/core/backlog/port.ts'
import { rowsBacklog, sqliteBacklog } from '../../../src/core/backlog/sqlite.ts'
import { sqliteRows } from '../../../src/core/backlog/sqlite-rows.ts'
import { defaultLimits } from '../../../src/core/limits.ts'
import type { Kv } from '../../../src/core/store/kv.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { allEntries, backlogContract, someEntry, tinyLimits } from '../../contract/backlog.ts'
import { fakeClock, seededRandom } from '../../support/clock.ts'
import { fakeKv } from '../../support/fake-kv.ts'
import { plainSeal, sealWith } from '../../support/seal.ts'

const randomHex = seededRandom(3).hex
const clock = fakeClock()

const namespaces = Array.from({ length: 60 }, (_, n) => `KV${n}`)
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script: 'export default { fetch: () => new Response() }',
    kvNamespaces: namespaces,
    cf: false,
  }),
)
afterAll(() => miniflare.dispose())
let used = 0
/** A separate namespace in real workerd. */
const realKv = async () => (await miniflare.getKVNamespace(namespaces[used++] ?? '')) as unknown as Kv
const sqlite = () => nodeSqlite(new DatabaseSync(':memory:'))

const aSecondLater = () => clock.advance(1_000)

for (const limits of [defaultLimits, tinyLimits]) {
  const sealed = async () => ({ randomHex, limits, seal: await sealWith('k1') })
  const plain = { randomHex, limits, seal: plainSeal }
  backlogContract('SQLite', { limits, make: async () => sqliteBacklog(sqlite(), plain) })
  backlogContract('SQLite, not counted', { limits, make: async () => rowsBacklog(sqliteRows(sqlite(), false), plain) })
  backlogContract('SQLite, sealed', { limits, make: async () => sqliteBacklog(sqlite(), await sealed()) })
  backlogContract('a KV, sealed', {
    limits,
    aSecondLater,
    make: async () => kvBacklog(fakeKv({ now: clock.now }), await sealed()),
  })
  backlogContract('a KV as it fails in production', {
    limits,
    aSecondLater,
    make: async () =>
      kvBacklog(fakeKv({ now: clock.now, ...(limits === tinyLimits ? { emptyPages: true } : {}) }), plain),
  })
  backlogContract('Workers KV in workerd', { limits, make: async () => kvBacklog(await realKv(), plain) })
}

it('an entry that is not counted costs one row to put it and one to remove it (an object’s rows are billed)', async () => {
  const sql = sqlite()
  const backlog = rowsBacklog(sqliteRows(sql, false), { randomHex, seal: plainSeal })
  const changes = () => Number(sql.exec('SELECT total_changes() AS n')[0]?.['n'])
  const before = changes()
  const key = await backlog.put(someEntry())
  expect(changes() - before).toBe(1)
  await backlog.delete(key)
  expect(changes() - before).toBe(2)
})

/** Entries as they were written before entries had heads: without metadata. */
async function putOld(kv: Kv, entry: ReturnType<typeof someEntry>): Promise<void> {
  await kv.put(entryKey(entry, randomHex(8)), JSON.stringify(packEntry(entry)))
}

describe('entries too large for one bulk read (G2, G7)', () => {
  const large = (bytes: number) => someEntry({ attributes: [{ name: 'a', value: 'x'.repeat(bytes) }] })
  const shown = (items: readonly (KeptEntry | Unreadable)[]) =>
    items.map((item) => ('entry' in item ? item.entry.stamp : item))

  it.each([
    ['27 of 950 KiB among a hundred others', 27, 972_800, 100],
    ['45 of 0.7 MB', 45, 700_000, 0],
  ])(
    'on real KV, %s: all are listed, whether an earlier version wrote them or this one',
    async (_, count, bytes, neighbours) => {
      const kv = await realKv()
      const backlog = kvBacklog(kv, { randomHex, seal: plainSeal })
      const entries = [
        ...Array.from({ length: count }, () => large(bytes)),
        ...Array.from({ length: neighbours }, () => someEntry()),
      ]
      for (const [index, entry] of entries.entries()) await (index % 2 === 0 ? putOld(kv, entry) : backlog.put(entry))
      const before = backlog.operations
      const listed = shown(await allEntries(kvBacklog(kv, { randomHex, seal: plainSeal })))
      expect(listed).toEqual(entries.map(({ stamp }) => stamp))
      expect(shown(await allEntries(backlog))).toEqual(listed)
      expect(backlog.operations - before).toBeLessThan(20)
    },
    120_000,
  )
})
