import { DatabaseSync } from 'node:sqlite'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { describe, expect, it } from 'vitest'
import { type Kv, kvBacklog } from '../../../src/core/backlog/kv.ts'
import { sqliteBacklog } from '../../../src/core/backlog/sqlite.ts'
import { nodeSqlite } from '../../../src/core/ledger/sqlite-node.ts'
import { backlogContract, someEntry } from '../../contract/backlog.ts'
import { fakeClock, seededRandom } from '../../support/clock.ts'
import { fakeKv } from '../../support/fake-kv.ts'
import { plainSeal, sealWith } from '../../support/seal.ts'

const randomHex = seededRandom(3).hex
const clock = fakeClock()

backlogContract('SQLite', async () => sqliteBacklog(nodeSqlite(new DatabaseSync(':memory:')), { randomHex, seal: plainSeal }))
backlogContract('SQLite, sealed', async () =>
  sqliteBacklog(nodeSqlite(new DatabaseSync(':memory:')), { randomHex, seal: await sealWith('k1') }),
)
backlogContract('a KV, sealed', async () => kvBacklog(fakeKv({ now: clock.now }), { randomHex, seal: await sealWith('k1') }))
backlogContract('a KV as it fails in production', async () => kvBacklog(fakeKv({ now: clock.now }), { randomHex, seal: plainSeal }))

const namespaces = Array.from({ length: 8 }, (_, n) => `KV${n}`)
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script: 'export default { fetch: () => new Response() }',
    kvNamespaces: namespaces,
    cf: false,
  }),
)
let used = 0
backlogContract(
  'Workers KV in workerd',
  async () => kvBacklog((await miniflare.getKVNamespace(namespaces[used++] ?? '')) as unknown as Kv, { randomHex, seal: plainSeal }),
  () => miniflare.dispose(),
)

describe('KV as it is', () => {
  it('a small entry costs one operation to read a thousand of, a large one a bulk read for each hundred', async () => {
    const backlog = kvBacklog(fakeKv({ now: clock.now }), { randomHex, seal: plainSeal })
    for (let n = 0; n < 150; n++) await backlog.put(someEntry())
    const small = backlog.operations
    await backlog.list()
    expect(backlog.operations - small).toBe(1)
    for (let n = 0; n < 150; n++) await backlog.put(someEntry({ attributes: [{ name: 'a', value: 'x'.repeat(2_000) }] }))
    const large = backlog.operations
    expect((await backlog.list()).items).toHaveLength(300)
    expect(backlog.operations - large).toBe(3)
  })

  it('a list that is behind may show a deleted key: without its value it is passed over', async () => {
    const kv = fakeKv({ now: clock.now })
    const backlog = kvBacklog(kv, { randomHex, seal: plainSeal })
    await backlog.put(someEntry({ attributes: [{ name: 'a', value: 'x'.repeat(2_000) }] }))
    const behind: Kv = { ...kv, get: async (keys) => new Map(keys.map((key) => [key, null])) }
    expect((await kvBacklog(behind, { randomHex, seal: plainSeal }).list()).items).toEqual([])
  })

  it('empty pages with more to come are followed, not taken for the end', async () => {
    const backlog = kvBacklog(fakeKv({ now: clock.now, emptyPages: true }), { randomHex, seal: plainSeal })
    await backlog.put(someEntry())
    const first = await backlog.list()
    expect(first.items).toEqual([])
    expect((await backlog.list({ cursor: first.cursor ?? '' })).items).toHaveLength(1)
  })

  it('a put that fails rejects, so that nobody is told it was kept (G2)', async () => {
    const kv = fakeKv({ now: clock.now })
    kv.failPuts = 1
    await expect(kvBacklog(kv, { randomHex, seal: plainSeal }).put(someEntry())).rejects.toThrow('503')
  })

  it('what is of another format is shown as unreadable, never thrown or lost', async () => {
    const kv = fakeKv({ now: clock.now })
    await kv.put('b1/00/x', '{"v":9}')
    await kv.put('b1/00/y', 'not JSON')
    expect((await kvBacklog(kv, { randomHex, seal: plainSeal }).list()).items).toMatchObject([{ key: 'b1/00/x' }, { key: 'b1/00/y' }])
  })
})
