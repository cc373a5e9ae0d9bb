import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Attribute, Visitor } from '../../../src/core/update/update.ts'
import {
  attributeBytes,
  type Call,
  encodeCalls,
  idBytes,
  maxGetUrlBytes,
  maxPostBodyBytes,
  maxUnits,
  type Wire,
} from '../../../src/core/wire/calls.ts'
import { decodeUpdate } from '../../../src/emulator/decode.ts'

const wire = (method: Wire['method']): Wire => ({ method, origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' })
const calls = (visitor: Visitor, attributes: readonly Attribute[], method: Wire['method']): readonly Call[] => {
  const encoded = encodeCalls(visitor, attributes, wire(method))
  if (!encoded.ok) throw new Error(`too large: ${encoded.tooLarge}`)
  return encoded.calls
}
const formOf = (call: Call) => call.body ?? new URL(call.url).search.slice(1)

const nasty = fc.constantFrom(
  '&',
  '=',
  '#',
  '+',
  '%',
  '\r\n',
  '\0',
  ' ',
  ';',
  '?',
  '/',
  '%41',
  'profile.',
  '&mbox3rdPartyId=victim',
  '😀',
  'é',
  'e\u0301',
  '\u2028',
)
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.oneof(nasty, fc.string()), { maxLength: 6 }).map((parts) => parts.join('')),
)
const wellFormed = text.filter((some) => some.isWellFormed())
const visitors: fc.Arbitrary<Visitor> = fc.oneof(
  wellFormed.filter((id) => id.length > 0).map((thirdPartyId) => ({ thirdPartyId })),
  fc.constantFrom('1368007744041-575948.01_00', 'abc').map((pcId) => ({ pcId })),
)
const attributeLists = fc.uniqueArray(
  fc.record({ name: wellFormed.filter((name) => name.length > 0), value: wellFormed }),
  {
    selector: ({ name }) => name,
    minLength: 1,
    maxLength: 20,
  },
)
const methods = fc.constantFrom<Wire['method']>('post', 'get', 'auto')

describe('what Target decodes is what was given (G6)', () => {
  it.each([
    ['a standard form decoder', (form: string) => new Map(new URLSearchParams(form))],
    [
      'a strict decoder that is not ours',
      (form: string) => {
        const decoded = decodeUpdate(form)
        if (typeof decoded === 'string') throw new Error(decoded)
        const id = decoded.visitor.startsWith('pc:') ? 'mboxPC' : 'mbox3rdPartyId'
        return new Map([
          [id, decoded.visitor.slice(3)] as const,
          ...[...decoded.pairs].map(([name, value]) => [`profile.${name}`, value] as const),
        ])
      },
    ],
  ])('by %s', (_, decode) => {
    fc.assert(
      fc.property(visitors, attributeLists, methods, (visitor, attributes, method) => {
        const seen = new Map<string, string>()
        for (const call of calls(visitor, attributes, method)) {
          const decoded = decode(formOf(call))
          const ids = [...decoded].filter(([name]) => !name.startsWith('profile.'))
          expect(ids).toEqual(
            Object.entries(visitor).map(([kind, id]) => [kind === 'pcId' ? 'mboxPC' : 'mbox3rdPartyId', id]),
          )
          expect(decoded.size).toBe(call.names.length + 1)
          for (const name of call.names) {
            expect(seen.has(name)).toBe(false)
            seen.set(name, decoded.get(`profile.${name}`) ?? 'nothing')
          }
        }
        expect([...seen]).toEqual(attributes.map(({ name, value }) => [name, value]))
      }),
    )
  })

  it('no name or value can break out of the path, the query or the body', () => {
    fc.assert(
      fc.property(visitors, attributeLists, (visitor, attributes) => {
        for (const call of [...calls(visitor, attributes, 'get'), ...calls(visitor, attributes, 'post')]) {
          expect(new URL(call.url).pathname).toBe('/m2/demo/profile/update')
          expect(new URL(call.url).hash).toBe('')
          expect(call.url + (call.body ?? '')).toMatch(/^[\x21-\x7e]*$/)
        }
      }),
    )
  })
})

describe('calls fit (G5)', () => {
  const sized = fc.uniqueArray(
    fc.record({
      name: fc.stringMatching(/^[a-z]{1,20}$/),
      value: fc.integer({ min: 0, max: 7_800 }).map((size) => 'v'.repeat(size)),
    }),
    {
      selector: ({ name }) => name,
      minLength: 1,
      maxLength: 30,
    },
  )
  it('no call exceeds its limit in bytes on the wire, and `bytes` says how many those are', () => {
    fc.assert(
      fc.property(sized, methods, (attributes, method) => {
        for (const call of calls({ thirdPartyId: 'x' }, attributes, method)) {
          const bytes = Buffer.byteLength(call.method === 'GET' ? call.url : (call.body ?? ''))
          expect(call.bytes).toBe(bytes)
          expect(bytes).toBeLessThanOrEqual(call.method === 'GET' ? maxGetUrlBytes : maxPostBodyBytes)
        }
      }),
    )
  })

  it('the bytes reckoned for a visitor and its attributes add up to the body', () => {
    fc.assert(
      fc.property(visitors, attributeLists, (visitor, attributes) => {
        const bytes = idBytes(visitor) + attributes.reduce((sum, attribute) => sum + attributeBytes(attribute), 0)
        const bodies = calls(visitor, attributes, 'post')
        expect(bytes + (bodies.length - 1) * idBytes(visitor)).toBe(bodies.reduce((sum, call) => sum + call.bytes, 0))
      }),
    )
  })

  it('units of any subset stay within maxUnits of the whole (G1)', () => {
    fc.assert(
      fc.property(sized, methods, fc.integer(), (attributes, method, mask) => {
        const bound = maxUnits(calls({ thirdPartyId: 'x' }, attributes, method), method)
        const subset = attributes.filter((_, index) => (mask >> (index % 31)) & 1)
        if (subset.length === 0) return
        const units = calls({ thirdPartyId: 'x' }, subset, method).reduce((sum, call) => sum + call.units, 0)
        expect(units).toBeLessThanOrEqual(bound)
      }),
    )
  })

  it.each([
    ['post', maxPostBodyBytes, 'mbox3rdPartyId=x&profile.a='.length],
    ['get', maxGetUrlBytes, 'https://demo.tt.omtrdc.net/m2/demo/profile/update?mbox3rdPartyId=x&profile.a='.length],
  ] as const)('%s: %i bytes fit, one more does not', (method, limit, overhead) => {
    const fits = { name: 'a', value: 'v'.repeat(limit - overhead) }
    expect(calls({ thirdPartyId: 'x' }, [fits], method)).toMatchObject([{ bytes: limit }])
    const over = { name: 'a', value: `${fits.value}v` }
    expect(encodeCalls({ thirdPartyId: 'x' }, [over], wire(method))).toEqual({ ok: false, tooLarge: ['a'] })
  })

  it('auto sends one GET if everything fits in it, otherwise POST', () => {
    const small = { name: 'a', value: 'x' }
    expect(calls({ thirdPartyId: 'x' }, [small], 'auto')).toMatchObject([{ method: 'GET', units: 2 }])
    const big = { name: 'b', value: 'x'.repeat(8_000) }
    expect(calls({ thirdPartyId: 'x' }, [small, big], 'auto')).toMatchObject([
      { method: 'POST', units: 1, names: ['a', 'b'] },
    ])
  })

  it('auto sends one POST rather than several GETs', () => {
    const halves = ['a', 'b'].map((name) => ({ name, value: 'x'.repeat(5_000) }))
    expect(calls({ thirdPartyId: 'x' }, halves, 'auto')).toMatchObject([{ method: 'POST', names: ['a', 'b'] }])
    expect(calls({ thirdPartyId: 'x' }, halves, 'get')).toMatchObject([{ names: ['a'] }, { names: ['b'] }])
  })

  it('fills a call to its last byte before the next one begins', () => {
    const room = maxPostBodyBytes - 'mbox3rdPartyId=x'.length
    const sizedTo = (name: string, bytes: number) => ({ name, value: 'v'.repeat(bytes - `&profile.${name}=`.length) })
    const both = [sizedTo('a', room - 100), sizedTo('b', 100)]
    expect(calls({ thirdPartyId: 'x' }, both, 'post')).toMatchObject([{ bytes: maxPostBodyBytes, names: ['a', 'b'] }])
    expect(calls({ thirdPartyId: 'x' }, [...both, sizedTo('c', 100)], 'post')).toMatchObject([
      { names: ['a', 'b'] },
      { names: ['c'], bytes: 116 },
    ])
  })

  it('makes no call without attributes', () => {
    expect(calls({ thirdPartyId: 'x' }, [], 'post')).toEqual([])
  })

  it.each([
    ['post', 1],
    ['get', 2],
    ['auto', 2],
  ] as const)('%s: the most that one small attribute can cost is %i', (method, units) => {
    expect(maxUnits(calls({ thirdPartyId: 'x' }, [{ name: 'a', value: 'x' }], method), method)).toBe(units)
  })

  it('auto: a part of what is sent as POST may fit in a GET, which costs more', () => {
    const big = [{ name: 'a', value: 'x'.repeat(20_000) }]
    expect(maxUnits(calls({ thirdPartyId: 'x' }, big, 'auto'), 'auto')).toBe(2)
    expect(maxUnits(calls({ thirdPartyId: 'x' }, big, 'post'), 'post')).toBe(1)
  })

  it('a client code can’t break out of its place in the path', () => {
    const encoded = encodeCalls({ thirdPartyId: 'x' }, [{ name: 'a', value: 'x' }], {
      ...wire('post'),
      clientCode: 'a/../b?c#d',
    })
    expect(encoded).toMatchObject({
      calls: [{ url: 'https://demo.tt.omtrdc.net/m2/a%2F..%2Fb%3Fc%23d/profile/update' }],
    })
  })

  it('percent-encodes with upper-case digits, as RFC 3986 recommends', () => {
    expect(calls({ thirdPartyId: 'x' }, [{ name: "*'()!", value: 'ÿ ~._-' }], 'post')[0]?.body).toBe(
      'mbox3rdPartyId=x&profile.%2A%27%28%29%21=%C3%BF%20~._-',
    )
  })

  it('counts the bytes of a value on the wire, not its characters', () => {
    const attributes = ['a', 'b'].map((name) => ({ name, value: '😀'.repeat(2_500) }))
    expect(calls({ thirdPartyId: 'x' }, attributes, 'post').map(({ names }) => names)).toEqual(
      [['a', 'b']].flatMap(() => [['a'], ['b']]),
    )
  })
})
