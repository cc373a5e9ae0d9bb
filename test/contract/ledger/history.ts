/** A visitor's time line. */
import { describe, expect, it } from 'vitest'
import type { Settlement } from '../../../src/core/ledger/port.ts'
import { historyBytes, historyOf, type Note } from '../../../src/core/ledger/rules/history.ts'
import { at, type Bench, startMs, unique } from './bench.ts'

export function historyContract(bench: Bench): void {
  const note = (more: Partial<Note> = {}): Note => ({
    kind: 's',
    source: 'crm',
    names: ['tier'],
    stamp: at(bench.nowMs - startMs),
    ...more,
  })
  const settle = (given: Note, more: Partial<Settlement> = {}) =>
    bench.ledger.settle([{ visitorHash: bench.visitor, token: '', attributes: [], note: given, ...more }])
  const history = async () => historyOf(await bench.ledger.history(bench.visitor))

  describe('the time line of a visitor', () => {
    it('has the last eight happenings, with time, source and names', async () => {
      expect(await bench.ledger.history(bench.visitor)).toBeUndefined()
      for (let n = 0; n < 11; n++) {
        bench.nowMs += 60_000
        await settle(note({ kind: 'd', digit: n % 8, names: ['tier', `a${n % 2}`] }))
      }
      expect(await history()).toEqual(
        Array.from({ length: 8 }, (_, index) => ({
          kind: 'd',
          digit: (index + 3) % 8,
          source: 'crm',
          names: ['tier', `a${(index + 1) % 2}`],
          atS: startMs / 1_000 + 60 * (index + 4),
          afterS: 0,
        })),
      )
    })

    it('says how long before it was received', async () => {
      bench.nowMs += 3_600_999
      await settle(note({ kind: 'r', digit: 4, stamp: at(0) }))
      expect(await history()).toMatchObject([{ kind: 'r', digit: 4, atS: startMs / 1_000 + 3_600, afterS: 3_600 }])
    })

    it('is written with a settlement that settles, and is no other one’s', async () => {
      const sent = await bench.sent(at(0))
      await bench.settle(sent, 'delivered', { note: note() })
      expect(await history()).toMatchObject([{ kind: 's', names: ['tier'] }])
      expect(await bench.ledger.history(unique())).toBeUndefined()
      expect(await bench.ledger.visitor(bench.visitor)).toEqual([{ name: 'tier', done: at(0) }])
      expect(await bench.verdict(at(0))).toBe('delivered')
    })

    it('has a settlement that was repeated once, also after others, and two of one second that differ', async () => {
      const one = note({ names: ['tier', 'with space'] })
      await settle(one)
      await settle(note({ names: ['city'] }))
      bench.nowMs += 1_500
      await settle(one)
      await settle({ ...one, kind: 'p' })
      await settle({ ...one, source: 'desk' })
      expect((await history()).map(({ kind, source, names }) => `${kind} ${source} ${names.join()}`)).toEqual([
        's crm tier',
        's crm city',
        'p crm tier',
        's desk tier',
      ])
    })

    it('leaves out what does not fit: names of older happenings first, then sources', async () => {
      for (let n = 0; n < 8; n++) {
        bench.nowMs += 1_000_000
        await settle(note({ source: `a-source-with-a-name-${n}`, names: [`anAttributeOfLength${n}`] }))
      }
      const text = (await bench.ledger.history(bench.visitor)) ?? ''
      expect(text.length).toBeLessThanOrEqual(historyBytes)
      const kept = await history()
      expect(kept.map(({ kind }) => kind)).toEqual(Array.from({ length: 8 }, () => 's'))
      expect(kept.at(-1)?.source).toBe('a-source-with-a-name-7')
      expect(kept[0]).toMatchObject({ names: [] })
      expect(kept[0]).not.toHaveProperty('source')
    })

    it('leaves out names of other characters, and keeps odd ones', async () => {
      const odd = [
        'with space',
        '"quoted"',
        'a|b',
        'ä',
        '😀',
        'x'.repeat(33),
        '',
        'back\\slash',
        '__proto__',
        '~{[^%.',
        'y'.repeat(32),
      ]
      await settle(note({ source: '__proto__', names: odd }))
      expect(await history()).toMatchObject([{ source: '__proto__', names: ['__proto__', '~{[^%.', 'y'.repeat(32)] }])
    })

    it('goes with an erasure, and what came in before it leaves no trace afterwards', async () => {
      bench.nowMs += 5_000
      await settle(note({ stamp: at(0) }))
      expect(await bench.ledger.erase(bench.visitor)).toBe(true)
      expect(await bench.ledger.history(bench.visitor)).toBeUndefined()
      await settle(note({ stamp: at(5_000) }))
      expect(await bench.ledger.history(bench.visitor)).toBeUndefined()
      bench.nowMs += 1_000
      await settle(note())
      expect(await history()).toHaveLength(1)
    })

    it('goes on where the clock was set back', async () => {
      await settle(note())
      bench.nowMs -= 60_000
      await settle(note({ kind: 'p' }))
      expect((await history()).map(({ kind, atS }) => [kind, atS - startMs / 1_000])).toEqual([
        ['s', 0],
        ['p', -60],
      ])
    })
  })
}
