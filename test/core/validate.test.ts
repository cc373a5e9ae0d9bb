import { describe, expect, it } from 'vitest'
import { flattenAttributes, validateVisitor } from '../../src/core/validate.ts'

describe('attributes as Target takes them (DESIGN §8)', () => {
  it('flattens objects to dotted names, writes numbers and booleans as JSON, arrays as JSON text', () => {
    expect(flattenAttributes({ a: 'x', n: 1.5, t: true, o: { p: { q: 'deep' } }, l: [1, { b: 2 }] })).toEqual({
      ok: true,
      attributes: [
        { name: 'a', value: 'x' },
        { name: 'n', value: '1.5' },
        { name: 't', value: 'true' },
        { name: 'o.p.q', value: 'deep' },
        { name: 'l', value: '[1,{"b":2}]' },
      ],
    })
  })

  it('takes __proto__ for an ordinary name', () => {
    expect(flattenAttributes(JSON.parse('{"__proto__":{"polluted":"x"},"constructor":"y"}'))).toMatchObject({
      attributes: [
        { name: '__proto__.polluted', value: 'x' },
        { name: 'constructor', value: 'y' },
      ],
    })
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  it.each([
    ['null', { a: null }, 'cannot clear'],
    ['an empty object', {}, 'at least one'],
    ['an empty nested object', { a: {} }, 'empty object'],
    ['a lone surrogate', { a: '\ud800' }, 'surrogate'],
    ['a name of 129 characters', { ['n'.repeat(129)]: 'x' }, '128'],
    ['an empty name', { '': 'x' }, '128'],
    ['the profile. prefix', { 'profile.a': 'x' }, 'prefix'],
    ['a reserved name', { orderId: 'x' }, 'reserves'],
    ['a reserved prefix', { user: { x: '1' } }, 'reserves'],
    ['a control character in a name', { 'a\r\nb': 'x' }, 'control'],
    ['a name given twice', { 'a.b': 'x', a: { b: 'y' } }, 'twice'],
    ['an array', ['x'], 'object'],
    ['text', 'x', 'object'],
  ])('refuses %s, and never repeats the value', (_, input, message) => {
    const checked = flattenAttributes(input)
    expect(checked).toMatchObject({ ok: false })
    expect(JSON.stringify(checked)).toContain(message)
  })

  it('refuses nesting that would exhaust the stack', () => {
    let nested: unknown = 'x'
    for (let depth = 0; depth < 20; depth++) nested = { a: nested }
    expect(flattenAttributes(nested)).toMatchObject({ ok: false })
  })
})

describe('the visitor: exactly one id', () => {
  it.each([
    { pcId: '1368007744041-575948.01_00' },
    { pcId: '10abf6304b2714215b1fd39a870f01afc.28_20' },
    { thirdPartyId: '123456' },
    { thirdPartyId: 'ä b&=%😀' },
  ])('takes %j', (visitor) => {
    expect(validateVisitor(visitor)).toEqual({ ok: true, visitor })
  })
  it.each([
    [{}, 'exactly one'],
    [{ pcId: 'a', thirdPartyId: 'b' }, 'exactly one'],
    [{ thirdPartyId: 'a+b' }, '+'],
    [{ thirdPartyId: 'a/b' }, '/'],
    [{ thirdPartyId: '' }, '256'],
    [{ thirdPartyId: 'x'.repeat(257) }, '256'],
    [{ thirdPartyId: 5 }, 'text'],
    [{ thirdPartyId: 'a\nb' }, 'control'],
    [{ thirdPartyId: '\udc00' }, 'well-formed'],
    [{ pcId: 'a.b.c' }, 'one dot'],
    [{ pcId: 'a b' }, 'letters'],
    [{ pcId: 'x'.repeat(129) }, '128'],
    [{ ecid: '123' }, 'no ECID'],
    ['x', 'object'],
    [null, 'object'],
  ])('refuses %j', (visitor, message) => {
    const checked = validateVisitor(visitor)
    expect(checked).toMatchObject({ ok: false })
    expect(JSON.stringify(checked)).toContain(message)
  })
})
