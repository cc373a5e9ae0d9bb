/** Erasing and finding one visitor, however much the store holds and whatever of it can't be read. */
import { DatabaseSync } from 'node:sqlite'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterAll, describe, expect, it } from 'vitest'
import { deadKey, packDead } from '../../../src/core/backlog/entry-format.ts'
import { kvBacklog } from '../../../src/core/backlog/kv.ts'
import type { Backlog, DeadLetter } from '../../../src/core/backlog/port.ts'
import { sqliteBacklog } from '../../../src/core/backlog/sqlite.ts'
import { defaultLimits } from '../../../src/core/limits.ts'
import { createErase, type Erased } from '../../../src/core/operator/erase.ts'
import { createFind } from '../../../src/core/operator/visitor/find-visitor.ts'
import type { Kv } from '../../../src/core/store/kv.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { createHasher } from '../../../src/core/update/hash.ts'
import type { Visitor } from '../../../src/core/update/update.ts'
import { allDead, allEntries, someEntry, tinyLimits } from '../../contract/backlog.ts'
import { fakeClock, seededRandom } from '../../support/clock.ts'
import { type FakeKv, fakeKv } from '../../support/fake-kv.ts'
import { plainSeal, sealWith } from '../../support/seal.ts'

const hasher = await createHasher('a-hash-key-of-32-bytes-for-tests-only')
const visitor = { thirdPartyId: 'c-42' }
const visitorHash = await hasher.visitor(visitor)
const randomHex = seededRandom(9).hex
const dead = { source: 'loan', atMs: 1, firstSeenMs: 1, attempts: 0 } as const
const raw = (text: string, atMs = 1): DeadLetter => ({ ...dead, reason: 'unmappable', raw: text, atMs })
const mine = () => someEntry({ visitor, visitorHash })

function erasing(backlog: Backlog, more: Partial<Parameters<typeof createErase>[0]> = {}) {
  const told: string[] = []
  const ledger = {
    erase: async (hash: string) => {
      told.push(hash)
      return true
    },
  }
  const logged: string[] = []
  const log = (event: string, details = {}) => logged.push(JSON.stringify({ event, ...details }))
  const erase = createErase({ hasher, ledger, backlog, clock: fakeClock(), maxOperations: 900, log, ...more })
  /** Calls erase until it is complete. */
  const whole = async (who: Visitor = visitor) => {
    const calls: Erased[] = []
    for (let cursor: string | undefined; calls.length < 1_000; ) {
      const erased = await erase(who, cursor)
      if (erased === 'unknown_cursor') throw new Error('is not taken back')
      calls.push(erased)
      if (erased.complete) return calls
      cursor = erased.cursor ?? expect.fail('is not complete, and says not where to go on')
    }
    return expect.fail('never ends')
  }
  const sum = (calls: readonly Erased[], count: 'entries' | 'deadLetters' | 'mentioned' | 'unreadable') =>
    calls.reduce((total, erased) => total + erased[count], 0)
  return { erase, whole, sum, told, logged }
}

const kinds: [string, () => { backlog: Backlog; kv?: FakeKv }][] = [
  [
    'SQLite',
    () => ({ backlog: sqliteBacklog(nodeSqlite(new DatabaseSync(':memory:')), { randomHex, seal: plainSeal }) }),
  ],
  [
    'SQLite within tiny limits',
    () => ({
      backlog: sqliteBacklog(nodeSqlite(new DatabaseSync(':memory:')), {
        randomHex,
        seal: plainSeal,
        limits: tinyLimits,
      }),
    }),
  ],
  [
    'KV',
    () => {
      const kv = fakeKv({ now: fakeClock().now })
      return { kv, backlog: kvBacklog(kv, { randomHex, seal: plainSeal }) }
    },
  ],
  [
    'KV within tiny limits',
    () => {
      const kv = fakeKv({ now: fakeClock().now, bulkBytes: 10_000 })
      return { kv, backlog: kvBacklog(kv, { randomHex, seal: plainSeal, limits: tinyLimits }) }
    },
  ],
]

describe.each(kinds)('erase on %s', (_, make) => {
  it('removes what belongs to the visitor and nothing else: what only mentions the id is counted and left', async () => {
    const { backlog } = make()
    const others = [someEntry(), someEntry()]
    for (const entry of [mine(), mine(), ...others]) await backlog.put(entry)
    const left = [
      { ...dead, reason: 'rejected' as const, entry: someEntry() },
      raw('{"customer":"c-421"}'),
      raw('{"note":"as c-42 said"}'),
      raw('{"customer":"c-43"}'),
    ]
    const removed = [
      { ...dead, reason: 'rejected' as const, entry: mine() },
      raw('{"customer":"c-42"}'),
      raw('customer=c-42&kind=loan'),
      raw(`{"customer":"c-42","note":"${'x'.repeat(9_000)}"}`),
    ]
    for (const letter of [...left, ...removed]) await backlog.bury(letter)
    const { whole, sum, told } = erasing(backlog)
    const calls = await whole()
    expect([
      sum(calls, 'entries'),
      sum(calls, 'deadLetters'),
      sum(calls, 'mentioned'),
      sum(calls, 'unreadable'),
    ]).toEqual([2, 4, 2, 0])
    expect((await allEntries(backlog)).map((item) => 'entry' in item && item.entry)).toEqual(others)
    const kept = (await allDead(backlog)).map((item) => ('dead' in item ? item.dead : item))
    expect(kept).toHaveLength(left.length)
    expect(kept).toEqual(expect.arrayContaining(left))
    expect(told).toEqual([visitorHash])
  })

  it('erases nothing while the ledger’s clock is off, and the answer says what to do', async () => {
    const { backlog } = make()
    await backlog.put(mine())
    const { erase } = erasing(backlog, { ledger: { erase: async () => false } })
    expect(await erase(visitor)).toMatchObject({
      complete: false,
      entries: 0,
      todo: expect.stringContaining('confirm'),
    })
    expect(await allEntries(backlog)).toHaveLength(1)
  })

  it('a call that used up its budget says so, and the next one goes on from there', async () => {
    const { backlog } = make()
    for (let n = 0; n < 12; n++) await backlog.put(mine())
    for (let n = 0; n < 40; n++)
      await backlog.bury(
        n % 4 === 0 ? { ...dead, reason: 'rejected', entry: mine(), atMs: n } : raw('{"customer":"c-43"}', n),
      )
    const { whole, sum, told } = erasing(backlog, { maxOperations: 12 })
    const before = backlog.operations
    const calls = await whole()
    expect(calls.length).toBeGreaterThan(2)
    expect(calls.slice(0, -1).every(({ complete, cursor }) => !complete && cursor !== undefined)).toBe(true)
    expect([sum(calls, 'entries'), sum(calls, 'deadLetters')]).toEqual([12, 10])
    expect(backlog.operations - before).toBeLessThanOrEqual(15 * calls.length)
    expect(told).toEqual([visitorHash])
    expect(sum(await whole(), 'deadLetters')).toBe(0)
  })

  it('refuses a made-up cursor, or one of another visitor’s erasure, before anything is done', async () => {
    const { backlog } = make()
    const entry = someEntry()
    await backlog.put(entry)
    const other = { thirdPartyId: 'somebody-else' }
    const { erase, told } = erasing(backlog)
    const ownHash = visitorHash.slice(0, 16)
    for (const cursor of [
      '',
      'x',
      `dead.${(await hasher.visitor(other)).slice(0, 16)}.0.`,
      `entries.${ownHash}`,
      `entries.${ownHash}.x.`,
      `both.${ownHash}.0.`,
    ])
      expect(await erase(visitor, cursor)).toBe('unknown_cursor')
    expect(told).toEqual([])
    // A cursor with this visitor's hash reaches no other visitor, whatever else is in it.
    expect(await erase(visitor, `entries.${ownHash}.0.a`)).toMatchObject({ entries: 0, complete: true })
    expect(await allEntries(backlog)).toMatchObject([{ entry }])
  })

  it('stops in time, and the next call goes on', async () => {
    const { backlog } = make()
    for (let n = 0; n < 6; n++) await backlog.bury(raw(`{"customer":"c-42","n":"${'x'.repeat(2_000)}"}`, n))
    let nowMs = 0
    const slow = { now: () => (nowMs += 7_000) }
    const { whole, sum } = erasing(backlog, { clock: slow, limits: { ...defaultLimits, keysPerPage: 1 } })
    const calls = await whole()
    expect(calls.length).toBeGreaterThan(1)
    expect(sum(calls, 'deadLetters')).toBe(6)
  })
})

describe('erase with dead letters that cannot be read', () => {
  it('counts each whose visitor is unknown, and removes the visitor’s own by its head', async () => {
    const kv = fakeKv({ now: () => 0 })
    const sealed = kvBacklog(kv, { randomHex, seal: await sealWith('old') })
    await sealed.bury({ ...dead, reason: 'rejected', entry: mine() })
    await sealed.bury({ ...dead, reason: 'rejected', entry: someEntry() })
    await sealed.bury(raw('{"customer":"c-42"}'))
    await kv.put('d1/0000000000009-x', '{"v":9}')
    const backlog = kvBacklog(kv, { randomHex, seal: await sealWith('new') })
    const { erase } = erasing(backlog)
    const erased = await erase(visitor)
    expect(erased).toMatchObject({ entries: 0, deadLetters: 1, mentioned: 0, unreadable: 2, complete: false })
    // Calling again would achieve nothing: a person has to do something first.
    expect(erased).not.toHaveProperty('cursor')
    expect(erased).toMatchObject({
      todo: expect.stringMatching(/^2 dead letters cannot be read: set the key .* BACKLOG_KEYS/),
    })
    expect((await kv.list({ prefix: 'd' })).keys).toHaveLength(3)
  })

  it('the last call of an erasure also counts those that earlier calls met', async () => {
    const kv = fakeKv({ now: () => 0 })
    await kvBacklog(kv, { randomHex, seal: await sealWith('old') }).bury(raw('{"customer":"c-42"}', 1))
    const seal = await sealWith('new')
    const backlog = kvBacklog(kv, { randomHex, seal, limits: tinyLimits })
    for (let n = 2; n < 30; n++) await backlog.bury(raw('{"customer":"c-42"}', n))
    const { erase } = erasing(backlog, { maxOperations: 4 })
    let last: Erased | 'unknown_cursor' = await erase(visitor)
    let calls = 1
    for (; last !== 'unknown_cursor' && last.cursor !== undefined; calls++) last = await erase(visitor, last.cursor)
    expect(calls).toBeGreaterThan(3)
    expect(last).toMatchObject({ unreadable: 1, complete: false, todo: expect.stringContaining('BACKLOG_KEYS') })
  })

  it('one that the store cannot read is counted and stops nothing', async () => {
    const kv = fakeKv({ now: () => 0 })
    const backlog = kvBacklog(kv, { randomHex, seal: plainSeal })
    const keys: string[] = []
    for (let n = 0; n < 10; n++) keys.push(await backlog.bury(raw('{"customer":"c-42"}', n)))
    kv.failGet = (key) => (key === keys[4] ? 'KV GET_BULK failed: 500 Internal Server Error' : undefined)
    const { erase } = erasing(backlog)
    expect(await erase(visitor)).toMatchObject({
      deadLetters: 9,
      unreadable: 1,
      complete: false,
      todo: expect.any(String),
    })
  })
})

describe('erase in a large store', () => {
  it('45,000 dead letters of others cost fewer than 200 operations and one call', async () => {
    const kv = fakeKv({ now: () => 0 })
    // Lists as KV does, without sorting 45,000 keys each time.
    const names = Array.from({ length: 45_000 }, (_, n) => `d1/${String(n).padStart(13, '0')}-x`)
    const metadata = { v: 3, b: 2_000, r: 'rejected', o: 'api', t: 1, f: 1, n: 1, h: 'f'.repeat(32) }
    const many: Kv = {
      ...kv,
      list: async ({ prefix, cursor, limit = 1_000 }) => {
        if (!prefix.startsWith('d1/')) return { list_complete: true, keys: [] }
        const start = Number(cursor ?? 0)
        const keys = names.slice(start, start + limit).map((name) => ({ name, metadata }))
        return start + limit < names.length
          ? { list_complete: false, keys, cursor: String(start + limit) }
          : { list_complete: true, keys }
      },
    }
    const backlog = kvBacklog(many, { randomHex, seal: plainSeal })
    const { erase } = erasing(backlog)
    expect(await erase(visitor)).toEqual({ entries: 0, deadLetters: 0, mentioned: 0, unreadable: 0, complete: true })
    expect([kv.reads, backlog.operations < 200]).toEqual([[], true])
  })

  it('100,000 dead letters of others on SQLite, among them ten of the visitor: one call', async () => {
    const sql = nodeSqlite(new DatabaseSync(':memory:'))
    const backlog = sqliteBacklog(sql, { randomHex, seal: plainSeal })
    const other = JSON.stringify(packDead({ ...dead, reason: 'rejected', entry: someEntry() }))
    sql.exec(
      "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 99999) INSERT INTO relay_backlog (key, value) SELECT printf('d1/%013d-%016x', n, n), ? FROM n",
      other,
    )
    sql.exec(
      "UPDATE relay_dead SET reason = 'rejected', source = 'api', at_ms = 1, first_seen_ms = 1, attempts = 1, visitor = 'f'",
    )
    for (let n = 0; n < 10; n++) await backlog.bury({ ...dead, reason: 'rejected', entry: mine(), atMs: n * 10_000 })
    const { erase } = erasing(backlog)
    expect(await erase(visitor)).toMatchObject({ deadLetters: 10, complete: true })
    expect(sql.exec('SELECT count(*) AS n FROM relay_dead')).toEqual([{ n: 100_000 }])
    expect(backlog.operations).toBeLessThan(300)
  })

  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: 'export default { fetch: () => new Response() }',
      kvNamespaces: ['A', 'B'],
      cf: false,
    }),
  )
  afterAll(() => miniflare.dispose())

  it.each([
    ['this version', 'A'],
    ['an earlier version', 'B'],
  ])(
    'thirty quarantined events of 1 MB on real KV, of %s: it completes',
    async (_, namespace) => {
      const kv = (await miniflare.getKVNamespace(namespace)) as unknown as Kv
      const backlog = kvBacklog(kv, { randomHex, seal: plainSeal })
      for (let n = 0; n < 30; n++) {
        const letter = raw(`{"customer":"c-4${n % 3}","note":"${'x'.repeat(1_000_000)}"}`, n)
        if (namespace === 'A') await backlog.bury(letter)
        else await kv.put(deadKey(n, randomHex(8)), JSON.stringify(packDead(letter)))
      }
      const { whole, sum } = erasing(backlog)
      expect(sum(await whole(), 'deadLetters')).toBe(10)
      expect(await allDead(backlog)).toHaveLength(20)
    },
    120_000,
  )
})

describe('an erasure whose store cannot remove what was deleted from its disk', () => {
  it('says what to do, and logs why', async () => {
    const backlog = sqliteBacklog(nodeSqlite(new DatabaseSync(':memory:')), { randomHex, seal: plainSeal })
    await backlog.put(mine())
    const purge = async () => {
      throw new TypeError('held by c-42')
    }
    const { erase, logged } = erasing({ ...backlog, operations: 0, purge })
    const erased = await erase(visitor)
    expect(erased).toMatchObject({ entries: 1, complete: false, todo: expect.stringContaining('erase again') })
    expect(erased).not.toHaveProperty('cursor')
    expect(logged).toEqual([JSON.stringify({ event: 'purge_failed', error: 'TypeError' })])
  })
})

describe('finding a visitor', () => {
  const finding = (backlog: Backlog, more: Partial<Parameters<typeof createFind>[0]> = {}) =>
    createFind({
      hasher,
      ledger: { visitor: async () => [], history: async () => undefined },
      backlog,
      clock: fakeClock(),
      maxOperations: 900,
      ...more,
    })
  const filled = async (entries: number) => {
    const backlog = sqliteBacklog(nodeSqlite(new DatabaseSync(':memory:')), {
      randomHex,
      seal: plainSeal,
      limits: tinyLimits,
    })
    for (let n = 0; n < entries; n++) await backlog.put(mine())
    return backlog
  }

  it('shows everything that waits, over any number of pages', async () => {
    const found = await finding(await filled(20))(visitor)
    expect(found).toMatchObject({ entries: 20, unreadable: 0, complete: true })
    expect(found.attributes[0]?.waitingAt).toHaveLength(20)
  })

  it.each<[string, Partial<Parameters<typeof createFind>[0]>]>([
    ['operations', { maxOperations: 3 }],
    ['time', { limits: { ...defaultLimits, requestMs: 0 } }],
    ['size', { limits: { ...defaultLimits, timesPerAnswer: 8 } }],
  ])('is bounded in %s, and says that it is incomplete', async (_, more) => {
    const found = await finding(await filled(20), more)(visitor)
    expect(found.complete).toBe(false)
    expect(found.entries).toBeLessThan(12)
    expect(found.attributes[0]?.waitingAt.length).toBeLessThan(10)
    // The oldest, in order.
    expect(found.attributes[0]?.waitingAt).toEqual([...(found.attributes[0]?.waitingAt ?? [])].sort())
  })

  it('counts what it cannot read', async () => {
    const kv = fakeKv({ now: () => 0 })
    await kvBacklog(kv, { randomHex, seal: await sealWith('gone') }).put(mine())
    expect(await finding(kvBacklog(kv, { randomHex, seal: plainSeal }))(visitor)).toMatchObject({
      entries: 1,
      unreadable: 1,
      complete: true,
    })
  })
})
