/** JSON is read exactly: every digit and every name is kept, or the text is refused. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { JsonNumber, readEventJson, readExactJson } from '../../src/core/json.ts'
import { defaultLimits } from '../../src/core/limits.ts'
import { jsonNumber } from '../support/json-number.ts'

const value = (read: ReturnType<typeof readEventJson>) => (read.ok ? read.value : `refused: ${read.reason}`)
const event = (text: string) => value(readEventJson(text))
const exact = (text: string) => JSON.stringify(value(readExactJson(text)))

describe('a number in an event', () => {
  it.each<[string, unknown]>([
    ['9007199254740991', 9007199254740991],
    ['-9007199254740991', -9007199254740991],
    ['9007199254740992', 9007199254740992n],
    ['9007199254740993', 9007199254740993n],
    ['-9007199254740993', -9007199254740993n],
    ['820982911946154508', 820982911946154508n],
    ['1e3', 1000],
    ['1.10', 1.1],
    ['-0', -0],
    // Neither is written as an integer: it becomes the nearest double.
    ['1e30', 1e30],
    ['12345678901234567.5', 12345678901234568],
    ['"9007199254740993"', '9007199254740993'],
    ['true', true],
    ['null', null],
  ])('%s', (text, expected) => {
    expect(event(text)).toBe(expected)
    expect(event(`{"a":[{"b":${text}}]}`)).toEqual({ a: [{ b: expected }] })
  })

  it('that is an integer keeps every digit', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 60n), max: 10n ** 60n }), (integer) => {
        expect(String(event(String(integer)))).toBe(String(integer))
      }),
    )
  })

  it('has at most a thousand digits: more would only cost time', () => {
    expect(event('9'.repeat(1_000))).toBe(BigInt('9'.repeat(1_000)))
    expect(event(`[${'9'.repeat(1_001)}]`)).toBe('refused: holds an integer of more than 1000 digits')
  })
})

describe('a number that is passed on', () => {
  it('keeps its text digit by digit, also when it is written as JSON again', () => {
    fc.assert(
      fc.property(jsonNumber, (text) => {
        const read = value(readExactJson(text))
        expect(read).toBeInstanceOf(JsonNumber)
        expect(String(read)).toBe(text)
        expect(exact(`{"a":[${text}]}`)).toBe(`{"a":[${text}]}`)
      }),
    )
  })

  it('leaves everything else unchanged', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 5 }).filter((any) => !JSON.stringify(any).includes('e')),
        (any) => {
          // Apart from numbers the output equals the input, including names like __proto__.
          expect(JSON.parse(exact(JSON.stringify(any)))).toEqual(JSON.parse(JSON.stringify(any)))
        },
      ),
    )
    expect(exact('{"__proto__":{"a":1.0}}')).toBe('{"__proto__":{"a":1.0}}')
  })
})

describe.each([
  ['an event', readEventJson],
  ['what is passed on', readExactJson],
])('JSON of %s', (_, read) => {
  it.each([
    ['a name twice', '{"a":1,"a":2}', /gives one name twice in one object \(the second before character 11\)/],
    ['a name twice, written differently', '{"a":1,"\\u0061":2}', /twice/],
    ['a name twice in an inner object', '[{"b":{"a":1,"a":2}}]', /twice/],
    ['33 levels', '['.repeat(33) + ']'.repeat(33), /nested deeper than 32 levels \(at character 33\)/],
    ['no JSON', '{"a"', /^is not JSON$/],
    ['two values', '{} {}', /^is not JSON$/],
    ['nothing', '', /^is not JSON$/],
    ['text without its end', '["a', /^is not JSON$/],
    ['a name twice, behind what it holds', '{"a":{"b":[]},"a":"x"}', /twice/],
    ['a number that JSON does not have', '01', /^is not JSON$/],
    ['NaN', 'NaN', /^is not JSON$/],
    ['a colon outside of an object', '[1:2]', /^is not JSON$/],
  ])('%s is refused, with the reason', (_, text, reason) => {
    expect(read(text)).toEqual({ ok: false, reason: expect.stringMatching(reason) })
  })

  it('siblings do not count as nesting or as names of their parent, and neither does the content of a string', () => {
    expect(read(`[${'[],{},'.repeat(40)}[]]`).ok).toBe(true)
    expect(read('{"a":{"b":"x","c":{"b":"x"}},"b":["x"],"c":"x"}').ok).toBe(true)
    expect(read('{"a":"\\"b\\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[","b\\\\":"\\\\","\\"b":":"}').ok).toBe(true)
  })

  it('accepts the same name in two objects, and the deepest allowed nesting', () => {
    expect(read('[{"a":"x"},{"a":"x","b":{"a":"x"}}]').ok).toBe(true)
    expect(read('['.repeat(defaultLimits.jsonDepth) + ']'.repeat(defaultLimits.jsonDepth)).ok).toBe(true)
  })
})
