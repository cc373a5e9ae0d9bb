/** Leases and memos. */
import { describe, expect, it } from 'vitest'
import type { Settlement } from '../../../src/core/ledger/port.ts'
import { maxBatch } from '../../../src/core/ledger/rules/settings.ts'
import { at, type Bench, unique } from './bench.ts'

export function leasesContract(bench: Bench): void {
  const { request, verdict, sent } = bench

  describe('leases, memos', () => {
    it('a lease has one holder, who may renew it, until it expires or is released', async () => {
      const name = unique()
      expect(await bench.ledger.lease(name, 'one', 1_000)).toBe(true)
      expect(await bench.ledger.lease(name, 'two', 1_000)).toBe(false)
      bench.nowMs += 900
      expect(await bench.ledger.lease(name, 'one', 1_000)).toBe(true)
      bench.nowMs += 999
      expect(await bench.ledger.lease(name, 'two', 1_000)).toBe(false)
      bench.nowMs += 1
      expect(await bench.ledger.lease(name, 'two', 1_000)).toBe(true)
      await bench.ledger.release(name, 'one')
      expect(await bench.ledger.lease(name, 'one', 1_000)).toBe(false)
      await bench.ledger.release(name, 'two')
      expect(await bench.ledger.lease(name, 'one', 1_000)).toBe(true)
    })

    it('a lease is taken and memos are recalled in one step; a memo is kept and a lease given back in one', async () => {
      const [name, one, other, none] = [unique(), unique(), unique(), unique()]
      await bench.ledger.remember(one, 'ä😀')
      await bench.ledger.remember(other, '{"at":1}')
      const take = (holder: string, ...memos: string[]) => bench.ledger.leaseAndRecall(name, holder, 1_000, memos)
      expect(await take('one', one, none, other)).toEqual(['ä😀', undefined, '{"at":1}'])
      expect(await take('two', one)).toBeUndefined()
      bench.nowMs += 900
      expect(await take('one')).toEqual([])
      bench.nowMs += 999
      expect(await bench.ledger.lease(name, 'two', 1_000)).toBe(false)
      // Its lease has ended: what it says is kept, and the other's lease stays.
      bench.nowMs += 1
      expect(await take('two', one)).toEqual(['ä😀'])
      await bench.ledger.rememberAndRelease(name, 'one', one, 'later')
      expect(await take('three', one)).toBeUndefined()
      await bench.ledger.rememberAndRelease(name, 'two', other, '')
      expect(await take('three', one, other)).toEqual(['later', ''])
    })

    it('remembers', async () => {
      const name = unique()
      expect(await bench.ledger.recall(name)).toBeUndefined()
      for (const value of ['1763892000000123', '{"at":1}', 'ä😀']) {
        await bench.ledger.remember(name, value)
        expect(await bench.ledger.recall(name)).toBe(value)
      }
    })

    it('remembers the first of several values for good, the same for all concurrent callers', async () => {
      const name = unique()
      const values = ['{"client":"one"}', '1763892000000123', 'ä😀']
      const kept = await Promise.all(values.map((value) => bench.ledger.rememberFirst(name, value)))
      expect(values).toContain(kept[0])
      expect(new Set(kept).size).toBe(1)
      expect(await bench.ledger.rememberFirst(name, 'later')).toBe(kept[0])
      expect(await bench.ledger.recall(name)).toBe(kept[0])
      // A value set with `remember` counts as the first, too.
      await bench.ledger.remember(name, 'set')
      expect(await bench.ledger.rememberFirst(name, 'later')).toBe('set')
    })

    it('sets a memo only where it is what the caller saw; of several at once one does (G9)', async () => {
      const name = unique()
      const set = (before: string | undefined, value: string) => bench.ledger.compareAndSet(name, before, value)
      expect(await set('', 'none')).toBe(false)
      expect(await bench.ledger.recall(name)).toBeUndefined()
      expect(await Promise.all(['ä😀', 'ä😀', 'ä😀'].map((value) => set(undefined, value)))).toEqual(
        expect.arrayContaining([true, false, false]),
      )
      expect(await set(undefined, 'late')).toBe(false)
      expect(await set('ä😁', 'late')).toBe(false)
      expect(await set('ä😀', '')).toBe(true)
      expect(await set('ä😀', 'late')).toBe(false)
      expect(await set(undefined, 'late')).toBe(false)
      expect(await bench.ledger.recall(name)).toBe('')
      expect(await set('', '{"at":1}')).toBe(true)
      expect(await bench.ledger.recall(name)).toBe('{"at":1}')
    })

    it.each(['__proto__', 'constructor', 'a b:c', '"quoted"', '😀'])(
      'treats %s as a name like any other',
      async (odd) => {
        expect(await bench.ledger.recall(odd)).toBeUndefined()
        await bench.ledger.remember(odd, 'kept')
        expect(await bench.ledger.recall(odd)).toBe('kept')
        expect(await bench.ledger.lease(odd, 'one', 1_000)).toBe(true)
        expect(await bench.ledger.lease(odd, 'two', 1_000)).toBe(false)
      },
    )

    it('an empty batch changes nothing', async () => {
      expect(await bench.ledger.admit([], 'live')).toEqual([])
      expect(await bench.ledger.firstStamps([])).toEqual([])
      await bench.ledger.settle([])
      expect(await bench.ledger.usage()).toMatchObject({ used: 0, counters: {} })
    })

    it('refuses more than a batch of settlements or events, and changes nothing', async () => {
      const many = <T>(one: T) => Array.from({ length: maxBatch + 1 }, () => one)
      const one = await sent(at(0))
      const settlement: Settlement = {
        visitorHash: bench.visitor,
        token: one.token,
        attributes: [{ name: 'tier', stamp: at(0), outcome: 'delivered' }],
      }
      await expect(bench.ledger.settle(many(settlement), { calls: 1 })).rejects.toThrow(RangeError)
      expect(await verdict(at(0))).toBe('contended')
      const event = unique()
      await expect(bench.ledger.firstStamps(many({ event, stamp: at(0) }))).rejects.toThrow(RangeError)
      expect(await bench.ledger.firstStamps([{ event, stamp: at(1) }])).toEqual([at(1)])
    })

    it('refuses more than a batch of admissions', async () => {
      await expect(
        bench.ledger.admit(
          Array.from({ length: maxBatch + 1 }, () => request(at(0))),
          'live',
        ),
      ).rejects.toThrow(RangeError)
    })

    it('accepts a full batch', async () => {
      const answers = await bench.ledger.admit(
        Array.from({ length: maxBatch }, () => request(at(0), { visitorHash: unique() })),
        'replay',
      )
      expect(answers.filter((answer) => answer.event === 'open' && answer.verdicts[0] === 'send')).toHaveLength(100)
    })
  })
}
