/** Times in the forms that senders write. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readHttpDate, readTime } from '../../src/core/time.ts'

const at = Date.UTC(2026, 10, 25, 10, 0, 0)

describe('a time is read', () => {
  it.each<[unknown, number]>([
    ['2026-11-25T10:00:00Z', 0],
    ['2026-11-25t10:00:00z', 0],
    ['2026-11-25 10:00:00Z', 0],
    ['2026-11-25T10:00Z', 0],
    ['2026-11-25T10:00:00+00:00', 0],
    ['2026-11-25T10:00:00+0000', 0],
    ['2026-11-25T10:00:00+00', 0],
    ['2026-11-25T10:00:00-00:00', 0],
    ['2026-11-25T11:00:00+01:00', 0],
    ['2026-11-25T11:00+01', 0],
    ['2026-11-25T05:30:00-0430', 0],
    ['2026-11-26T00:00:00+14:00', 0],
    ['2026-11-25T10:00:00.5Z', 500],
    ['2026-11-25T10:00:00,25Z', 250],
    ['2026-11-25T10:00:00.123456789Z', 123],
    ['2026-11-25T10:00:00.9999999999999Z', 999],
    ['2026-11-24T24:00:00Z', -10 * 3_600_000],
    ['2026-11-25T09:59:60Z', 0],
    ['20261125T100000Z', 0],
    ['20261125T110000.25+0100', 250],
    ['20261125T1000Z', 0],
    ['2026-11-25T10Z', 0],
    ['20261125T11+01', 0],
    ['2026-11-25 11:00:00 +0100', 0],
    ['2026-11-25T10:00:00 Z', 0],
    ['2026-11-25T09:00:00\u221201:00', 0],
    [' 2026-11-25T10:00:00Z\t', 0],
    [` ${at} `, 0],
    [at, 0],
    [at + 0.9, 0],
    [at / 1_000, 0],
    [at / 1_000 + 0.123, 123],
    [String(at), 0],
    [String(at / 1_000), 0],
    [`${at / 1_000}.5`, 500],
    [BigInt(at), 0],
    [new Date(at), 0],
    [`/Date(${at})/`, 0],
    [`/Date(${at}+0100)/`, 0],
    ['/Date(1000)/', 1_000 - at],
  ])('%s', (given, afterMs) => {
    expect(readTime(given)).toBe(at + afterMs)
  })

  it.each<[unknown, number]>([
    ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
    ['1970-01-01T00:00:00Z', 0],
    ['1969-12-31T23:59:59Z', -1_000],
    ['9999-12-31T23:59:59.999Z', 253_402_300_799_999],
    [0, 0],
    [99_999_999_999, 99_999_999_999_000],
    [100_000_000_000, 100_000_000_000],
    [253_402_300_799_999, 253_402_300_799_999],
  ])('%s, at an edge', (given, timeMs) => {
    expect(readTime(given)).toBe(timeMs)
  })

  it('with any offset, whichever way it is written', () => {
    const offset = fc.record({
      sign: fc.constantFrom('+', '-'),
      hours: fc.integer({ min: 0, max: 14 }),
      minutes: fc.constantFrom(0, 30, 45),
    })
    const two = (number: number) => String(number).padStart(2, '0')
    fc.assert(
      fc.property(
        fc.integer({ min: 86_400_000, max: 9_000_000_000_000 }),
        offset,
        (timeMs, { sign, hours, minutes }) => {
          const local = timeMs + (sign === '+' ? 1 : -1) * (hours * 60 + minutes) * 60_000
          const text = new Date(local).toISOString().slice(0, -1)
          for (const colon of [':', ''])
            expect(readTime(`${text}${sign}${two(hours)}${colon}${two(minutes)}`)).toBe(timeMs)
        },
      ),
    )
  })

  it('as seconds or milliseconds, as a number or as text', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100_000_000, max: 9_999_999_999 }),
        fc.integer({ min: 0, max: 999 }),
        (seconds, ms) => {
          const timeMs = seconds * 1_000 + ms
          const fraction = `${seconds}.${String(ms).padStart(3, '0')}`
          for (const given of [timeMs, String(timeMs), Number(fraction), fraction]) expect(readTime(given)).toBe(timeMs)
        },
      ),
    )
  })
})

describe('no moment is named by', () => {
  it.each<[unknown]>([
    ['2026-11-25T10:00:00'],
    ['2026-11-25'],
    ['10:00:00Z'],
    ['2026-02-30T10:00:00Z'],
    ['2025-02-29T10:00:00Z'],
    ['2026-13-01T10:00:00Z'],
    ['2026-00-10T10:00:00Z'],
    ['2026-11-00T10:00:00Z'],
    ['2026-11-25T25:00:00Z'],
    ['2026-11-25T24:00:02Z'],
    ['2026-11-25T10:60:00Z'],
    ['2026-11-25T10:00:61Z'],
    ['2026-11-25T10:00:00.Z'],
    ['2026-11-25T10:00.5Z'],
    ['2026-11-25T10:00:00+24:00'],
    ['2026-11-25T10:00:00+01:60'],
    ['2026-11-25T10:00:00+1'],
    ['2026-11-25T10:00:00 01:00'],
    ['2026-1125T10:00:00Z'],
    ['20261125T10:00:00Z'],
    ['20261125 100000Z'],
    ['20260230T100000Z'],
    ['20261125T100000'],
    ['202611251000Z'],
    ['2026-W48-3T10:00Z'],
    ['0026-11-25T10:00:00Z'],
    ['1.79561E+12'],
    ['-1'],
    ['yesterday'],
    [''],
    [' '],
    [-1],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [253_402_300_800_000],
    // Microseconds and nanoseconds would be far ahead: "no known form" is the better message.
    [at * 1_000],
    [BigInt(at) * 1_000_000n],
    [new Date(Number.NaN)],
    [null],
    [undefined],
    [true],
    [{}],
  ])('%s', (given) => {
    expect(readTime(given)).toBeUndefined()
  })
})

describe('a date as HTTP has it', () => {
  it('is read in the one form that senders must write', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (seconds) => {
        expect(readHttpDate(new Date(seconds * 1_000).toUTCString())).toBe(seconds * 1_000)
      }),
    )
  })

  it.each([
    ['another day of the week', 'Mon, 25 Nov 2026 10:00:00 GMT'],
    ['a day that does not exist', 'Sun, 30 Feb 2026 10:00:00 GMT'],
    ['an unknown month', 'Wed, 25 Nob 2026 10:00:00 GMT'],
    ['another zone', 'Wed, 25 Nov 2026 10:00:00 CET'],
    ['one digit of a day', 'Sun, 1 Nov 2026 10:00:00 GMT'],
    ['ISO 8601', '2026-11-25T10:00:00Z'],
    ['text behind it', 'Wed, 25 Nov 2026 10:00:00 GMT+1'],
  ])('is not %s', (_, text) => {
    expect(readHttpDate(text)).toBeUndefined()
  })
})
