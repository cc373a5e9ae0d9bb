/** Figures by source, lane and slot. */
import { describe, expect, it } from 'vitest'
import { type Counters, figure, slotMs } from '../../../src/core/ledger/rules/figures.ts'
import { type Bench, startMs } from './bench.ts'

const hourMs = 3_600_000
/** Where the slot begins that a test begins in. */
const firstMs = startMs - (startMs % slotMs)

export function figuresContract(bench: Bench): void {
  const count = (source: string, name: string, n = 1, lane = 'live') =>
    bench.ledger.settle([], { [figure(source, lane, name)]: n })

  describe('figures', () => {
    it('are kept by source and lane in slots of ten minutes', async () => {
      await bench.ledger.settle([], {
        'crm/live/received': 2,
        'crm/live/calls': 1,
        'crm/replay/replayed': 1,
        'api/high/received': 1,
      })
      await count('crm', 'received')
      bench.nowMs += slotMs
      await count('crm', 'received', 5)
      expect(await bench.ledger.series(startMs)).toEqual([
        {
          startMs: firstMs,
          lines: {
            'crm/live': { received: 3, calls: 1 },
            'crm/replay': { replayed: 1 },
            'api/high': { received: 1 },
          },
        },
        { startMs: firstMs + slotMs, lines: { 'crm/live': { received: 5 } } },
      ])
      const { counters, totals } = await bench.ledger.usage()
      expect(counters).toEqual({ received: 9, calls: 1, replayed: 1 })
      expect(totals).toEqual({
        'crm/live': { received: 8, calls: 1 },
        'crm/replay': { replayed: 1 },
        'api/high': { received: 1 },
      })
    })

    it('are given a day at a time, from the slot of the time that was asked for', async () => {
      for (let hour = 0; hour < 50; hour++) {
        await count('crm', 'received', hour + 1)
        bench.nowMs += hourMs
      }
      const day = await bench.ledger.series(startMs + 10 * hourMs + 1)
      expect(day.map(({ startMs: slotStartMs }) => (slotStartMs - firstMs) / hourMs)).toEqual(
        Array.from({ length: 24 }, (_, index) => 10 + index),
      )
      expect(day[0]?.lines).toEqual({ 'crm/live': { received: 11 } })
      expect(await bench.ledger.series(bench.nowMs + hourMs)).toEqual([])
    })

    it('older than 72 h they are shown no longer, and stay in the totals', async () => {
      for (let hour = 0; hour < 100; hour++) {
        await bench.ledger.settle([], { 'crm/live/received': 1, 'api/live/calls': 1 })
        bench.nowMs += hourMs
      }
      const [oldest] = await bench.ledger.series(0)
      expect(oldest?.startMs).toBe(firstMs + 28 * hourMs)
      expect((await bench.ledger.usage()).totals).toEqual({
        'crm/live': { received: 100 },
        'api/live': { calls: 100 },
      })
      // Of a relay that stood still for long.
      bench.nowMs += 1_000 * hourMs
      await count('crm', 'received')
      expect(await bench.ledger.series(0)).toEqual([])
      expect(await bench.ledger.series(bench.nowMs)).toHaveLength(1)
      expect((await bench.ledger.usage()).counters).toEqual({ received: 101, calls: 100 })
    })

    it('what an older version counts, by name alone, has no line', async () => {
      await bench.ledger.settle([], { received: 1 })
      await bench.ledger.settle([], { received: 2, 'crm/live/received': 4 })
      expect((await bench.ledger.usage()).totals).toEqual({ '': { received: 3 }, 'crm/live': { received: 4 } })
      expect((await bench.ledger.usage()).counters).toEqual({ received: 7 })
    })

    it.each(['__proto__', 'constructor', 'a b:c', '"quoted"', '😀', ''])(
      'treat %j as a name like any other',
      async (odd) => {
        const counts: Counters = Object.fromEntries([[figure(odd, odd, odd), 2]])
        await bench.ledger.settle([], counts)
        await bench.ledger.settle([], counts)
        const [slot] = await bench.ledger.series(startMs)
        expect(Object.entries(slot?.lines ?? {}).map(([line, some]) => [line, Object.entries(some)])).toEqual([
          [`${odd}/${odd}`, [[odd, 4]]],
        ])
        expect(Object.entries((await bench.ledger.usage()).counters)).toEqual([[odd, 4]])
      },
    )

    it('are given together with usage and memos, as each of them gives its own (G9)', async () => {
      await count('crm', 'received', 3)
      bench.nowMs += slotMs
      await count('api', 'received', 2)
      await bench.ledger.remember('one', 'text "of" \\ one/😀')
      await bench.ledger.remember('empty', '')
      expect(await bench.ledger.look(firstMs + slotMs, ['one', 'none', 'empty', 'one'])).toEqual({
        usage: await bench.ledger.usage(),
        slots: await bench.ledger.series(firstMs + slotMs),
        memos: [...['text "of" \\ one/😀', undefined, ''], 'text "of" \\ one/😀'],
      })
      expect(await bench.ledger.look(firstMs, [])).toMatchObject({ slots: [{}, {}], memos: [] })
    })

    it('a settle without counts begins no slot', async () => {
      await bench.ledger.settle([])
      expect(await bench.ledger.series(0)).toEqual([])
    })
  })
}
