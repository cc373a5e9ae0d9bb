import { describe, expect, it } from 'vitest'
import { JsonNumber } from '../../../src/core/json.ts'
import { eventIdProblem, flattenAttributes, noId, validateVisitor } from '../../../src/core/update/validate.ts'

describe('attributes as Target accepts them', () => {
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

  it.each<[string, unknown, string]>([
    ['a bigint', 12345678901234567890n, '12345678901234567890'],
    ['false', false, 'false'],
    ['an empty text', '', ''],
    ['a number in its shortest form', 1e21, '1e+21'],
    ['zero', 0, '0'],
    ['a date', new Date(Date.UTC(2026, 10, 24, 12)), '2026-11-24T12:00:00.000Z'],
    ['an empty array', [], '[]'],
    ['an array of bigints', [1n, { a: 12345678901234567890n }], '[1,{"a":12345678901234567890}]'],
    ['a number as it is written in JSON', new JsonNumber('-0.10e+2'), '-0.10e+2'],
    ['such numbers in an array', [new JsonNumber('1.10')], '[1.10]'],
  ])('accepts %s', (_, value, text) => {
    expect(flattenAttributes({ a: value })).toEqual({ ok: true, attributes: [{ name: 'a', value: text }] })
  })

  it('leaves out values that a mapping left undefined', () => {
    expect(flattenAttributes({ a: undefined, b: 'x', c: { d: undefined, e: 'y' } })).toEqual({
      ok: true,
      attributes: [
        { name: 'b', value: 'x' },
        { name: 'c.e', value: 'y' },
      ],
    })
  })

  it('accepts names of up to 128 characters, 16 levels deep', () => {
    const deep = (levels: number) => {
      let nested: unknown = 'x'
      for (let level = 0; level < levels; level++) nested = { a: nested }
      return flattenAttributes(nested)
    }
    expect(flattenAttributes({ ['n'.repeat(128)]: 'x' })).toMatchObject({ ok: true })
    expect(deep(16)).toEqual({ ok: true, attributes: [{ name: Array(16).fill('a').join('.'), value: 'x' }] })
    expect(deep(17)).toEqual({
      ok: false,
      problems: [{ path: `attributes.${Array(16).fill('a').join('.')}`, message: 'is nested deeper than 16 levels' }],
    })
  })

  it('says what is wrong with each field, with its name shortened', () => {
    expect(flattenAttributes({ good: 'x', a: null, b: { c: {} }, ['d'.repeat(200)]: 'x', '\ud800': 'x' })).toEqual({
      ok: false,
      problems: [
        {
          path: 'attributes.a',
          message: 'is null: Target cannot clear an attribute; send a value of your own that means "none"',
        },
        { path: 'attributes.b.c', message: 'is an empty object' },
        { path: `attributes.${'d'.repeat(128)}`, message: 'a name has 1 to 128 characters' },
        { path: 'attributes.\ufffd', message: 'a name is well-formed text without control characters' },
      ],
    })
    expect(flattenAttributes({})).toEqual({
      ok: false,
      problems: [{ path: 'attributes', message: 'must have at least one attribute' }],
    })
    expect(flattenAttributes({ a: null })).toMatchObject({ problems: [{ path: 'attributes.a' }] })
    expect(flattenAttributes([])).toEqual({
      ok: false,
      problems: [{ path: 'attributes', message: 'must be an object of names and values' }],
    })
  })

  it.each([
    'orderId',
    'orderTotal',
    'productPurchasedId',
    'productPurchasedIds',
    'browserTime',
    'averageDaysBetweenVisits',
    'sessionCount',
    'tntId',
    'marketingCloudVisitorId',
    'thirdPartyId',
    'categoryAffinity',
    'categoryAffinities',
    'user.x',
    'crs.x',
    'geolocation.city',
    'mobile.deviceModel',
  ])('refuses %s, which Target reserves, and accepts names that only look like it', (name) => {
    expect(flattenAttributes({ [name]: 'x' })).toEqual({
      ok: false,
      problems: [{ path: `attributes.${name}`, message: 'is a name that Target reserves' }],
    })
    expect(flattenAttributes({ [`my${name}`]: 'x' })).toMatchObject({ ok: true })
    expect(flattenAttributes({ [`${name.replace('.', '_')}_mine`]: 'x' })).toMatchObject({ ok: true })
  })

  const circle: unknown[] = []
  circle.push(circle)
  it.each<[string, unknown]>([
    ['NaN', Number.NaN],
    ['an infinite number', Number.POSITIVE_INFINITY],
    ['a function', () => 'x'],
    ['a symbol', Symbol('x')],
    ['an invalid date', new Date(Number.NaN)],
    ['a circular structure', circle],
    ['an array that JSON can’t hold', [circle]],
  ])('has no text for %s', (_, value) => {
    expect(flattenAttributes({ a: value })).toEqual({
      ok: false,
      problems: [
        { path: 'attributes.a', message: 'must be a string, a number, a boolean, a date, an object or an array' },
      ],
    })
  })

  it('treats __proto__ as an ordinary name', () => {
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
    { pcId: 'a' },
    { pcId: 'x'.repeat(128) },
    { thirdPartyId: 'x'.repeat(256) },
  ])('accepts %j', (visitor) => {
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
    [{ pcId: 5 }, 'letters'],
    [{ pcId: 'a.' }, 'letters'],
    [{ customer: 'a' }, 'exactly one'],
    [{ pcId: 'a', customer: 'b' }, 'exactly one'],
    [{ ecid: '123' }, 'no ECID'],
    [{ MCID: '123' }, 'no ECID'],
    [{ marketingCloudVisitorId: '123', pcId: 'a' }, 'no ECID'],
    ['x', 'object'],
    [null, 'object'],
    [[], 'object'],
  ])('refuses %j', (visitor, message) => {
    const checked = validateVisitor(visitor)
    expect(checked).toMatchObject({ ok: false })
    expect(JSON.stringify(checked)).toContain(message)
  })

  it.each([
    [{ pcId: 'a b' }, 'visitor.pcId'],
    [{ thirdPartyId: '' }, 'visitor.thirdPartyId'],
    [{ thirdPartyId: 'a+b' }, 'visitor.thirdPartyId'],
    [{ thirdPartyId: 'a\nb' }, 'visitor.thirdPartyId'],
    [{}, 'visitor'],
    [{ ecid: 'a' }, 'visitor'],
    ['x', 'visitor'],
  ])('says which field of %j is wrong: %s', (visitor, path) => {
    expect(validateVisitor(visitor)).toMatchObject({ problems: [{ path }] })
  })
})

describe('texts that are no ids: what JavaScript writes for a missing value', () => {
  it.each([
    'undefined',
    'null',
    'NaN',
    'Infinity',
    '-Infinity',
    'Invalid Date',
    '[object Object]',
    '[object Map]',
    ' null ',
    '\tundefined',
  ])('%s is not an id', (text) => {
    expect(noId(text)).toMatch(/is no id, but what JavaScript writes .* look whether the field/)
    expect(eventIdProblem(text)).toBe(noId(text))
  })

  it.each([
    '',
    ' ',
    '\t\n',
    '\u00a0',
    '\u200b',
    '\u2060\ufeff',
    '\u2800',
    '\u180e',
    '\u3164',
    '\0\u001f',
    '\u00ad \u200d',
  ])('a blank text is not an id: %j', (text) => {
    expect(noId(text)).toBe('is blank: give an id, or leave the update out')
  })

  // Real values, other spellings and parts of a longer text may be real ids.
  it.each([
    'true',
    'false',
    '0',
    'Null',
    'UNDEFINED',
    'nan',
    'None',
    'nullable',
    'a-undefined',
    '[object',
    'object Object]',
    '[x] [object Object]',
  ])('%s may be an id', (text) => {
    expect([noId(text), eventIdProblem(text)]).toEqual([undefined, undefined])
  })

  it('an event id has 1 to 256 characters of well-formed text', () => {
    expect(eventIdProblem('x'.repeat(256))).toBeUndefined()
    for (const id of ['', 'x'.repeat(257), '\ud800'])
      expect(eventIdProblem(id)).toBe('must have 1 to 256 characters of well-formed text')
  })

  it('an operator can still find and erase what an older version took in under such an id', () => {
    expect(validateVisitor({ thirdPartyId: 'undefined' }).ok).toBe(true)
  })
})
