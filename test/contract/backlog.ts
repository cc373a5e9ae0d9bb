/** What every backlog must do, whatever it is kept in. */
import { afterAll, describe, expect, it } from 'vitest'
import type { Backlog, Entry } from '../../src/core/backlog/port.ts'
import { makeStamp } from '../../src/core/stamp.ts'

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

export function backlogContract(name: string, make: () => Promise<Backlog>, dispose?: () => Promise<void>): void {
  describe(`backlog contract: ${name}`, () => {
    afterAll(() => dispose?.())
    const all = async (backlog: Backlog, prefix = '') => {
      const items: Entry[] = []
      for (let cursor: string | undefined; ; ) {
        const page = await backlog.list({ prefix, limit: 7, ...(cursor === undefined ? {} : { cursor }) })
        for (const item of page.items) if ('entry' in item) items.push(item.entry)
        if (page.cursor === undefined) return items
        cursor = page.cursor
      }
    }

    it('gives back what was put, small or large, to the character', async () => {
      const backlog = await make()
      const entries = [
        someEntry(),
        someEntry({ event: 'e'.repeat(32), notBeforeMs: startMs + 5, blind: true, visitor: { pcId: '1-2.3_4' } }),
        someEntry({ attributes: [{ name: '__proto__', value: '😀\u0000\r\n"\\' }] }),
        someEntry({ attributes: Array.from({ length: 40 }, (_, n) => ({ name: `name ${n}`, value: 'ä'.repeat(700) })) }),
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
      expect(listed.map(({ visitorHash }) => visitorHash)).toEqual([...Array<string>(5).fill(one), ...Array<string>(5).fill(two)])
      for (const hash of [one, two]) {
        const own = listed.filter(({ visitorHash }) => visitorHash === hash).map(({ stamp }) => stamp)
        expect(own).toEqual([...own].sort())
      }
      expect(await all(backlog, 'a')).toHaveLength(5)
      expect(await all(backlog, 'c')).toEqual([])
    })

    it('keeps two puts of the same entry apart, and deletes only the key it is given, any number of times', async () => {
      const backlog = await make()
      const entry = someEntry()
      const [first, second] = [await backlog.put(entry), await backlog.put(entry)]
      expect(first).not.toBe(second)
      await backlog.delete(first)
      await backlog.delete(first)
      expect((await backlog.list()).items.map(({ key }) => key)).toEqual([second])
    })

    it('names nobody in its keys (G8)', async () => {
      const backlog = await make()
      const key = await backlog.put(someEntry({ visitor: { thirdPartyId: 'canary' }, attributes: [{ name: 'tier', value: 'canary' }] }))
      expect(key).toMatch(/^b1\/[0-9a-f]+\/t[0-9]{26}[0-9a-f]{16}-[0-9a-f]{16}$/)
      expect(
        await backlog.bury({ reason: 'rejected', source: 'api', atMs: startMs, firstSeenMs: startMs, attempts: 1, raw: 'canary' }),
      ).toMatch(/^d1\/[0-9]{13}-[0-9a-f]{16}$/)
    })

    it('keeps dead letters apart from entries, whole and in the order of time', async () => {
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
      const dead = (await backlog.listDead()).items.map((item) => ('dead' in item ? item.dead : item))
      expect(dead).toMatchObject([letters[1], letters[0], { reason: 'unmappable', raw: 'x'.repeat(5_000) }])
      expect((await backlog.list()).items).toEqual([])
    })

    it('gives one dead letter by its key, until it is deleted', async () => {
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

    it('counts its operations', async () => {
      const backlog = await make()
      const before = backlog.operations
      await backlog.delete(await backlog.put(someEntry()))
      await backlog.list()
      expect(backlog.operations - before).toBe(3)
    })
  })
}
