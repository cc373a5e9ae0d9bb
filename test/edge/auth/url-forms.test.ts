/** A sender that signs the URL has its own form of it, which may differ from the one that the relay sees. */
import { createHmac } from 'node:crypto'
import * as fc from 'fast-check'
import twilioLibrary from 'twilio'
import { describe, expect, it } from 'vitest'
import { encodeUtf8 } from '../../../src/edge/auth/encodings.ts'
import { hubspot, square, twilio } from '../../../src/edge/auth/presets.ts'
import { urlForms } from '../../../src/edge/auth/url-forms.ts'

const secret = 'a-made-up-secret'
const nowMs = 1_790_000_000_000
const form = 'a=1&b=2'

/** How each vendor signs a URL in a given form. */
const vendors = {
  twilio: {
    scheme: twilio,
    body: form,
    sign: (url: string) => ({
      'content-type': 'application/x-www-form-urlencoded',
      'x-twilio-signature': twilioLibrary.getExpectedTwilioSignature(secret, url, { a: '1', b: '2' }),
    }),
  },
  square: {
    scheme: square,
    body: '{"id":"1"}',
    sign: (url: string) => ({
      'x-square-hmacsha256-signature': createHmac('sha256', secret).update(`${url}{"id":"1"}`).digest('base64'),
    }),
  },
  hubspot: {
    scheme: hubspot,
    body: '[]',
    sign: (url: string) => ({
      'x-hubspot-request-timestamp': String(nowMs),
      'x-hubspot-signature-v3': createHmac('sha256', secret).update(`POST${url}[]${nowMs}`).digest('base64'),
    }),
  },
} as const

/** A resource, and its URL as it was written when the sender was set up. */
const parts = fc.record({
  https: fc.boolean(),
  host: fc.constantFrom('relay.example', 'Relay.Example', 'RELAY.example'),
  port: fc.constantFrom('', 'default'),
  slash: fc.boolean(),
  path: fc.array(fc.constantFrom<string>('hooks', 'a', 'B-1', 'x y', 'ü', "it's"), { minLength: 1, maxLength: 3 }),
  query: fc.array(
    fc.tuple(fc.constantFrom('a', 'name'), fc.constantFrom('1', 'Zürich', 'x y', "it's", '10:00', 'a/b@c', '(1)!')),
    {
      maxLength: 2,
    },
  ),
  escaping: fc.constantFrom('not', 'as URLs are', 'as HubSpot does', 'throughout'),
})
type Parts = typeof parts extends fc.Arbitrary<infer T> ? T : never

const escapings: Readonly<Record<Parts['escaping'], (text: string) => string>> = {
  not: (text) => text,
  'as URLs are': encodeURI,
  'as HubSpot does': (text) =>
    encodeURIComponent(text).replace(/%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi, decodeURIComponent),
  throughout: encodeURIComponent,
}

/** The URL as the sender writes and signs it. */
function asSigned({ https, host, port, slash, path, query, escaping }: Parts): string {
  const escaped = escapings[escaping]
  // No sender escapes the characters of a path as it does those of a query.
  const inPath = escaping === 'throughout' ? encodeURI : escaped
  return [
    https ? 'https' : 'http',
    `://${host}`,
    port === 'default' ? (https ? ':443' : ':80') : '',
    `/${path.map(inPath).join('/')}`,
    slash ? '/' : '',
    query.length === 0 ? '' : `?${query.map(([name, value]) => `${name}=${escaped(value)}`).join('&')}`,
  ].join('')
}

/** As it arrives: after a URL parser, and a proxy that terminated TLS or dropped the slash. */
function asSeen(signed: string, behindProxy: boolean, known: boolean): string {
  const { href } = new URL(signed)
  return behindProxy && !known ? href.replace(/^https/, 'http') : href
}

describe.each(Object.entries(vendors))('%s', (_, { scheme, body, sign }) => {
  const verify = (url: string, headers: Record<string, string>, known?: string) =>
    scheme(known === undefined ? {} : { url: known }).verify({
      method: 'POST',
      url,
      headers: new Headers(headers),
      body: encodeUtf8(body),
      secrets: ['another-secret', secret],
      nowMs,
    })

  it('every form of the address that it may sign is accepted', async () => {
    await fc.assert(
      fc.asyncProperty(parts, fc.boolean(), async (given, behindProxy) => {
        const signed = asSigned(given)
        // A URL parser lowers the case of the host; the header has it as it was written.
        const headers = { ...sign(signed), host: given.host }
        expect(await verify(asSeen(signed, behindProxy, false), headers)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  it('every form is accepted when the deployer gives the public address', async () => {
    await fc.assert(
      fc.asyncProperty(parts, async (given) => {
        const signed = asSigned({ ...given, host: 'relay.example', path: ['public'] })
        const { search } = new URL(signed)
        const known = `${given.https ? 'https' : 'http'}://relay.example/public`
        expect(await verify(`http://10.0.0.1:8787/hooks/x${search}`, sign(signed), known)).toBe(true)
      }),
      { numRuns: 100 },
    )
  })

  it('another address is rejected', async () => {
    const url = 'https://relay.example/hooks/x?y=1'
    for (const other of [
      'https://other.example/hooks/x?y=1',
      'https://relay.example/hooks/z?y=1',
      'https://relay.example/hooks/x?y=2',
      'https://relay.example/hooks/x',
      'https://relay.example:8443/hooks/x?y=1',
      'https://relay.example/hooks/X?y=1',
      'http://relay.example/hooks/x?y=1',
      'https://RELAY.example/hooks/x?y=1',
    ])
      expect(await verify(url, sign(other)), other).toBe('mismatch')
    // A header alone makes no other address.
    const other = 'https://other.example/hooks/x?y=1'
    expect(await verify(url, { ...sign(other), host: 'other.example' })).toBe('mismatch')
  })
})

describe('forms', () => {
  it('are few, and the first is the one that arrived', () => {
    expect(urlForms('https://relay.example/hooks/x', 'relay.example')).toEqual([
      'https://relay.example/hooks/x',
      'https://relay.example/hooks/x/',
      'https://relay.example:443/hooks/x',
      'https://relay.example:443/hooks/x/',
    ])
    expect(urlForms('http://relay.example/h/x?a=%C3%BC%27%3A+b', 'relay.example:80').length).toBeLessThanOrEqual(72)
    expect(urlForms('https://relay.example/x?a=%ff', null)[0]).toBe('https://relay.example/x?a=%ff')
  })
})
