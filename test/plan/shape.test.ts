/** Traffic in words: what is read, and what is said of what is not. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededDraw, zipfDraw } from '../../src/plan/random.ts'
import { readShape } from '../../src/plan/shape.ts'
import { sendShape } from '../../src/plan/traffic.ts'

const hourMs = 3_600_000

it('the whole grammar', () => {
  expect(
    readShape(
      '2M/day, nightly 1.2M@23:00, nightly 20k @ 06:30 over 20 min, between 08:00-20:00, visitors 500k zipf 1.1, attributes 1 of 3, unchanged 40%',
    ),
  ).toEqual({
    ok: true,
    shape: {
      perDay: 2_000_000,
      batches: [
        { updates: 1_200_000, atMs: 23 * hourMs, overMs: hourMs },
        { updates: 20_000, atMs: 6.5 * hourMs, overMs: hourMs / 3 },
      ],
      ...{ fromMs: 8 * hourMs, toMs: 20 * hourMs, visitors: 500_000, exponent: 1.1 },
      ...{ attributes: 1, ofAttributes: 3, unchanged: 0.4 },
    },
  })
})

it('what nobody said: as many visitors as updates, one attribute, around the clock', () => {
  expect(readShape('nightly 1_000@23:00')).toEqual({
    ok: true,
    shape: {
      ...{
        perDay: 1_000,
        batches: [{ updates: 1_000, atMs: 23 * hourMs, overMs: hourMs }],
        fromMs: 0,
        toMs: 24 * hourMs,
      },
      ...{ visitors: 1_000, exponent: 0, attributes: 1, ofAttributes: 1 },
    },
  })
})

describe('a part that can’t be read is named, with how it is written', () => {
  it.each([
    ['', 'empty part'],
    ['2M/day,', 'empty part'],
    ['visitors 5', 'write how many a day, as 2M/day'],
    ['2M/day, 3M/day', 'says "3M/day", and another 2M/day before it'],
    ['2M a day', '"2M a day" is none of: 2M/day'],
    ['2M/day, nightly 1M', 'write it as "nightly 1.2M@23:00 over 30 min"'],
    ['2M/day, nightly 1M@25:00', 'a time that is none'],
    ['2M/day, nightly 1M@23:00 over 25 h', '1 min to 24 h'],
    ['2M/day, nightly 3M@23:00', 'more updates in its batches (3000000) than in a day (2000000)'],
    ['2M/day, between 20:00-08:00', 'must end after it begins'],
    ['2M/day, visitors many', 'write it as "visitors 500k zipf 1.1"'],
    ['2M/day, visitors 0', 'from 1 to'],
    ['2M/day, attributes 4 of 3', 'no more than there are'],
    ['2M/day, unchanged 140%', 'from 0% to 100%'],
    ['2M/day, weekends', '"weekends" is none of'],
    ['900M/day', 'more than 100000000 updates a day'],
  ])('%s', (text, said) => {
    const read = readShape(text)
    expect(read.ok ? '' : read.problem).toContain(said)
  })

  it('whatever is given: no error is thrown', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        readShape(text)
      }),
    )
  })
})

it('a shape sends what it says, in order, the same for the same seed', () => {
  const read = readShape(
    '1000/day, nightly 400@23:00 over 30 min, visitors 50 zipf 1, attributes 2 of 3, unchanged 50%',
  )
  if (!read.ok) throw new Error(read.problem)
  const run = (seed: number) => {
    const sent: string[] = []
    let [last, inBatch] = [0, 0]
    sendShape(read.shape, { startMs: 0, days: 2, seed }, (atMs, visitor, registers, values, count) => {
      expect(atMs).toBeGreaterThanOrEqual(last)
      last = atMs
      const [one, other] = registers
      expect(one).not.toBe(other)
      expect(Math.floor((one ?? 0) / 3)).toBe(visitor)
      if (atMs % 86_400_000 >= 23 * hourMs && atMs % 86_400_000 < 23.5 * hourMs) inBatch++
      sent.push(`${visitor} ${registers.slice(0, count).join()} ${values.slice(0, count).join()}`)
    })
    expect(sent.length).toBe(2_000)
    expect(inBatch).toBeGreaterThanOrEqual(800)
    return sent.join()
  }
  expect(run(1)).toBe(run(1))
  expect(run(1)).not.toBe(run(2))
})

it('draws follow Zipf’s law', () => {
  const draw = zipfDraw(1_000, 1.1, seededDraw(7))
  const counts = new Map<number, number>()
  const draws = 200_000
  for (let n = 0; n < draws; n++) {
    const one = draw()
    counts.set(one, (counts.get(one) ?? 0) + 1)
  }
  const sum = Array.from({ length: 1_000 }, (_, rank) => (rank + 1) ** -1.1).reduce((all, weight) => all + weight, 0)
  const sorted = [...counts.values()].sort((a, b) => b - a)
  for (const rank of [1, 2, 3, 10]) {
    const expected = (draws * rank ** -1.1) / sum
    expect(Math.abs((sorted[rank - 1] ?? 0) - expected)).toBeLessThan(6 * Math.sqrt(expected))
  }
})
