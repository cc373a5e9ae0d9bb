import { expect, it } from 'vitest'
import { zip } from '../../src/core/zip.ts'

it('pairs what belongs together, in order', () => {
  expect(zip([1, 2], ['a', undefined])).toEqual([
    [1, 'a'],
    [2, undefined],
  ])
  expect(zip([], [])).toEqual([])
})

it('refuses lists of different lengths', () => {
  expect(() => zip([1, 2], ['a'])).toThrow(RangeError)
  expect(() => zip([1], ['a', 'b'])).toThrow(RangeError)
})
