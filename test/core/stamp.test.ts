/** Stamps sort as the updates' places in time do. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isStamp, makeStamp, maxPlaces, stampArrivalMs, stampTimeMs } from '../../src/core/stamp.ts'

const ms = fc.integer({ min: 0, max: 9_999_999_999_999 })
const id = fc.stringMatching(/^[0-9a-f]{32}$/)
const place = fc.integer({ min: 0, max: maxPlaces - 1 })

describe('stamps', () => {
  it('sort by event time, then arrival, then the place in the batch, whatever names the update', () => {
    fc.assert(
      fc.property(fc.tuple(ms, ms, place, id), fc.tuple(ms, ms, place, id), (one, other) => {
        const [a, b] = [one, other].map(([time, arrival, at, name]) => makeStamp(time, arrival, name, at))
        const order = one
          .slice(0, 3)
          .map((part, index) => Math.sign(Number(part) - Number(other[index])))
          .find((sign) => sign !== 0)
        if (order !== undefined) expect((a ?? '') < (b ?? '') ? -1 : 1).toBe(order)
        else expect(a === b).toBe(one[3].slice(-14) === other[3].slice(-14))
      }),
    )
  })

  it('say what they were made of, and are recognised', () => {
    fc.assert(
      fc.property(ms, ms, place, id, (time, arrival, at, name) => {
        const stamp = makeStamp(time, arrival, name, at)
        expect([stampTimeMs(stamp), stampArrivalMs(stamp), isStamp(stamp), stamp.length]).toEqual([time, arrival, true, 43])
      }),
    )
  })

  it('those of versions without a place are read on', () => {
    expect(isStamp(`t${'1790000000000'.repeat(2)}0123456789abcdef`)).toBe(true)
  })

  it.each([
    ['another letter', `x${'1790000000000'.repeat(2)}0123456789abcdef`],
    ['a digit too few', `t${'1790000000000'.repeat(2)}0123456789abcde`],
    ['a digit too many', `t${'1790000000000'.repeat(2)}0123456789abcdef0`],
    ['capitals', `t${'1790000000000'.repeat(2)}0123456789ABCDEF`],
    ['a name that is not hex', `t${'1790000000000'.repeat(2)}0123456789abcdeg`],
    ['something behind it', `t${'1790000000000'.repeat(2)}0123456789abcdef\n`],
    ['no text', 7],
  ])('%s is none', (_, text) => {
    expect(isStamp(text)).toBe(false)
  })

  it.each([-1, 0.5, 10_000_000_000_000, Number.NaN])('a time of %d ms is refused', (time) => {
    expect(() => makeStamp(time, 0, 'f'.repeat(14))).toThrow(RangeError)
    expect(() => makeStamp(0, time, 'f'.repeat(14))).toThrow(RangeError)
  })

  it('places beyond the last are all the last', () => {
    expect(makeStamp(0, 0, 'f'.repeat(14), maxPlaces + 5)).toBe(makeStamp(0, 0, 'f'.repeat(14), maxPlaces - 1))
  })
})
