/** How the backlog copes with KV: refused reads, lost values and lists that lag behind. */
import { describe, expect, it } from 'vitest'
import { entryKey, packEntry } from '../../../src/core/backlog/entry-format.ts'
import { kvBacklog } from '../../../src/core/backlog/kv.ts'
import type { KeptEntry, Unreadable } from '../../../src/core/backlog/port.ts'
import { defaultLimits } from '../../../src/core/limits.ts'
import type { Kv } from '../../../src/core/store/kv.ts'
import { allDead, allEntries, someEntry, tinyLimits } from '../../contract/backlog.ts'
import { fakeClock, seededRandom } from '../../support/clock.ts'
import { fakeKv } from '../../support/fake-kv.ts'
import { plainSeal, sealWith } from '../../support/seal.ts'

const randomHex = seededRandom(4).hex
const clock = fakeClock()

describe('KV as it is', () => {
  it('a thousand small entries are read with one operation, large ones with a bulk read for each hundred', async () => {
    const backlog = kvBacklog(fakeKv({ now: clock.now }), { randomHex, seal: plainSeal })
    for (let n = 0; n < 150; n++) await backlog.put(someEntry())
    const small = backlog.operations
    await backlog.list()
    expect(backlog.operations - small).toBe(1)
    for (let n = 0; n < 150; n++)
      await backlog.put(someEntry({ attributes: [{ name: 'a', value: 'x'.repeat(2_000) }] }))
    const large = backlog.operations
    expect((await backlog.list()).items).toHaveLength(300)
    expect(backlog.operations - large).toBe(3)
  })

  it('a deleted key that a stale list still shows is skipped, since it has no value', async () => {
    const kv = fakeKv({ now: clock.now })
    const backlog = kvBacklog(kv, { randomHex, seal: plainSeal })
    await backlog.put(someEntry({ attributes: [{ name: 'a', value: 'x'.repeat(2_000) }] }))
    const behind: Kv = { ...kv, get: async (keys) => new Map(keys.map((key) => [key, null])) }
    expect((await kvBacklog(behind, { randomHex, seal: plainSeal }).list()).items).toEqual([])
  })

  it('an empty page that has a cursor is not taken for the end', async () => {
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

  it('an entry of an unknown format is listed as unreadable, neither thrown nor lost', async () => {
    const kv = fakeKv({ now: clock.now })
    await kv.put('b1/00/x', '{"v":9}')
    await kv.put('b1/00/y', 'not JSON')
    expect((await kvBacklog(kv, { randomHex, seal: plainSeal }).list()).items).toMatchObject([
      { key: 'b1/00/x' },
      { key: 'b1/00/y' },
    ])
  })

  it('whether a value fits in the metadata is counted in bytes, not in characters', async () => {
    const kv = fakeKv({ now: clock.now })
    const backlog = kvBacklog(kv, { randomHex, seal: plainSeal })
    const entries = [300, 450, 700].map((chars) => someEntry({ attributes: [{ name: 'a', value: 'ä'.repeat(chars) }] }))
    for (const entry of entries) await backlog.put(entry)
    expect((await backlog.list()).items).toMatchObject(entries.map((entry) => ({ entry })))
    // The first is stored in the metadata; the other two must be read.
    expect(kv.reads).toEqual([[expect.anything(), expect.anything()]])
  })

  it('listing dead letters shows their heads without reading one', async () => {
    const kv = fakeKv({ now: clock.now })
    const backlog = kvBacklog(kv, { randomHex, seal: await sealWith('k1') })
    const dead = {
      reason: 'rejected',
      source: 'api',
      atMs: clock.now(),
      firstSeenMs: clock.now(),
      attempts: 1,
    } as const
    for (let n = 0; n < 10; n++) await backlog.bury({ ...dead, entry: someEntry() })
    const before = backlog.operations
    expect(await allDead(backlog, { wanted: () => false })).toEqual([])
    // One list for each of the two prefixes.
    expect([backlog.operations - before, kv.reads]).toEqual([2, []])
  })
})

/** Entries as they were written before entries had heads: without metadata. */
async function putOld(kv: Kv, entry: ReturnType<typeof someEntry>): Promise<void> {
  await kv.put(entryKey(entry, randomHex(8)), JSON.stringify(packEntry(entry)))
}

describe('entries too large for one bulk read (G2, G7)', () => {
  const large = (bytes: number) => someEntry({ attributes: [{ name: 'a', value: 'x'.repeat(bytes) }] })
  const shown = (items: readonly (KeptEntry | Unreadable)[]) =>
    items.map((item) => ('entry' in item ? item.entry.stamp : item))

  it('a refused bulk read is halved until all are listed; each read is counted', async () => {
    const kv = fakeKv({ now: clock.now, bulkBytes: 10_000 })
    // They are believed small until they are read.
    const backlog = kvBacklog(kv, {
      randomHex,
      seal: plainSeal,
      limits: { ...defaultLimits, bytesPerRead: 9_900, bytesOfUnknown: 100 },
    })
    const entries = Array.from({ length: 40 }, () => large(3_000))
    for (const entry of entries) await putOld(kv, entry)
    expect(shown(await allEntries(backlog))).toEqual(entries.map(({ stamp }) => stamp))
    // Includes the list and a probe for each refused read.
    expect(backlog.operations).toBe(kv.reads.length + 1)
    expect(backlog.operations).toBeLessThan(40)
  })

  it('entries that turn out to be small are read a hundred at a time, even if an earlier version wrote them', async () => {
    const kv = fakeKv({ now: clock.now })
    const backlog = kvBacklog(kv, { randomHex, seal: plainSeal })
    for (let n = 0; n < 400; n++) await putOld(kv, large(2_000))
    expect(await allEntries(backlog)).toHaveLength(400)
    expect(kv.reads[0]?.length).toBeLessThan(25)
    expect(backlog.operations).toBeLessThan(8)
  })

  it('a page stays within its bound of bytes, even if the sizes were not recorded', async () => {
    const kv = fakeKv({ now: clock.now })
    const backlog = kvBacklog(kv, { randomHex, seal: plainSeal, limits: { ...tinyLimits, keysPerPage: 100 } })
    for (let n = 0; n < 6; n++) await putOld(kv, large(1_900))
    const page = await backlog.list()
    expect(page.items).toHaveLength(2)
    expect(page.cursor).toBeDefined()
    expect(await allEntries(backlog)).toHaveLength(6)
  })
})

describe('a store that cannot read what it lists (G7)', () => {
  const world = async (count: number) => {
    const kv = fakeKv({ now: clock.now })
    const backlog = kvBacklog(kv, { randomHex, seal: plainSeal })
    const keys: string[] = []
    for (let n = 0; n < count; n++)
      keys.push(await backlog.put(someEntry({ attributes: [{ name: 'a', value: 'x'.repeat(2_000) }] })))
    return { kv, backlog, keys, spent: () => backlog.operations - count }
  }

  it.each([0, 1, 57, 99])('only the key that cannot be read is listed as unreadable (the %ith of 100)', async (bad) => {
    const { kv, backlog, keys, spent } = await world(100)
    kv.failGet = (key) => (key === keys[bad] ? 'KV GET_BULK failed: 500 Internal Server Error' : undefined)
    const page = await backlog.list()
    expect(page.items.map((item) => 'entry' in item)).toEqual(keys.map((_, index) => index !== bad))
    expect(page.items[bad]).toEqual({ key: keys[bad], unreadable: expect.any(String) })
    expect(page.cursor).toBeUndefined()
    expect(spent()).toBeLessThan(35)
  })

  it('several in a row end the page, so that the reader can check its budget, and the keys after them are still read', async () => {
    const { kv, backlog, keys, spent } = await world(100)
    kv.failGet = (key) =>
      keys.indexOf(key) >= 20 && keys.indexOf(key) < 40 ? 'KV GET_BULK failed: 500 Internal Server Error' : undefined
    const page = await backlog.list()
    expect(page.items).toHaveLength(23)
    expect(spent()).toBeLessThan(40)
    const listed = await allEntries(backlog)
    expect(listed.map((item) => 'entry' in item)).toEqual(keys.map((_, index) => index < 20 || index >= 40))
  })

  it('a store that is down throws its own error after two reads, and marks nothing as unreadable', async () => {
    const { kv, backlog, spent } = await world(100)
    kv.failGet = () => 'KV GET_BULK failed: 503 Service Unavailable'
    await expect(backlog.list()).rejects.toThrow('503')
    expect(spent()).toBe(3)
  })

  it('a store that goes down in the middle of a page throws', async () => {
    const { kv, backlog } = await world(300)
    kv.failGet = () => (kv.reads.length > 1 ? 'KV GET_BULK failed: 503 Service Unavailable' : undefined)
    await expect(backlog.list()).rejects.toThrow('503')
  })

  it('the platform’s subrequest limit is not blamed on a key: its error is thrown as it is, and nothing more is read', async () => {
    const { kv, backlog, spent } = await world(100)
    kv.failGet = () => 'Too many API requests by single Worker invocation.'
    await expect(backlog.list()).rejects.toThrow('Too many API requests by single Worker invocation.')
    expect(spent()).toBe(2)
  })
})

describe('the largest dead letter', () => {
  // The largest body a source may accept is 3 MiB: here in the form that grows most in JSON and then in base64.
  const bodies: [string, string][] = [
    ['control characters', '\u0001'.repeat(3_145_728)],
    ['the content that takes the most space in either form', '\ufffd'.repeat(2_592_000) + '\u0001'.repeat(553_728)],
  ]
  it.each(bodies)(
    'with %s fits in KV’s 25 MiB when sealed, with room for twice as much',
    async (_, raw) => {
      const kv = fakeKv({ now: clock.now })
      let bytes = 0
      const measured: Kv = {
        ...kv,
        put: (key, value, options) => {
          bytes = Buffer.byteLength(value)
          return kv.put(key, value, options)
        },
      }
      const backlog = kvBacklog(measured, { randomHex, seal: await sealWith('k1') })
      const dead = {
        reason: 'unmappable',
        source: 'loan',
        atMs: clock.now(),
        firstSeenMs: clock.now(),
        attempts: 0,
      } as const
      const kept = await backlog.readDead(await backlog.bury({ ...dead, raw }))
      expect(kept !== undefined && 'dead' in kept && kept.dead.raw === raw).toBe(true)
      expect(bytes).toBeLessThan(15_000_000)
    },
    30_000,
  )
})
