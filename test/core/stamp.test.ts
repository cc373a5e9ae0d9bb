/** Stamps: text that sorts as time does (PROTOCOL.md, "Stamps"). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { eventTime, futureToleranceMs, isStamp, makeStamp, stampArrivalMs, stampTimeMs } from '../../src/core/stamp.ts'

const lastMs = 9_999_999_999_999
const id = '0123456789abcdef'
const times = fc.integer({ min: 0, max: lastMs })
const ids = fc.stringMatching(/^[0-9a-f]{16,32}$/)

describe('a stamp', () => {
  it('is a letter, the event time, the arrival and the beginning of the id, in a fixed width', () => {
    expect(makeStamp(1, 2, `${id}ff`)).toBe(`t00000000000010000000000002${id}`)
    expect(makeStamp(0, lastMs, id)).toBe(`t00000000000009999999999999${id}`)
  })

  it('tells its times again, and is one', () => {
    fc.assert(
      fc.property(times, times, ids, (atMs, arrivalMs, name) => {
        const stamp = makeStamp(atMs, arrivalMs, name)
        expect([stampTimeMs(stamp), stampArrivalMs(stamp), isStamp(stamp)]).toEqual([atMs, arrivalMs, true])
      }),
    )
  })

  it('sorts by event time, then by arrival, then by id', () => {
    const parts = fc.tuple(
      fc.integer({ min: 9, max: 11 }),
      fc.integer({ min: 99, max: 101 }),
      fc.constantFrom('a'.repeat(16), 'b'.repeat(16)),
    )
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        const [a, b] = [makeStamp(...one), makeStamp(...other)]
        const first = one.map((part, index) => [part, other[index]] as const).find(([mine, its]) => mine !== its)
        expect(a < b).toBe(first !== undefined && first[0] < (first[1] ?? ''))
        expect(a === b).toBe(first === undefined)
      }),
    )
  })

  it.each([-1, 0.5, lastMs + 1, Number.NaN, Number.POSITIVE_INFINITY])('has no place for a time of %d', (ms) => {
    expect(() => makeStamp(ms, 0, id)).toThrow('whole milliseconds since 1970')
    expect(() => makeStamp(0, ms, id)).toThrow(RangeError)
  })

  const good = makeStamp(1, 2, id)
  it.each<[string, unknown]>([
    ['another letter', `u${good.slice(1)}`],
    ['a letter among the digits', `${good.slice(0, 5)}a${good.slice(6)}`],
    ['a digit too few', good.slice(0, 5) + good.slice(6)],
    ['an id that is too short', good.slice(0, -1)],
    ['an id of capitals', good.toUpperCase().replace('T', 't')],
    ['something before it', `x${good}`],
    ['something behind it', `${good}0`],
    ['a line behind it', `${good}\n`],
    ['a list of one', [good]],
    ['nothing', undefined],
  ])('is not %s', (_, text) => {
    expect(isStamp(text)).toBe(false)
  })
})

describe('the time that an update is ordered by', () => {
  const arrivalMs = 1_790_000_000_000
  const retentionMs = 3_600_000
  it('lets a clock run ahead by five minutes', () => {
    expect(futureToleranceMs).toBe(300_000)
  })
  it.each<[string, number | undefined, ReturnType<typeof eventTime>]>([
    ['arrival, where the source gives none', undefined, { ok: true, timeMs: arrivalMs }],
    ['its own', arrivalMs - 1, { ok: true, timeMs: arrivalMs - 1 }],
    ['its own, as old as the retention', arrivalMs - retentionMs, { ok: true, timeMs: arrivalMs - retentionMs }],
    ['none, beyond the retention', arrivalMs - retentionMs - 1, { ok: false, error: 'too_old' }],
    ['arrival, for a clock that is ahead', arrivalMs + 1, { ok: true, timeMs: arrivalMs }],
    ['arrival, for a clock that is as far ahead as is borne', arrivalMs + futureToleranceMs, { ok: true, timeMs: arrivalMs }],
    ['none, further ahead', arrivalMs + futureToleranceMs + 1, { ok: false, error: 'in_future' }],
  ])('%s', (_, claimedMs, time) => {
    expect(eventTime(claimedMs, arrivalMs, retentionMs)).toEqual(time)
  })

  it('is never before 1970, however long the retention', () => {
    expect(eventTime(0, 1_000, retentionMs)).toEqual({ ok: true, timeMs: 0 })
    expect(eventTime(-1, 1_000, retentionMs)).toEqual({ ok: false, error: 'too_old' })
  })
})
