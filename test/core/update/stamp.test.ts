/** Stamps sort as the updates' places in time do. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  eventTime,
  futureToleranceMs,
  isStamp,
  makeStamp,
  maxPlaces,
  stampArrivalMs,
  stampTimeMs,
} from '../../../src/core/update/stamp.ts'

const ms = fc.integer({ min: 0, max: 9_999_999_999_999 })
const id = fc.stringMatching(/^[0-9a-f]{32}$/)
const place = fc.integer({ min: 0, max: maxPlaces - 1 })

describe('stamps', () => {
  it('sort by event time, then arrival, then place in the batch, whatever the name of the update', () => {
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

  it('give back the times they were made of, and are recognised', () => {
    fc.assert(
      fc.property(ms, ms, place, id, (time, arrival, at, name) => {
        const stamp = makeStamp(time, arrival, name, at)
        expect([stampTimeMs(stamp), stampArrivalMs(stamp), isStamp(stamp), stamp.length]).toEqual([
          time,
          arrival,
          true,
          43,
        ])
      }),
    )
  })

  it('are a letter, the event time, the arrival, the place and the end of the hash, in a fixed width', () => {
    expect(makeStamp(1, 2, `aa${'f'.repeat(14)}`, 37)).toBe(`t0000000000001000000000000211${'f'.repeat(14)}`)
    expect(makeStamp(0, 9_999_999_999_999, 'f'.repeat(14))).toBe(`t0000000000000999999999999900${'f'.repeat(14)}`)
    expect(maxPlaces).toBe(1_296)
  })

  it('without a place, as older versions wrote them, are still read', () => {
    expect(isStamp(`t${'1790000000000'.repeat(2)}0123456789abcdef`)).toBe(true)
  })

  it.each([
    ['another letter', `x${'1790000000000'.repeat(2)}0123456789abcdef`],
    ['a letter among the digits', `t${'179000000000x'.repeat(2)}0123456789abcdef`],
    ['something in front of it', `xt${'1790000000000'.repeat(2)}0123456789abcdef`],
    ['a list of one', [`t${'1790000000000'.repeat(2)}0123456789abcdef`]],
    ['a digit too few', `t${'1790000000000'.repeat(2)}0123456789abcde`],
    ['a digit too many', `t${'1790000000000'.repeat(2)}0123456789abcdef0`],
    ['capitals', `t${'1790000000000'.repeat(2)}0123456789ABCDEF`],
    ['a name that is not hex', `t${'1790000000000'.repeat(2)}0123456789abcdeg`],
    ['something after it', `t${'1790000000000'.repeat(2)}0123456789abcdef\n`],
    ['no text', 7],
  ])('%s is not a stamp', (_, text) => {
    expect(isStamp(text)).toBe(false)
  })

  it.each([-1, 0.5, 10_000_000_000_000, Number.NaN])('a time of %d ms is refused', (time) => {
    expect(() => makeStamp(time, 0, 'f'.repeat(14))).toThrow(RangeError)
    expect(() => makeStamp(0, time, 'f'.repeat(14))).toThrow('whole milliseconds since 1970')
  })

  it('places beyond the last all count as the last', () => {
    expect(makeStamp(0, 0, 'f'.repeat(14), maxPlaces + 5)).toBe(makeStamp(0, 0, 'f'.repeat(14), maxPlaces - 1))
  })
})

describe('the time that an update is ordered by', () => {
  const arrivalMs = 1_790_000_000_000
  const retentionMs = 3_600_000
  it('lets a clock run ahead by five minutes', () => {
    expect(futureToleranceMs).toBe(300_000)
  })
  it.each<[string, number | undefined, ReturnType<typeof eventTime>]>([
    ['arrival, if the source gives no time', undefined, { ok: true, timeMs: arrivalMs }],
    ['its own', arrivalMs - 1, { ok: true, timeMs: arrivalMs - 1 }],
    ['its own, as old as the retention', arrivalMs - retentionMs, { ok: true, timeMs: arrivalMs - retentionMs }],
    ['none, beyond the retention', arrivalMs - retentionMs - 1, { ok: false, error: 'too_old' }],
    ['arrival, for a clock that is ahead', arrivalMs + 1, { ok: true, timeMs: arrivalMs }],
    [
      'arrival, for a clock that is as far ahead as is tolerated',
      arrivalMs + futureToleranceMs,
      { ok: true, timeMs: arrivalMs },
    ],
    ['none, further ahead', arrivalMs + futureToleranceMs + 1, { ok: false, error: 'in_future' }],
  ])('%s', (_, claimedMs, time) => {
    expect(eventTime(claimedMs, arrivalMs, retentionMs)).toEqual(time)
  })

  it('is never before 1970, however long the retention', () => {
    expect(eventTime(0, 1_000, retentionMs)).toEqual({ ok: true, timeMs: 0 })
    expect(eventTime(-1, 1_000, retentionMs)).toEqual({ ok: false, error: 'too_old' })
  })
})
