/** The search of the highest rate that is held. */
import { expect, it } from 'vitest'
import { highestHeld, nextRate, type Step } from './ramp.ts'

const search = { from: 50, factor: 2, precision: 1.1, most: 10_000 }

function found(capacity: number): { readonly rate: number | undefined; readonly steps: number } {
  const steps: Step[] = []
  for (let rate = nextRate(steps, search); rate !== undefined; rate = nextRate(steps, search))
    steps.push({ rate, held: rate <= capacity })
  return { rate: highestHeld(steps), steps: steps.length }
}

it.each([12, 50, 333, 7_000])('finds %i a second to a tenth', (capacity) => {
  const { rate = 0, steps } = found(capacity)
  expect(rate).toBeLessThanOrEqual(capacity)
  expect(capacity / rate).toBeLessThanOrEqual(1.1)
  expect(steps).toBeLessThan(15)
})

it('ends where everything is held, and where nothing is', () => {
  expect(found(1e9)).toEqual({ rate: 10_000, steps: 9 })
  expect(found(0)).toEqual({ rate: undefined, steps: 5 })
})

it('a rate that was held by luck above one that was not does not count', () => {
  expect(
    highestHeld([
      { rate: 100, held: true },
      { rate: 200, held: false },
      { rate: 300, held: true },
    ]),
  ).toBe(100)
})
