import { describe, expect, it } from 'vitest'
import { mentionOf } from '../../../src/core/operator/mention.ts'

describe('a raw event is about a visitor', () => {
  it.each<[string, string, string]>([
    ['a text in JSON', '42', '{"customer":"42"}'],
    ['deep in the JSON', '42', '[{"a":{"b":[null,{"c":"42"}]}}]'],
    ['with white space around it', '42', '{"customer":" 42\\n"}'],
    ['a number in JSON', '42', '{"customer":42}'],
    ['a number that a mapping writes without its fraction', '42', '{"customer":42.0}'],
    ['a negative number', '-42', '{"customer":-42 }'],
    ['a number too large for a double', '12345678901234567891', '{"customer":12345678901234567891}'],
    ['written with escapes', 'änna@x.de', '{"mail":"\\u00e4nna\\u0040x.de"}'],
    ['in JSON that is a text in JSON', '42', JSON.stringify({ payload: JSON.stringify({ customer: '42' }) })],
    ['wrapped twice', '42', JSON.stringify({ a: JSON.stringify([JSON.stringify({ customer: 42 })]) })],
    ['under a name that is given twice', '42', '{"customer":"42","customer":"43"}'],
    ['a value of a form', 'a b@x.de', 'kind=loan&mail=a+b%40x.de'],
    ['JSON in a form', '42', `payload=${encodeURIComponent('{"user":{"id":"42"}}')}`],
    ['a form of one field', '42', 'customer=42'],
    ['the whole text', '42', '42'],
    ['a text as the whole JSON', 'a-1', '"a-1"'],
    ['a word in another format', '42', '<event><customer>42</customer></event>'],
    ['a field of a line', 'c-42', 'loan;c-42;funded'],
  ])('whose id is %s', (_, id, raw) => {
    expect(mentionOf(raw, id)).toBe('about')
  })

  it.each<[string, string, string]>([
    ['a part of a longer text', '42', '{"customer":"1425"}'],
    ['a part of a longer number', '42', '{"amount":1425.42}'],
    ['a part of a sentence', '42', '{"note":"call 42 back"}'],
    ['in another letter case', 'A1', '{"customer":"a1"}'],
    ['the name of a field', '42', '{"42":"gold"}'],
    ['the name of a field in a form', '42', '42=gold'],
    ['a part of an address, percent-encoded', 'anna@x.de', '{"link":"https://x.de/?m=anna%40x.de"}'],
    ['a part of another id', '42', '<customer>A-42</customer>'],
    ['a part of a time', '42', 'at 10:42:00 it was'],
    ['a value of a form, with more around it', '42', 'customer=4242'],
  ])('or only mentions it: %s', (_, id, raw) => {
    expect(mentionOf(raw, id)).toBe('mentioned')
  })

  it.each<[string, string]>([
    ['42', '{"customer":"43","amount":4.2}'],
    ['42', ''],
    ['42', '{"customer":"4","n":2}'],
    ['null', '{"customer":null,"b":"\\\\"}'].map((text) => text.replace('null,', '1,')) as [string, string],
  ])('not at all if %s is not in %s', (id, raw) => {
    expect(mentionOf(raw, id)).toBe('none')
  })

  it('reads hostile text in linear time', () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
    expect(mentionOf(deep, '42')).toBe('none')
    expect(mentionOf(JSON.stringify('\\"'.repeat(300_000)), '42')).toBe('none')
    expect(mentionOf('"'.repeat(300_001), '42')).toBe('none')
    expect(mentionOf(`{"a":${'1'.repeat(300_000)}}`, '42')).toBe('none')
  })
})
