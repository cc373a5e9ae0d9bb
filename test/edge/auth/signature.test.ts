import { createHash, createHmac, generateKeyPairSync, sign as nodeSign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { TimeUnit } from '../../../src/edge/auth/descriptor.ts'
import {
  decodeBase64,
  decodeBase64url,
  decodeHex,
  derToP1363,
  encodeHex,
  encodeUtf8,
} from '../../../src/edge/auth/encodings.ts'
import { discord, slack } from '../../../src/edge/auth/presets.ts'
import { type AuthFailure, anyOf, eitherOf } from '../../../src/edge/auth/scheme.ts'
import { type SignatureDescriptor, type SignatureOptions, signature } from '../../../src/edge/auth/signature.ts'
import { bearer } from '../../../src/edge/auth/tokens.ts'
import { plain } from '../../support/verdict.ts'

const nowMs = 1_790_000_000_000
const url = 'https://relay.example/hooks/x?y=1'
const secret = 'a-made-up-secret'
const base: SignatureDescriptor = {
  name: 'made-up',
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'x-signature', encoding: 'hex' },
  signed: '{body}',
}
const hmac = (content: string, algorithm = 'sha256', encoding: 'hex' | 'base64' | 'base64url' = 'hex') =>
  createHmac(algorithm, secret).update(content).digest(encoding)
const judge = (
  more: Partial<SignatureDescriptor>,
  headers: Record<string, string>,
  { body = 'body', secrets = [secret], options = {} as SignatureOptions } = {},
) =>
  signature({ ...base, ...more }, options).verify({
    method: 'POST',
    url,
    headers: new Headers(headers),
    body: encodeUtf8(body),
    secrets,
    nowMs,
  })
const verify = (
  more: Partial<SignatureDescriptor>,
  headers: Record<string, string>,
  { body = 'body', secrets = [secret], options = {} as SignatureOptions } = {},
) => judge(more, headers, { body, secrets, options }).then(plain)

describe('an invalid descriptor is rejected', () => {
  it.each<[string, Partial<SignatureDescriptor>, string]>([
    ['an unknown placeholder', { signed: '{body}{secret}' }, 'no placeholder'],
    ['a stray brace', { signed: '{body}}' }, 'no placeholder'],
    ['no body', { signed: '{url}' }, 'bodyUnsigned'],
    ['a signed body declared as unsigned', { bodyUnsigned: true }, 'bodyUnsigned'],
    ['a timestamp that is not signed', { timestamp: { header: 'x-time', unit: 's' } }, 'timestamp'],
    ['a signed timestamp without a source', { signed: '{timestamp}{body}' }, 'timestamp'],
    ['a signed id without a source', { signed: '{id}{body}' }, '{id}'],
    ['a nonce without a source', { signed: '{nonce}{body}' }, '{nonce}'],
    ['a nonce that is not signed', { nonce: { header: 'x-nonce' } }, '{nonce}'],
  ])('%s', (_, more, told) => {
    expect(() => signature({ ...base, ...more })).toThrow(TypeError)
    expect(() => signature({ ...base, ...more })).toThrow(told)
    expect(() => signature({ ...base, ...more })).toThrow('made-up: ')
  })
})

describe('what a scheme declares', () => {
  it('its name, and nothing that its descriptor lacks', () => {
    expect(Object.keys(signature(base))).toEqual(['name', 'sending', 'verify', 'takesSecret'])
  })

  it('the event’s id comes from its header', () => {
    const scheme = signature({ ...base, id: 'x-id' })
    expect(scheme.eventId?.(new Headers({ 'x-id': 'evt_1' }))).toBe('evt_1')
    expect(scheme.eventId?.(new Headers())).toBeUndefined()
  })

  it('that it sees time, if a timestamp is signed', () => {
    expect(
      signature({ ...base, signed: '{timestamp}{body}', timestamp: { header: 'x-time', unit: 's' } }).seesTime,
    ).toBe(true)
  })

  it('how it answers a handshake', async () => {
    const handshake = async (event: unknown, word: string) => ({ event, word })
    expect(await signature({ ...base, handshake }).handshake?.('hello', 's', new Headers())).toEqual({
      event: 'hello',
      word: 's',
    })
  })
})

describe('secrets, in the form that a sender gives them', () => {
  const bytes = Buffer.from('a-made-up-secret')
  const given = { 'x-signature': hmac('body') }
  const written = (more: SignatureDescriptor['secret'], text: string) => {
    const described: Partial<SignatureDescriptor> = more === undefined ? {} : { secret: more }
    return Promise.all([
      verify(described, given, { secrets: [text] }),
      signature({ ...base, ...described }).takesSecret?.(text),
    ])
  }
  const base64 = bytes.toString('base64')
  it.each<[string, SignatureDescriptor['secret'], string, boolean]>([
    ['as text', undefined, secret, true],
    ['in base64', { encoding: 'base64' }, base64, true],
    ['in hex', { encoding: 'hex' }, bytes.toString('hex'), true],
    ['after a prefix', { encoding: 'base64', prefix: 'whsec_' }, `whsec_${base64}`, true],
    ['without an optional prefix', { encoding: 'base64', prefix: 'whsec_' }, base64, true],
    [
      'after a required prefix',
      { encoding: 'base64', prefix: 'whsec_', prefixRequired: true },
      `whsec_${base64}`,
      true,
    ],
    ['without a required prefix', { encoding: 'base64', prefix: 'whsec_', prefixRequired: true }, base64, false],
    ['with the prefix at its end', { encoding: 'utf8', prefix: 'x_', prefixRequired: true }, `${secret}x_`, false],
    ['not in base64', { encoding: 'base64' }, secret, false],
    ['in an odd number of hex digits', { encoding: 'hex' }, 'abc', false],
    ['empty', undefined, '', false],
    ['a prefix and nothing else', { encoding: 'utf8', prefix: 'x_' }, 'x_', false],
  ])('%s', async (_, described, text, good) => {
    expect(await written(described, text)).toEqual([good, good])
  })

  it('an unreadable secret does not keep the others from being tried', async () => {
    const more: Partial<SignatureDescriptor> = { secret: { encoding: 'base64' } }
    expect(await verify(more, given, { secrets: ['not base64', '', base64] })).toBe(true)
    expect(await verify(more, given, { secrets: [base64, 'not base64', ''] })).toBe(true)
    expect(await verify(more, given, { secrets: ['not base64', ''] })).toBe(false)
    expect(await verify(more, given, { secrets: [] })).toBe(false)
  })
})

describe('algorithms and encodings', () => {
  it.each([
    ['HMAC-SHA-1', 'sha1', 'hex'],
    ['HMAC-SHA-256', 'sha256', 'base64'],
    ['HMAC-SHA-512', 'sha512', 'base64url'],
  ] as const)('%s as %s in %s', async (algorithm, node, encoding) => {
    const more = { algorithm, signature: { header: 'x-signature', encoding } }
    expect(await verify(more, { 'x-signature': hmac('body', node, encoding) })).toBe(true)
    expect(await verify(more, { 'x-signature': hmac('bodz', node, encoding) })).toBe(false)
    // A MAC of another length, and a part of the correct one.
    expect(await verify(more, { 'x-signature': hmac('body', node === 'sha1' ? 'sha256' : 'sha1', encoding) })).toBe(
      false,
    )
    expect(await verify(more, { 'x-signature': hmac('body', node, encoding).slice(0, -4) })).toBe(false)
  })

  it('RSA with SHA-256 under a key that is known: the vector that Wise publishes', async () => {
    // Of Wise's own examples, with the key of its sandbox.
    const key =
      'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwpb91cEYuyJNQepZAVfPZIlPZfNUefH+n6w9SW3fykqKu938cR7WadQv87oF2VuT+fDt7kqeRziTmPSUhqPUys/V2Q1rlfJuXbE+Gga37t7zwd0egQ+KyOEHQOpcTwKmtZ81ieGHynAQzsn1We3jwt760MsCPJ7GMT141ByQM+yW1Bx+4SG3IGjXWyqOWrcXsxAvIXkpUD/jK/L958CgnZEgz0BSEh0QxYLITnW1lLokSx/dTianWPFEhMC9BgijempgNXHNfcVirg1lPSygz7KqoKUN0oHqWLr2U1A+7kqrl6O2nx3CKs1bj1hToT1+p4kcMoHXA7kA+VBLUpEsVwIDAQAB'
    const sent =
      '{"data":{"resource":{"id":49983981,"profile_id":16055450,"account_id":14124090,"type":"transfer"},"current_state":"incoming_payment_waiting","previous_state":null,"occurred_at":"2021-08-23T10:12:50Z"},"subscription_id":"90aa8e14-4ef1-4a56-861c-f3c9cde097ea","event_type":"transfers#state-change","schema_version":"2.0.0","sent_at":"2021-08-23T10:12:50Z"}'
    const signed =
      'wKcKCYXAzxNgiu7xmoDm943NUni7Rz33QN8JkEA9dWSGebgndonabgSj18Y4C08OrwVmueGsED2s00M7DtJVcYKOS1i3G4TMVx+mgM3aL9djMBkQtiYNBFUd6wrPI7ZUNHv/TrlKSjTMc+6JFvUvJ7owY3z85e3I4jLRLJowMFvO8kvCJ60+1pY9wDwZvtZ//WS93LrwGjk9Dvwzpmu0w+P4J75tETT5qC3Uv0y5G2yO8SEoO3yNP/tg/BOli02niHb53vEOUWUb9bly6thnfMoXoiV/osoGxgF20R58RlvkAmezyyl1Sv542TfS2DpiwVnmjjjkCyXeSUcKookYLQ=='
    const rsa: Partial<SignatureDescriptor> = {
      algorithm: 'RSA-SHA-256',
      signature: { header: 'x-signature-sha256', encoding: 'base64' },
      secret: { encoding: 'base64' },
    }
    const given = { 'x-signature-sha256': signed }
    expect(await judge(rsa, given, { body: sent, secrets: [key] })).toBe(true)
    expect(await judge(rsa, given, { body: `${sent} `, secrets: [key] })).toBe('mismatch')
    expect(await judge(rsa, { 'x-signature-sha256': signed.slice(4) }, { body: sent, secrets: [key] })).toBe('mismatch')
    expect(await judge(rsa, given, { body: sent, secrets: [key.slice(4)] })).toBe('no_secret')
    expect(await signature({ ...base, ...rsa }).takesSecret?.('a-made-up-secret')).toBe(false)
  })

  it('ECDSA on P-256, as DER; an invalid point, DER or key is rejected without a throw', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const key = publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
    const more = {
      algorithm: 'ECDSA-P-256',
      signature: { header: 'x-signature', encoding: 'base64' },
      secret: { encoding: 'base64' },
    } as const
    for (let count = 0; count < 40; count++) {
      const signed = nodeSign('sha256', Buffer.from('body'), privateKey).toString('base64')
      expect(await verify(more, { 'x-signature': signed }, { secrets: [key] })).toBe(true)
    }
    const raw = nodeSign('sha256', Buffer.from('body'), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString(
      'base64',
    )
    expect(await verify(more, { 'x-signature': raw }, { secrets: [key] })).toBe(false)
    expect(await verify(more, { 'x-signature': 'MAA=' }, { secrets: [key] })).toBe(false)
    expect(await verify(more, { 'x-signature': 'not base64' }, { secrets: [key] })).toBe(false)
    const signed = nodeSign('sha256', Buffer.from('body'), privateKey).toString('base64')
    expect(await verify(more, { 'x-signature': signed }, { secrets: ['AAAA', 'not base64', ''] })).toBe(false)
    expect(await verify(more, { 'x-signature': signed }, { secrets: ['AAAA', key] })).toBe(true)
  })

  it('Ed25519, under a key of 32 bytes', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const key = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('hex')
    const more = { algorithm: 'Ed25519', secret: { encoding: 'hex' } } as const
    const signed = nodeSign(null, Buffer.from('body'), privateKey).toString('hex')
    expect(await verify(more, { 'x-signature': signed }, { secrets: [key] })).toBe(true)
    expect(await verify(more, { 'x-signature': signed }, { secrets: [key], body: 'bodz' })).toBe(false)
    expect(await verify(more, { 'x-signature': signed.slice(2) }, { secrets: [key] })).toBe(false)
    expect(await verify(more, { 'x-signature': signed }, { secrets: [key.slice(2)] })).toBe(false)
    expect(await signature({ ...base, ...more }).takesSecret?.(key.slice(2))).toBe(false)
  })
})

describe('what is signed', () => {
  it('is built from the request as it arrived', async () => {
    const more: Partial<SignatureDescriptor> = {
      signed: 'v1|{method}|{url}|{id}|{timestamp}|{nonce}|{body}',
      id: 'x-id',
      timestamp: { header: 'x-time', unit: 'ms' },
      nonce: { header: 'x-nonce' },
    }
    const headers = {
      'x-id': 'i',
      'x-time': String(nowMs),
      'x-nonce': 'n',
      'x-signature': hmac(`v1|POST|${url}|i|${nowMs}|n|body`),
    }
    expect(await verify(more, headers)).toBe(true)
    for (const name of ['x-id', 'x-time', 'x-nonce', 'x-signature'] as const) {
      const { [name]: _, ...rest } = headers
      expect(await verify(more, rest), `without ${name}`).toBe(false)
      expect(await verify(more, { ...headers, [name]: '' }), `with an empty ${name}`).toBe(false)
    }
  })

  it('a missing or empty nonce does not count as a signed empty text', async () => {
    const more: Partial<SignatureDescriptor> = { signed: '{nonce}{body}', nonce: { header: 'x-nonce' } }
    const headers = { 'x-signature': hmac('body') }
    expect(await verify(more, headers)).toBe(false)
    expect(await verify(more, { ...headers, 'x-nonce': '' })).toBe(false)
    expect(await verify(more, { 'x-signature': hmac('nbody'), 'x-nonce': 'n' })).toBe(true)
  })

  describe('the names and values of a form, sorted and concatenated', () => {
    const more: Partial<SignatureDescriptor> = { signed: '{url}{form}' }
    const form = (body: string, content: string, type = 'application/x-www-form-urlencoded') =>
      verify(more, { 'content-type': type, 'x-signature': hmac(url + content) }, { body })
    it.each<[string, string, string, boolean]>([
      ['one field', 'a=1', 'a1', true],
      ['in the order of names', 'b=2&a=1', 'a1b2', true],
      ['not in the order of arrival', 'b=2&a=1', 'b2a1', false],
      ['decoded', 'a+b=%26', 'a b&', true],
      ['several values of a name, sorted', 'a=2&a=1', 'a1a2', true],
      ['a repeated value, once', 'a=1&a=1', 'a1', true],
      ['nothing', '', '', true],
      ['text that is not URL-encoded', 'a=%', '', false],
      ['text that is not UTF-8', 'a=%ff', '', false],
    ])('%s', async (_, body, content, good) => {
      expect(await form(body, content)).toBe(good)
    })

    it('bytes that are not UTF-8 are not a form', async () => {
      const body = Uint8Array.of(0x61, 0x3d, 0xff)
      const headers = new Headers({ 'content-type': 'application/x-www-form-urlencoded', 'x-signature': hmac(url) })
      const request = { method: 'POST', url, headers, body, secrets: [secret], nowMs }
      expect(await signature({ ...base, ...more }).verify(request)).toBe('malformed')
    })

    it('for any other body, its hash is in the URL and is signed with it', async () => {
      const hash = createHash('sha256').update('{"a":1}').digest('hex')
      const of = (query: string, body: string) => {
        const signed = `https://relay.example/hooks/x?${query}`
        const headers = new Headers({ 'content-type': 'application/json', 'x-signature': hmac(signed) })
        return signature({ ...base, ...more }).verify({
          method: 'POST',
          url: signed,
          headers,
          body: encodeUtf8(body),
          secrets: [secret],
          nowMs,
        })
      }
      expect(await of(`bodySHA256=${hash}`, '{"a":1}')).toBe(true)
      expect(await of(`bodySHA256=${hash}`, '{"a":2}')).toBe('malformed')
      expect(await of('y=1', '{"a":1}')).toBe('malformed')
      expect(await of(`bodySHA256=${hash.toUpperCase()}`, '{"a":1}')).toBe(true)
    })
  })

  it('is the URL that the sender knows, when a proxy changes it', async () => {
    const more = { signed: '{url}{body}' }
    const headers = { 'x-signature': hmac('https://public.example/x?y=1body') }
    expect(await verify(more, headers)).toBe(false)
    expect(await verify(more, headers, { options: { url: 'https://public.example/x' } })).toBe(true)
  })

  it('is bytes: a body that is not text can be signed too', async () => {
    const body = Uint8Array.of(0xff, 0x00, 0xfe)
    const given = createHmac('sha256', secret).update(body).digest('hex')
    const scheme = signature(base)
    const request = {
      method: 'POST',
      url,
      headers: new Headers({ 'x-signature': given }),
      body,
      secrets: [secret],
      nowMs,
    }
    expect(await scheme.verify(request)).toBe(true)
    expect(await scheme.verify({ ...request, body: Uint8Array.of(0xff, 0x00, 0xff) })).toBe('mismatch')
  })

  it('a text in a field of the body is found by path, among own properties only', async () => {
    const more: Partial<SignatureDescriptor> = {
      signature: { field: 'a.b.signature', encoding: 'hex' },
      signed: '{nonce}',
      nonce: { field: 'a.token' },
      bodyUnsigned: true,
    }
    const of = (a: unknown) => verify(more, {}, { body: JSON.stringify({ a }) })
    expect(await of({ token: 't', b: { signature: hmac('t') } })).toBe(true)
    expect(await of({ token: 't', b: null })).toBe(false)
    // White space in a field belongs to it.
    expect(await of({ token: 't', b: { signature: ` ${hmac('t')} ` } })).toBe(false)
    expect(await of({ token: 't', b: [hmac('t')] })).toBe(false)
    expect(
      await verify(
        { ...more, nonce: { field: 'constructor.name' } },
        {},
        { body: JSON.stringify({ a: { b: { signature: hmac('Object') } } }) },
      ),
    ).toBe(false)
  })
})

describe('timestamps are read strictly', () => {
  const seconds = nowMs / 1_000
  it.each<[string, TimeUnit, string, boolean]>([
    ['an HTTP date', 'http-date', new Date(nowMs).toUTCString(), true],
    ['an HTTP date too late', 'http-date', new Date(nowMs + 301_000).toUTCString(), false],
    ['ISO 8601 for an HTTP date', 'http-date', new Date(nowMs).toISOString(), false],
    ['seconds', 's', String(seconds), true],
    ['milliseconds', 'ms', String(nowMs), true],
    ['ISO 8601', 'iso', new Date(nowMs).toISOString(), true],
    ['ISO 8601 with an offset', 'iso', new Date(nowMs + 3_600_000).toISOString().replace('Z', '+01:00'), true],
    [
      'ISO 8601 with an offset without a colon',
      'iso',
      new Date(nowMs - 5_400_000).toISOString().replace('Z', '-0130'),
      true,
    ],
    ['ISO 8601 with an offset of hours', 'iso', new Date(nowMs + 3_600_000).toISOString().replace('Z', '+01'), true],
    ['the tolerance, early', 's', String(seconds - 300), true],
    ['the tolerance, late', 's', String(seconds + 300), true],
    ['a second too early', 's', String(seconds - 301), false],
    ['a second too late', 's', String(seconds + 301), false],
    ['seconds for milliseconds', 'ms', String(seconds), false],
    ['a fraction', 's', `${seconds}.0`, false],
    ['an exponent', 's', `${seconds / 10}e1`, false],
    ['hex', 's', `0x${seconds.toString(16)}`, false],
    ['a sign', 's', `+${seconds}`, false],
    ['trailing text', 's', `${seconds}x`, false],
    ['too many digits', 's', `${seconds}${'0'.repeat(400)}`, false],
    ['a date alone', 'iso', new Date(nowMs).toISOString().slice(0, 10), false],
    ['a local time', 'iso', new Date(nowMs).toISOString().replace('Z', ''), false],
    ['an impossible date', 'iso', '2026-13-45T00:00:00Z', false],
    ['words', 'iso', 'now', false],
    ['ISO 8601 without a fraction', 'iso', new Date(nowMs).toISOString().replace('.000Z', 'Z'), true],
    ['a year of six digits', 'iso', `+00${new Date(nowMs).toISOString()}`, false],
    ['text after a time', 'iso', `${new Date(nowMs).toISOString()}x`, false],
    ['nothing', 's', '', false],
  ])('%s', async (_, unit, text, good) => {
    const more: Partial<SignatureDescriptor> = { signed: '{timestamp}.{body}', timestamp: { header: 'x-time', unit } }
    expect(await verify(more, { 'x-time': text, 'x-signature': hmac(`${text}.body`) })).toBe(good)
  })

  it('a source chooses its tolerance', async () => {
    const more: Partial<SignatureDescriptor> = {
      signed: '{timestamp}.{body}',
      timestamp: { header: 'x-time', unit: 's' },
    }
    const text = String(seconds - 3_000)
    const headers = { 'x-time': text, 'x-signature': hmac(`${text}.body`) }
    expect(await verify(more, headers, { options: { toleranceSeconds: 3_000 } })).toBe(true)
    expect(await verify(more, headers, { options: { toleranceSeconds: 2_999 } })).toBe(false)
  })

  it('two timestamps in one header are rejected', async () => {
    const more: Partial<SignatureDescriptor> = {
      signature: { header: 'x-signature', separator: ',', prefix: 'v1=', encoding: 'hex' },
      signed: '{timestamp}.{body}',
      timestamp: { header: 'x-signature', separator: ',', prefix: 't=', unit: 's' },
    }
    const good = hmac(`${seconds}.body`)
    expect(await verify(more, { 'x-signature': `t=${seconds},v1=${good}` })).toBe(true)
    expect(await verify(more, { 'x-signature': `t=${seconds},t=1,v1=${good}` })).toBe(false)
    expect(await verify(more, { 'x-signature': `t=${seconds} , v1=${good}` })).toBe(true)
    expect(await verify(more, { 'x-signature': `v1=${hmac('.body')}` })).toBe(false)
  })
})

describe('why a request is not authenticated, for the log', () => {
  const timed: Partial<SignatureDescriptor> = {
    signed: '{timestamp}.{body}',
    timestamp: { header: 'x-time', unit: 's' },
  }
  const at = String(nowMs / 1_000)
  const good = { 'x-signature': hmac(`${at}.body`), 'x-time': at }
  it.each<[string, Record<string, string>, readonly string[], AuthFailure | true]>([
    ['nothing', good, [secret], true],
    ['no signature', { 'x-time': at }, [secret], 'header_missing'],
    ['no timestamp', { 'x-signature': good['x-signature'] }, [secret], 'header_missing'],
    ['a signature that is not hex', { ...good, 'x-signature': 'xyz' }, [secret], 'malformed'],
    ['a timestamp that is not a number', { ...good, 'x-time': 'now' }, [secret], 'malformed'],
    ['too old', { ...good, 'x-time': String(Number(at) - 301) }, [secret], 'stale'],
    ['another secret', good, ['another-secret'], 'mismatch'],
    ['no secret of this kind', good, [''], 'no_secret'],
  ])('%s', async (_, headers, secrets, why) => {
    expect(await judge(timed, headers, { secrets: [...secrets] })).toBe(why)
  })

  it('of several schemes the closest failure is given; if one lacks its secret, the verdict is unavailable', async () => {
    const scheme = anyOf('x', { signed: signature({ ...base, ...timed }), plain: bearer() })
    const of = (headers: Record<string, string>, ...secrets: string[]) =>
      scheme.verify({ method: 'POST', url, headers: new Headers(headers), body: encodeUtf8('body'), secrets, nowMs })
    expect(await of({}, 'plain:word')).toBe('header_missing')
    expect(await of({ authorization: 'Bearer other' }, 'plain:word')).toBe('mismatch')
    expect(await of(good, 'plain:word')).toBe('no_secret')
    expect(await of({ ...good, 'x-time': '1' }, `signed:${secret}`)).toBe('stale')
  })
})

describe('several signatures and secrets', () => {
  it('a signature may stand in any of several headers, as where each key has one of its own', async () => {
    const more = { signature: { header: ['x-signature-1', 'x-signature-2'], encoding: 'hex' } } as const
    const wrong = hmac('other')
    expect(await verify(more, { 'x-signature-1': hmac('body'), 'x-signature-2': wrong })).toBe(true)
    expect(await verify(more, { 'x-signature-1': wrong, 'x-signature-2': hmac('body') })).toBe(true)
    expect(await verify(more, { 'x-signature-2': hmac('body') })).toBe(true)
    expect(await verify(more, { 'x-signature-1': wrong, 'x-signature-2': wrong })).toBe(false)
    expect(await judge(more, { 'x-signature-3': hmac('body') })).toBe('header_missing')
  })

  const more: Partial<SignatureDescriptor> = {
    signature: { header: 'x-signature', separator: ' ', prefix: 'v1,', encoding: 'base64' },
  }
  const good = `v1,${hmac('body', 'sha256', 'base64')}`
  const bad = `v1,${hmac('other', 'sha256', 'base64')}`

  it('one match is enough, at any position', async () => {
    for (const header of [good, `${bad} ${good}`, `v2,xyz ${good}`, `${good} rubbish`])
      expect(await verify(more, { 'x-signature': header })).toBe(true)
    for (const header of [bad, 'v1,', 'v1', '', good.replace('v1,', 'v2,')])
      expect(await verify(more, { 'x-signature': header })).toBe(false)
  })

  it('signatures beyond what a rotation needs are not tried', async () => {
    expect(await verify(more, { 'x-signature': `${`${bad} `.repeat(7)}${good}` })).toBe(true)
    expect(await verify(more, { 'x-signature': `${`${bad} `.repeat(8)}${good}` })).toBe(false)
    // Items that are not a signature of this kind do not count.
    expect(await verify(more, { 'x-signature': `${'v1,AAAA '.repeat(8)}${good}` })).toBe(true)
  })

  const request = { method: 'POST', url, headers: new Headers(), body: encodeUtf8(''), secrets: [], nowMs }
  it('any of several schemes may authenticate, and an unavailable one prevents a rejection', async () => {
    const yes = { name: 'yes', verify: async () => true }
    const no = { name: 'no', verify: async () => false }
    const unknown = { name: 'unknown', verify: async () => 'unavailable' as const }
    expect(await eitherOf('x', [no, yes]).verify(request)).toBe(true)
    expect(await eitherOf('x', [unknown, yes]).verify(request)).toBe(true)
    expect(await eitherOf('x', [no, unknown]).verify(request)).toBe('unavailable')
    expect(await eitherOf('x', [no, no]).verify(request)).toBe(false)
    expect(eitherOf('x', [{ ...yes, seesTime: true }, no]).seesTime).toBeUndefined()
  })

  it('each secret is tried only with its own scheme: a public key is not accepted as a password', async () => {
    const key = 'ab'.repeat(32)
    const scheme = anyOf('x', { discord: discord(), slack: slack(), plain: bearer() })
    const bears = (token: string, secrets: readonly string[]) =>
      scheme.verify({ ...request, headers: new Headers({ authorization: `Bearer ${token}` }), secrets }).then(plain)
    expect(await bears('word', ['discord:x', 'plain:word'])).toBe(true)
    for (const secrets of [[`discord:${key}`], [key], ['plain', 'plain:'], [`plain:discord:${key}`]]) {
      expect(await bears(key, secrets)).toBe(false)
      expect(
        await bears(
          `discord:${key}`,
          secrets.slice(0, 1).filter((one) => !one.startsWith('plain:')),
        ),
      ).toBe(false)
    }
    expect([
      await scheme.takesSecret?.(`discord:${key}`),
      await scheme.takesSecret?.('discord:xyz'),
      await scheme.takesSecret?.(key),
    ]).toEqual([true, false, false])
    const challenge = { type: 'url_verification', challenge: 'c' }
    expect([
      await scheme.handshake?.(challenge, 'slack:s', new Headers()),
      await scheme.handshake?.(challenge, 'plain:s', new Headers()),
    ]).toEqual([{ challenge: 'c' }, undefined])
  })
})

describe('decoders: one text for each sequence of bytes, except for the case of hex', () => {
  it.each<[string, (text: string) => Uint8Array | undefined, string, string | undefined]>([
    ['hex', decodeHex, '00ff', '00ff'],
    ['hex in capitals', decodeHex, '00FF', '00ff'],
    ['an odd number of digits', decodeHex, '0', undefined],
    ['base64', decodeBase64, 'AP8=', '00ff'],
    ['base64 without its padding', decodeBase64, 'AP8', undefined],
    ['base64 with spare bits', decodeBase64, 'AP9=', undefined],
    ['base64 with white space', decodeBase64, 'AP 8=', undefined],
    ['base64url instead of base64', decodeBase64, '_-8=', undefined],
    ['base64url', decodeBase64url, '_-8', 'ffef'],
    ['base64url with padding', decodeBase64url, '_-8=', undefined],
    ['base64url with spare bits', decodeBase64url, '_-9', undefined],
  ])('%s', (_, decode, text, hex) => {
    const bytes = decode(text)
    expect(bytes === undefined ? undefined : encodeHex(bytes)).toBe(hex)
  })

  it.each([
    ['nothing', ''],
    ['a value that is not a sequence', '0406020101020101'],
    ['a wrong length', '3007020101020101'],
    ['a negative number', '3006020181020101'],
    ['a number with a redundant leading zero', '300702020001020101'],
    ['an empty number', '30050200020101'],
    ['a number of 33 bytes', `3026022101${'00'.repeat(32)}020101`],
    ['trailing bytes', '300602010102010100'],
    ['a third number', '3009020101020101020101'],
  ])('DER: %s is not a signature', (_, hex) => {
    expect(derToP1363(Uint8Array.from(Buffer.from(hex, 'hex')))).toBeUndefined()
  })

  it('DER: numbers are aligned right in their 32 bytes', () => {
    const raw = derToP1363(Uint8Array.from(Buffer.from('30070201050202' + '0080', 'hex')))
    expect(raw === undefined ? '' : encodeHex(raw)).toBe(`${'00'.repeat(31)}05${'00'.repeat(31)}80`)
  })
})
