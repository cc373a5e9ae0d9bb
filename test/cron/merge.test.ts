/** Merging in a flush: the newest value of each attribute, whatever the order of the updates (G3). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeStamp } from '../../src/core/update/stamp.ts'
import { type Mergeable, mergeNewest } from '../../src/cron/merge.ts'

const at = (ms: number) => makeStamp(ms, ms, '0123456789abcdef')
const update = (ms: number, attributes: Readonly<Record<string, string>>): Mergeable => ({
  stamp: at(ms),
  attributes: Object.entries(attributes).map(([name, value]) => ({ name, value })),
})

describe('merging the updates of one visitor', () => {
  it('keeps the newest value of each attribute, under its own stamp', () => {
    expect(mergeNewest([update(1, { a: 'old', b: 'only' }), update(2, { a: 'new' })])).toEqual([
      { name: 'b', value: 'only', stamp: at(1) },
      { name: 'a', value: 'new', stamp: at(2) },
    ])
  })

  it('gives nothing for no updates, and a single update unchanged', () => {
    expect(mergeNewest([])).toEqual([])
    expect(mergeNewest([update(1, { b: 'x', a: 'y' })])).toEqual([
      { name: 'b', value: 'x', stamp: at(1) },
      { name: 'a', value: 'y', stamp: at(1) },
    ])
  })

  it('gives the same winners for any order of the updates, the oldest winner first', () => {
    const some = fc.uniqueArray(
      fc.record({
        ms: fc.integer({ min: 0, max: 50 }),
        names: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 }),
      }),
      { selector: ({ ms }) => ms, maxLength: 8 },
    )
    const shuffled = some.chain((list) => fc.shuffledSubarray(list, { minLength: list.length }))
    fc.assert(
      fc.property(shuffled, (list) => {
        const updates = list.map(({ ms, names }) =>
          update(ms, Object.fromEntries(names.map((name) => [name, `${name}${ms}`]))),
        )
        const winners = mergeNewest(updates)
        const newest = new Map<string, number>()
        for (const { ms, names } of list)
          for (const name of names) newest.set(name, Math.max(ms, newest.get(name) ?? -1))
        expect(new Map(winners.map(({ name, value, stamp }) => [name, [value, stamp]]))).toEqual(
          new Map([...newest].map(([name, ms]) => [name, [`${name}${ms}`, at(ms)]])),
        )
        expect(winners).toHaveLength(newest.size)
        const stamps = winners.map(({ stamp }) => stamp)
        expect(stamps).toEqual([...stamps].sort())
      }),
    )
  })

  it('keeps the first of two values under one stamp: they are one update, stored twice', () => {
    expect(mergeNewest([update(1, { a: 'x' }), update(1, { a: 'y' })])).toEqual([
      { name: 'a', value: 'x', stamp: at(1) },
    ])
  })

  it('does not change the updates: the caller still has the losers', () => {
    const updates = [update(1, { a: 'x' }), update(2, { a: 'y' })]
    const before = structuredClone(updates)
    mergeNewest(updates)
    expect(updates).toEqual(before)
  })
})
