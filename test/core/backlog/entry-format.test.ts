/** The stored format of entries and dead letters: what is written is read back, under the documented names (G2). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  deadKey,
  entryKey,
  packDead,
  packEntry,
  readDead,
  readEntry,
  unpackDead,
  unpackEntry,
} from '../../../src/core/backlog/entry-format.ts'
import { type DeadLetter, deadReasons, type Entry } from '../../../src/core/backlog/port.ts'
import { makeStamp } from '../../../src/core/update/stamp.ts'

const times = fc.integer({ min: 0, max: 9_999_999_999_999 })
const hex = fc.stringMatching(/^[0-9a-f]{32}$/)
const maybe = <Value>(name: string, values: fc.Arbitrary<Value>) =>
  fc.option(values, { nil: undefined }).map((value) => (value === undefined ? {} : { [name]: value }))
const entries: fc.Arbitrary<Entry> = fc
  .tuple(
    fc.record({
      visitor: fc.oneof(
        fc.string().map((pcId) => ({ pcId })),
        fc.string().map((thirdPartyId) => ({ thirdPartyId })),
      ),
      visitorHash: hex,
      attributes: fc.array(
        fc.tuple(fc.string(), fc.string()).map(([name, value]) => ({ name, value })),
        { minLength: 1, maxLength: 3 },
      ),
      stamp: fc.tuple(times, times).map(([atMs, arrivalMs]) => makeStamp(atMs, arrivalMs, '0123456789abcdef')),
      source: fc.string(),
      firstSeenMs: times,
    }),
    maybe('event', hex),
    maybe('notBeforeMs', times),
    maybe('blind', fc.constant(true as const)),
  )
  .map(([entry, ...more]) => Object.assign({}, entry, ...more) as Entry)
const letters: fc.Arbitrary<DeadLetter> = fc
  .tuple(
    fc.record({
      reason: fc.constantFrom(...deadReasons),
      source: fc.string(),
      atMs: times,
      firstSeenMs: times,
      attempts: fc.nat(),
    }),
    maybe('detail', fc.string()),
    maybe('entry', entries),
    maybe('raw', fc.string()),
    maybe('eventId', fc.string()),
    maybe('headers', fc.dictionary(fc.stringMatching(/^x-[a-z]{1,9}$/), fc.string(), { noNullPrototype: true })),
    maybe('part', fc.constant(true as const)),
  )
  .map(([letter, ...more]) => Object.assign({}, letter, ...more) as DeadLetter)
const stored = (packed: object): unknown => JSON.parse(JSON.stringify(packed))

describe('what is written is read back', () => {
  it('an entry with every field', () => {
    fc.assert(fc.property(entries, (entry) => void expect(unpackEntry(stored(packEntry(entry)))).toStrictEqual(entry)))
  })

  it('a dead letter with every field', () => {
    fc.assert(fc.property(letters, (letter) => void expect(unpackDead(stored(packDead(letter)))).toStrictEqual(letter)))
  })
})

const stamp = makeStamp(1, 2, '0123456789abcdef')
const entry: Entry = {
  visitor: { thirdPartyId: '42' },
  visitorHash: '00ff',
  attributes: [{ name: 'tier', value: 'gold' }],
  stamp,
  source: 'crm',
  event: 'ee',
  firstSeenMs: 3,
  notBeforeMs: 4,
  blind: true,
}
const packed = {
  v: 1,
  i: { thirdPartyId: '42' },
  h: '00ff',
  a: [['tier', 'gold']],
  s: stamp,
  o: 'crm',
  e: 'ee',
  f: 3,
  n: 4,
  b: 1,
}

describe('format 1', () => {
  it('uses the names of docs/storage.md, so that what an older version wrote is read', () => {
    expect(packEntry(entry)).toEqual(packed)
    const letter: DeadLetter = {
      reason: 'rejected',
      source: 'crm',
      detail: 'no',
      atMs: 5,
      firstSeenMs: 3,
      attempts: 2,
      entry,
      raw: '{}',
      eventId: 'x',
    }
    expect(packDead(letter)).toEqual({
      v: 1,
      r: 'rejected',
      o: 'crm',
      d: 'no',
      t: 5,
      f: 3,
      n: 2,
      u: packed,
      w: '{}',
      i: 'x',
    })
  })

  it.each<[string, unknown]>([
    ['another version', { ...packed, v: 3 }],
    ['both ids', { ...packed, i: { pcId: 'a', thirdPartyId: 'b' } }],
    ['an invalid hash', { ...packed, h: 'xyz' }],
    ['no attribute', { ...packed, a: [] }],
    ['a value that is not text', { ...packed, a: [['tier', 5]] }],
    ['an invalid stamp', { ...packed, s: 'soon' }],
    ['an invalid time', { ...packed, f: '3' }],
    ['nothing', undefined],
    ['text', 'x'],
  ])('%s is unreadable and does not throw', (_, some) => {
    expect(unpackEntry(some)).toBeUndefined()
    expect(readEntry('b1/k', some)).toEqual({ key: 'b1/k', unreadable: expect.any(String) })
    expect(readDead('d1/k', { v: 1, r: 'rejected', o: 'crm', t: 5, f: 3, n: 2, u: some ?? null })).toHaveProperty(
      'unreadable',
    )
  })
})

describe('keys', () => {
  it('of one visitor are neighbours, oldest first', () => {
    const key = (ms: number) => entryKey({ ...entry, stamp: makeStamp(ms, ms, '0'.repeat(16)) }, 'r')
    expect([key(20), key(3)].sort()).toEqual([key(3), key(20)])
    expect(entryKey(entry, 'aa')).toBe(`b1/00ff/${stamp}-aa`)
  })

  it('of dead letters sort by their time', () => {
    expect(deadKey(5, 'aa')).toBe('d1/0000000000005-aa')
    expect(deadKey(999, 'x') < deadKey(1_000, 'a')).toBe(true)
  })
})
