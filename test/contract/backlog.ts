/** What every backlog must do, whichever store it uses. */
import { afterAll, describe, expect, it } from 'vitest'
import { readDeadKey } from '../../src/core/backlog/entry-format.ts'
import {
  type Backlog,
  type DeadLetter,
  type Entry,
  type KeptDead,
  type KeptEntry,
  type Page,
  planPrefix,
  type Unreadable,
} from '../../src/core/backlog/port.ts'
import { defaultLimits, type Limits } from '../../src/core/limits.ts'
import { makeStamp } from '../../src/core/update/stamp.ts'
import { mergedCalls, plainTally, tallyOf } from '../support/tally.ts'

const startMs = 1_790_000_000_000
let serial = 0
export const someEntry = (more: Partial<Entry> = {}): Entry => {
  serial++
  return {
    visitor: { thirdPartyId: `visitor-${serial}` },
    visitorHash: serial.toString(16).padStart(32, '0'),
    attributes: [{ name: 'tier', value: 'gold' }],
    stamp: makeStamp(startMs + serial, startMs + serial, serial.toString(16).padStart(16, '0')),
    source: 'api',
    firstSeenMs: startMs,
    ...more,
  }
}

export const someDead = (more: Partial<DeadLetter> = {}): DeadLetter => ({
  reason: 'rejected',
  source: 'api',
  atMs: startMs,
  firstSeenMs: startMs,
  attempts: 1,
  entry: someEntry(),
  ...more,
})

/** Limits small enough to be reached in a test; the same guarantees hold within them. */
export const tinyLimits: Limits = {
  ...defaultLimits,
  keysPerPage: 3,
  bytesPerPage: 4_000,
  keysPerRead: 2,
  bytesPerRead: 2_000,
  bytesOfUnknown: 900,
}

/** The items of all pages. */
export async function allPages<T>(read: (cursor?: string) => Promise<Page<T>>): Promise<readonly T[]> {
  const items: T[] = []
  for (let cursor: string | undefined; ; ) {
    const page = await read(cursor)
    items.push(...page.items)
    if (page.cursor === undefined) return items
    cursor = page.cursor
  }
}

export const allEntries = (backlog: Backlog, prefix = '') =>
  allPages((cursor) => backlog.list({ prefix, ...(cursor === undefined ? {} : { cursor }) }))
export const allDead = (backlog: Backlog, wanted?: Parameters<Backlog['listDead']>[0]) =>
  allPages((cursor) => backlog.listDead({ ...wanted, ...(cursor === undefined ? {} : { cursor }) }))

const bytesOf = (item: KeptEntry | KeptDead | Unreadable) => Buffer.byteLength(JSON.stringify(item))

export interface BacklogContractParts {
  readonly make: (limits: Limits) => Promise<Backlog>
  readonly dispose?: () => Promise<void>
  readonly limits?: Limits
  /** Where the store takes one write a second for a key. */
  readonly aSecondLater?: () => Promise<unknown>
  /** Operations of the first list of an empty backlog; default: 1. */
  readonly listOperations?: number
}

export function backlogContract(
  name: string,
  {
    make: makeWith,
    dispose,
    aSecondLater = async () => {},
    limits = defaultLimits,
    listOperations = 1,
  }: BacklogContractParts,
): void {
  describe(`backlog contract: ${name}${limits === defaultLimits ? '' : ', within tiny limits'}`, () => {
    afterAll(() => dispose?.())
    const make = () => makeWith(limits)
    const all = async (backlog: Backlog, prefix = '') => {
      const items = await allPages((cursor) =>
        backlog.list({ prefix, limit: 7, ...(cursor === undefined ? {} : { cursor }) }),
      )
      return items.map((item) => ('entry' in item ? item.entry : expect.fail('is unreadable')))
    }

    it('returns exactly what was put, small or large', async () => {
      const backlog = await make()
      const entries = [
        someEntry(),
        someEntry({ event: 'e'.repeat(32), notBeforeMs: startMs + 5, blind: true, visitor: { pcId: '1-2.3_4' } }),
        someEntry({ reason: 'target_unavailable' }),
        someEntry({ attributes: [{ name: '__proto__', value: '😀\u0000\r\n"\\' }] }),
        someEntry({
          attributes: Array.from({ length: 40 }, (_, n) => ({ name: `name ${n}`, value: 'ä'.repeat(700) })),
        }),
      ]
      for (const entry of entries) await backlog.put(entry)
      expect(await all(backlog)).toEqual(entries)
    })

    it('lists one visitor’s entries as neighbours, oldest first, across pages', async () => {
      const backlog = await make()
      const [one, two] = ['a'.repeat(32), 'b'.repeat(32)]
      const stamps = Array.from({ length: 10 }, (_, n) => makeStamp(startMs + n, startMs, 'f'.repeat(16)))
      for (const [index, stamp] of [...stamps].reverse().entries())
        await backlog.put(someEntry({ visitorHash: index % 2 === 0 ? one : two, stamp }))
      const listed = await all(backlog)
      expect(listed.map(({ visitorHash }) => visitorHash)).toEqual([
        ...Array<string>(5).fill(one),
        ...Array<string>(5).fill(two),
      ])
      for (const hash of [one, two]) {
        const own = listed.filter(({ visitorHash }) => visitorHash === hash).map(({ stamp }) => stamp)
        expect(own).toEqual([...own].sort())
      }
      expect(await all(backlog, 'a')).toHaveLength(5)
      expect(await all(backlog, 'c')).toEqual([])
    })

    it('keeps two puts of the same entry apart, and deletes only the given key, any number of times', async () => {
      const backlog = await make()
      const entry = someEntry()
      const [first, second] = [await backlog.put(entry), await backlog.put(entry)]
      expect(first).not.toBe(second)
      await backlog.delete(first)
      await backlog.delete(first)
      expect((await allEntries(backlog)).map(({ key }) => key)).toEqual([second])
    })

    it('has no visitor ids in its keys (G8)', async () => {
      const backlog = await make()
      const key = await backlog.put(
        someEntry({ visitor: { thirdPartyId: 'canary' }, attributes: [{ name: 'tier', value: 'canary' }] }),
      )
      expect(key).toMatch(/^b1\/[0-9a-f]+\/t[0-9]{26}[0-9a-f]{16}-[0-9a-f]{16}$/)
      expect(
        await backlog.bury({
          reason: 'rejected',
          source: 'api',
          atMs: startMs,
          firstSeenMs: startMs,
          attempts: 1,
          raw: 'canary',
        }),
      ).toMatch(/^d[12]\/[0-9]{13}-[0-9a-f]{16}$/)
    })

    it('keeps dead letters apart from entries, whole and newest first', async () => {
      const backlog = await make()
      const entry = someEntry()
      const letters = [2, 1].map((n) => ({
        reason: 'rejected' as const,
        source: 'api',
        detail: 'no',
        atMs: startMs + n,
        firstSeenMs: startMs,
        attempts: n,
        entry,
      }))
      for (const dead of letters) await backlog.bury(dead)
      await backlog.bury({
        reason: 'unmappable',
        source: 'loan',
        atMs: startMs + 9,
        firstSeenMs: startMs,
        attempts: 0,
        raw: 'x'.repeat(5_000),
      })
      const dead = (await allDead(backlog)).map((item) => ('dead' in item ? item.dead : item))
      expect(dead).toMatchObject([{ reason: 'unmappable', raw: 'x'.repeat(5_000) }, letters[0], letters[1]])
      expect(await allEntries(backlog)).toEqual([])
    })

    it('reads one dead letter by its key until it is deleted', async () => {
      const backlog = await make()
      const dead = {
        reason: 'unmappable' as const,
        source: 'loan',
        atMs: startMs,
        firstSeenMs: startMs,
        attempts: 0,
        raw: '{"a":"ä"}',
        eventId: 'm1',
      }
      const key = await backlog.bury(dead)
      expect(await backlog.readDead(key)).toEqual({ key, dead })
      await backlog.delete(key)
      expect(await backlog.readDead(key)).toBeUndefined()
    })

    it('lists all items, large and small, in pages within their bound of bytes', async () => {
      const backlog = await make()
      const entries = Array.from({ length: 14 }, (_, n) =>
        someEntry({ attributes: [{ name: 'a', value: n % 2 === 0 ? 'x'.repeat(1_900) : 'small' }] }),
      )
      for (const entry of entries) await backlog.put(entry)
      const pages: (readonly (KeptEntry | Unreadable)[])[] = []
      const listed = await allPages(async (cursor) => {
        const page = await backlog.list(cursor === undefined ? {} : { cursor })
        pages.push(page.items)
        return page
      })
      expect(listed.map((item) => ('entry' in item ? item.entry.stamp : item))).toEqual(
        entries.map(({ stamp }) => stamp),
      )
      // Small ones are stored in KV's metadata, of which a list page holds at most a megabyte.
      const large = pages.map((items) => items.filter((item) => bytesOf(item) > 1_100))
      for (const items of large)
        expect(items.reduce((sum, item) => sum + bytesOf(item), 0)).toBeLessThanOrEqual(limits.bytesPerPage)
      if (limits !== defaultLimits) expect(pages.length).toBeGreaterThan(4)
      for (const items of pages) expect(items.length).toBeLessThanOrEqual(limits.keysPerPage)
    })

    it('lists an item that is larger than a page', async () => {
      const backlog = await make()
      const values = ['first', 'x'.repeat(9_000), 'y'.repeat(9_000), 'last']
      const hash = '7'.repeat(32)
      for (const value of values)
        await backlog.put(someEntry({ visitorHash: hash, attributes: [{ name: 'a', value }] }))
      const listed = await all(backlog, hash)
      expect(listed.map(({ attributes }) => attributes[0]?.value === values.shift())).toEqual([true, true, true, true])
    })

    it('leaves out only the dead letters that are not wanted, judging by their heads', async () => {
      const backlog = await make()
      const letter = (n: number, more: Partial<DeadLetter>): DeadLetter => ({
        reason: 'rejected',
        source: 'api',
        atMs: startMs + n,
        firstSeenMs: startMs,
        attempts: n,
        ...more,
      })
      const mine = someEntry()
      const letters = [
        letter(1, { entry: mine }),
        letter(2, { entry: someEntry() }),
        letter(3, { reason: 'unmappable', source: 'loan', raw: 'x' }),
        letter(4, { entry: { ...mine, attributes: [{ name: 'a', value: 'x'.repeat(3_000) }] } }),
        letter(5, { entry: someEntry() }),
      ]
      for (const dead of letters) await backlog.bury(dead)
      const seen: number[] = []
      const listed = await allDead(backlog, {
        wanted: ({ reason, source, atMs, firstSeenMs, attempts, visitorHash }) => {
          expect([firstSeenMs, reason, source]).toEqual([
            startMs,
            ...(attempts === 3 ? ['unmappable', 'loan'] : ['rejected', 'api']),
          ])
          expect(atMs).toBe(startMs + attempts)
          seen.push(attempts)
          return visitorHash === mine.visitorHash || visitorHash === undefined
        },
      })
      expect(listed.map((item) => ('dead' in item ? item.dead : item))).toEqual([letters[3], letters[2], letters[0]])
      expect(new Set(seen)).toEqual(new Set([1, 2, 3, 4, 5]))
    })

    it('lists heads, with the beginning of each detail where it is asked for, and nothing of the content (G9)', async () => {
      const backlog = await make()
      const entry = someEntry({ attributes: [{ name: 'a', value: 'x'.repeat(3_000) }] })
      const dead = { source: 'loan', firstSeenMs: startMs, attempts: 2 } as const
      const keys: string[] = []
      for (const [n, letter] of [
        { ...dead, reason: 'rejected' as const, entry, detail: 'no such visitor' },
        { ...dead, reason: 'unmappable' as const, raw: 'y'.repeat(3_000), detail: '😀\u0001'.repeat(2_000) },
        { ...dead, reason: 'expired' as const, entry },
      ].entries())
        keys.unshift(await backlog.bury({ ...letter, atMs: startMs + n }))
      const heads = await allPages((cursor) =>
        backlog.deadHeads({ details: true, ...(cursor === undefined ? {} : { cursor }) }),
      )
      expect(heads.map(({ key }) => key)).toEqual(keys)
      expect(heads).toMatchObject([
        { head: { ...dead, reason: 'expired', atMs: startMs + 2, visitorHash: entry.visitorHash } },
        { head: { ...dead, reason: 'unmappable', atMs: startMs + 1 } },
        { head: { reason: 'rejected' }, detail: 'no such visitor' },
      ])
      expect(heads[1]).toHaveProperty('detail', expect.stringContaining('😀\u0001'.repeat(10)))
      expect(JSON.stringify(heads)).not.toMatch(/xxx|yyy/)
      const [plain] = await allPages((cursor) => backlog.deadHeads(cursor === undefined ? {} : { cursor }))
      expect(plain).toEqual({ key: keys[0], head: expect.objectContaining({ reason: 'expired' }) })
    })

    it('ends a page of dead letters behind as many as are asked for, and goes on there', async () => {
      const backlog = await make()
      const letter = { reason: 'rejected', source: 'api', firstSeenMs: startMs, attempts: 0, raw: 'x' } as const
      for (let n = 0; n < 11; n++)
        await backlog.bury({ ...letter, source: n % 2 === 0 ? 'even' : 'odd', atMs: startMs + n })
      const sizes: number[] = []
      const wanted = ({ source }: { source: string }) => source === 'even'
      for (const read of [backlog.deadHeads, backlog.listDead]) {
        const listed = await allPages<{ key: string }>(async (cursor) => {
          const page = await read({ itemsAtMost: 2, wanted, ...(cursor === undefined ? {} : { cursor }) })
          sizes.push(page.items.length)
          return page
        })
        expect(new Set(listed.map(({ key }) => key)).size).toBe(6)
        expect(listed).toHaveLength(6)
      }
      expect(Math.max(...sizes)).toBe(2)
    })

    it('keeps a letter once that is buried again under its name', async () => {
      const backlog = await make()
      const dead = { reason: 'unmappable', source: 'a', atMs: startMs, firstSeenMs: startMs, attempts: 0 } as const
      const name = 'f'.repeat(16)
      const keys = [await backlog.bury({ ...dead, raw: 'x' }, name)]
      expect(readDeadKey(keys[0] ?? '')).toEqual({ atMs: startMs, name })
      await backlog.delete(keys[0] ?? '')
      keys.push(await backlog.bury({ ...dead, raw: 'x' }, name))
      expect(keys[1]).toBe(keys[0])
      expect(await allDead(backlog)).toHaveLength(1)
    })

    it('exchanges entries for keys: each put is there under its name, once however often it comes (G9)', async () => {
      const backlog = await make()
      const old = [await backlog.put(someEntry()), await backlog.bury(someDead())]
      const puts = Array.from({ length: 9 }, (_, n) => ({
        entry: someEntry({ visitorHash: n.toString(16).repeat(32), reason: 'plan' }),
        name: n.toString(16).padStart(16, '0'),
      }))
      await backlog.exchange(puts, old)
      const listed = await allEntries(backlog)
      expect(listed.map((item) => 'entry' in item && item.entry)).toEqual(puts.map(({ entry }) => entry))
      expect(listed.map(({ key }) => key.slice(-16))).toEqual(puts.map(({ name }) => name))
      expect(await allDead(backlog)).toEqual([])
      // A run that died behind it comes again.
      await aSecondLater()
      await backlog.exchange(puts, old)
      expect(await allEntries(backlog)).toEqual(listed)
      await backlog.exchange([], [])
      await backlog.exchange(
        [],
        listed.map(({ key }) => key),
      )
      expect(await allEntries(backlog)).toEqual([])
    })

    it('reads the dead letters that are there, in the order of their keys (G9)', async () => {
      const backlog = await make()
      const letters = Array.from({ length: 5 }, (_, n) => someDead({ attempts: n, atMs: startMs + n }))
      const keys: string[] = []
      for (const letter of letters) keys.push(await backlog.bury(letter))
      const [first = '', second = '', third = '', , fifth = ''] = keys
      await backlog.delete(second)
      const asKept = (...places: readonly number[]) => places.map((n) => ({ key: keys[n], dead: letters[n] }))
      expect(await backlog.readDeads([fifth, second])).toEqual(asKept(4))
      expect(await backlog.readDeads([third, first])).toEqual(asKept(2, 0))
      const all = [fifth, second, first, third]
      if (limits.keysPerRead >= all.length) expect(await backlog.readDeads(all)).toEqual(asKept(4, 0, 2))
      expect(await backlog.readDeads([])).toEqual([])
      expect(await backlog.readDeads([second])).toEqual([])
    })

    it('keeps texts of plans beside entries and letters, which show none of them', async () => {
      const backlog = await make()
      const key = `${planPrefix}0123456789abc/0`
      expect(await backlog.readText(key)).toBeUndefined()
      await backlog.putText(key, 'd1/one\nd1/two 😀')
      expect(await backlog.readText(key)).toBe('d1/one\nd1/two 😀')
      await aSecondLater()
      await backlog.putText(key, 'others')
      expect(await backlog.readText(key)).toBe('others')
      expect([await allEntries(backlog), await allDead(backlog)]).toEqual([[], []])
      await backlog.exchange([], [key])
      expect(await backlog.readText(key)).toBeUndefined()
    })

    it('keeps a raw body with any characters', async () => {
      const backlog = await make()
      const bodies = ['\u0001'.repeat(3_000), '\u0001\ufffd"'.repeat(1_000), 'ä😀'.repeat(1_000), '']
      const dead = { reason: 'unmappable', source: 'loan', atMs: startMs, firstSeenMs: startMs, attempts: 0 } as const
      for (const raw of bodies) {
        const kept = await backlog.readDead(await backlog.bury({ ...dead, raw }))
        expect(kept !== undefined && 'dead' in kept && kept.dead.raw).toBe(raw)
      }
    })

    it('counts what waits and what is dead without reading it: entries, visitors, calls, sources, reasons (G9)', async () => {
      const backlog = await make()
      const visitors = ['a', 'b', 'c'].map((digit) => digit.repeat(32))
      const entries = Array.from({ length: 10 }, (_, n) =>
        someEntry({
          visitorHash: visitors[n % 3] ?? '',
          visitor: { thirdPartyId: `visitor ${n % 3}` },
          source: n % 2 === 0 ? 'shop' : 'crm',
          attributes: Array.from({ length: 1 + (n % 3) }, (_, at) => ({
            name: `name ${(n + at) % 4}`,
            value: '%é'.repeat(n % 3 === 2 ? 2_900 : 10),
          })),
          ...(n === 7 ? {} : { reason: n < 4 ? ('quota' as const) : ('paused' as const) }),
        }),
      )
      const keys: string[] = []
      for (const entry of entries) keys.push(await backlog.put(entry))
      for (const reason of ['rejected', 'unmappable', 'rejected'] as const)
        await backlog.bury({ reason, source: 'shop', atMs: startMs, firstSeenMs: startMs, attempts: 1, raw: 'x' })
      const { waiting, dead } = await tallyOf(backlog)
      expect(waiting).toMatchObject(plainTally(entries))
      expect(waiting.oldestMs).toBe(Math.min(...entries.map(({ stamp }) => Number(stamp.slice(14, 27)))))
      expect(waiting.posts).toBeGreaterThanOrEqual(mergedCalls(entries, 'post'))
      expect(waiting.gets).toBeGreaterThanOrEqual(mergedCalls(entries, 'get'))
      expect(waiting.small).toBe(2)
      expect(dead).toEqual({ byReason: { rejected: 2, unmappable: 1 }, bySource: { shop: 3 } })

      // The third visitor has too much for one call; without it each has exactly one.
      const kept = entries.filter(({ visitorHash }) => visitorHash !== visitors[2])
      for (const [index, entry] of entries.entries()) if (!kept.includes(entry)) await backlog.delete(keys[index] ?? '')
      await backlog.delete(keys[2] ?? '')
      const after = (await tallyOf(backlog)).waiting
      expect(after).toMatchObject({ ...plainTally(kept), posts: 2, gets: 2, small: 2 })
      for (const key of keys) await backlog.delete(key)
      expect((await tallyOf(backlog)).waiting).toEqual({
        waiting: 0,
        visitors: 0,
        posts: 0,
        gets: 0,
        small: 0,
        bySource: {},
        byReason: {},
      })
    })

    it('counts its operations', async () => {
      const backlog = await make()
      const before = backlog.operations
      await backlog.delete(await backlog.put(someEntry()))
      await backlog.list()
      expect(backlog.operations - before).toBe(2 + listOperations)
    })
  })
}
