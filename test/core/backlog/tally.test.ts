import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { entryKey, packEntry } from '../../../src/core/backlog/entry-format.ts'
import { kvBacklog } from '../../../src/core/backlog/kv.ts'
import type { Entry } from '../../../src/core/backlog/port.ts'
import { sqliteBacklog } from '../../../src/core/backlog/sqlite.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { makeStamp } from '../../../src/core/update/stamp.ts'
import { someEntry } from '../../contract/backlog.ts'
import { fakeClock, seededRandom } from '../../support/clock.ts'
import { fakeKv } from '../../support/fake-kv.ts'
import { plainSeal, sealWith } from '../../support/seal.ts'
import { mergedCalls, plainTally, tallyOf } from '../../support/tally.ts'

const pick = <T>(random: { fraction: () => number }, of: readonly T[]): T =>
  of[Math.floor(random.fraction() * of.length)] as T

/** Entries of few visitors, some of them so large that a merge of them fits no one call. */
function drawEntries(seed: number, count: number): readonly Entry[] {
  const random = seededRandom(seed)
  return Array.from({ length: count }, (_, n) => {
    const visitor = Math.floor(random.fraction() * count * 0.3)
    const large = random.fraction() < 0.1
    return someEntry({
      visitor: { thirdPartyId: `${'ä'.repeat(visitor % 5 === 0 ? 250 : 3)}${visitor}` },
      visitorHash: visitor.toString(16).padStart(32, '0'),
      stamp: makeStamp(1_790_000_000_000 + n, 1_790_000_000_000 + n, random.hex(8)),
      source: pick(random, ['shop', 'crm', 'api']),
      attributes: Array.from({ length: 1 + Math.floor(random.fraction() * (large ? 260 : 6)) }, () => ({
        name: `name ${Math.floor(random.fraction() * 400)}`,
        value: pick(random, ['x', 'ü%', '😀']).repeat(1 + Math.floor(random.fraction() * (large ? 600 : 40))),
      })).filter(({ name }, at, all) => all.findIndex((other) => other.name === name) === at),
      ...(random.fraction() < 0.9 ? { reason: pick(random, ['quota', 'paused', 'slow'] as const) } : {}),
    })
  })
}

describe('what waits, counted (G9)', () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'alike by KV’s heads, by SQLite and by a plain oracle, whatever was deleted (seed %i)',
    async (seed) => {
      const random = seededRandom(seed)
      const clock = fakeClock()
      const entries = drawEntries(seed, 200)
      const kv = kvBacklog(fakeKv({ now: clock.now }), { randomHex: random.hex, seal: await sealWith('k1') })
      const sqlite = sqliteBacklog(nodeSqlite(new DatabaseSync(':memory:')), { randomHex: random.hex, seal: plainSeal })
      for (const store of [kv, sqlite]) {
        const kept: Entry[] = []
        for (const entry of entries) {
          const key = await store.put(entry)
          if (entry.attributes.length % 3 === 0) await store.delete(key)
          else kept.push(entry)
        }
        const { waiting } = await tallyOf(store)
        expect(waiting).toMatchObject(plainTally(kept))
        expect(waiting.oldestMs).toBe(Math.min(...kept.map(({ stamp }) => Number(stamp.slice(14, 27)))))
        expect(waiting.posts).toBeGreaterThanOrEqual(mergedCalls(kept, 'post'))
        expect(waiting.posts).toBeLessThanOrEqual(3 * mergedCalls(kept, 'post'))
        expect(waiting.gets).toBeGreaterThanOrEqual(mergedCalls(kept, 'get'))
      }
      expect((await tallyOf(kv)).waiting).toEqual((await tallyOf(sqlite)).waiting)
    },
  )

  it('an entry of up to 1,024 bytes lies in KV’s metadata with its head; a larger one keeps its head there', async () => {
    const stored: { value: string; metadata: unknown }[] = []
    const clock = fakeClock()
    const kv = fakeKv({ now: clock.now })
    const noting = {
      ...kv,
      put: async (key: string, value: string, options?: { metadata?: unknown }) => {
        stored.push({ value, metadata: options?.metadata })
        await kv.put(key, value, options)
      },
    }
    const random = seededRandom(4)
    for (const seal of [plainSeal, await sealWith('k1')]) {
      const backlog = kvBacklog(noting, { randomHex: random.hex, seal })
      for (let bytes = 1; bytes < 1_100; bytes += 7)
        await backlog.put(
          someEntry({ reason: 'target_unavailable', attributes: [{ name: 'a', value: 'x'.repeat(bytes) }] }),
        )
    }
    expect(stored.filter(({ value }) => value === '').length).toBeGreaterThan(100)
    for (const { metadata } of stored) {
      expect(Buffer.byteLength(JSON.stringify(metadata))).toBeLessThanOrEqual(1_024)
      expect(metadata).toMatchObject({ g: ['api', 'target_unavailable', expect.any(Number), 1] })
    }
  })

  it('what an older version wrote to KV is counted, with an unknown reason and source', async () => {
    const clock = fakeClock()
    const kv = fakeKv({ now: clock.now })
    const random = seededRandom(5)
    const old = [someEntry(), someEntry({ attributes: [{ name: 'a', value: 'é'.repeat(2_000) }] })]
    for (const [index, entry] of old.entries()) {
      const packed = packEntry(entry)
      const bytes = Buffer.byteLength(JSON.stringify(packed))
      if (index === 0) await kv.put(entryKey(entry, random.hex(8)), '', { metadata: packed })
      else await kv.put(entryKey(entry, random.hex(8)), JSON.stringify(packed), { metadata: { v: 3, b: bytes } })
    }
    const { waiting } = await tallyOf(kvBacklog(kv, { randomHex: random.hex, seal: plainSeal }))
    expect(waiting).toMatchObject({ waiting: 2, visitors: 2, bySource: { unknown: 2 }, byReason: { unknown: 2 } })
    expect(waiting.gets).toBeGreaterThanOrEqual(mergedCalls(old, 'get'))
  })

  it('a table of an older version is counted once on opening, and stays right while that version still writes to it', async () => {
    const database = new DatabaseSync(':memory:')
    const random = seededRandom(6)
    database.exec('CREATE TABLE relay_backlog (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID')
    const keys: string[] = []
    const write = (entry: Entry) => {
      const key = entryKey(entry, random.hex(8))
      keys.push(key)
      database
        .prepare('INSERT INTO relay_backlog (key, value) VALUES (?, ?)')
        .run(key, JSON.stringify(packEntry(entry)))
    }
    const entries = drawEntries(6, 60)
    for (const entry of entries.slice(0, 30)) write(entry)
    database.prepare('INSERT INTO relay_backlog (key, value) VALUES (?, ?)').run('d1/1790000000000-0', '{}')
    const backlog = sqliteBacklog(nodeSqlite(database), { randomHex: random.hex, seal: plainSeal })
    for (const entry of entries.slice(30)) write(entry)
    database.prepare('DELETE FROM relay_backlog WHERE key = ?').run(keys[0] ?? '')
    const kept = entries.slice(1)
    const { waiting, dead } = await tallyOf(backlog)
    expect(waiting).toMatchObject({
      ...plainTally(kept),
      bySource: { unknown: 59 },
      byReason: { unknown: 59 },
    })
    expect(waiting.gets).toBeGreaterThanOrEqual(mergedCalls(kept, 'get'))
    expect(dead).toEqual({ byReason: { unknown: 1 }, bySource: { unknown: 1 } })
    // A second process opens the same file.
    sqliteBacklog(nodeSqlite(database), { randomHex: random.hex, seal: plainSeal })
    expect((await tallyOf(backlog)).waiting).toEqual(waiting)
    // What a row says of itself may be learned later.
    database.prepare("UPDATE relay_backlog SET source = 'shop', reason = 'rejected' WHERE key LIKE 'd1/%'").run()
    expect((await tallyOf(backlog)).dead).toEqual({ byReason: { rejected: 1 }, bySource: { shop: 1 } })
  })
})
