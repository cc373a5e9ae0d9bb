import { describe, expect, expectTypeOf, it } from 'vitest'
import { given } from '../../src/core/given.ts'

describe('given', () => {
  it('leaves out what is undefined, and nothing else', () => {
    const properties = { a: undefined, b: null, c: 0, d: '', e: false, f: undefined, g: 'text' }
    expect(Object.entries(given(properties))).toEqual([
      ['b', null],
      ['c', 0],
      ['d', ''],
      ['e', false],
      ['g', 'text'],
    ])
    expect(Object.keys(properties)).toHaveLength(7)
  })

  it('gives its result exact optional properties', () => {
    const event: string | undefined = ['id'][0]
    const read = given({ event, units: 1 as number })
    expectTypeOf(read.units).toEqualTypeOf<number>()
    const exact: { readonly event?: string; readonly units: number } = read
    expect(exact).toEqual({ event: 'id', units: 1 })
    // @ts-expect-error: it may be absent
    const needed: { readonly event: string } = read
    expect(needed).toBe(read)
  })
})
