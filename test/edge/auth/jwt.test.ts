/** JSON Web Tokens made by `jose`, under keys that an issuer publishes and rotates, and whose address sometimes fails. */
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { type JwtOptions, jwt } from '../../../src/edge/auth/jwt.ts'
import { plain } from '../../support/verdict.ts'

const issuer = 'https://issuer.example'
const audience = 'target-relay'
const jwksUrl = `${issuer}/jwks.json`
const startMs = 1_790_000_000_000

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>
const pairs: Record<'one' | 'two' | 'ec' | 'ed', KeyPair> = {
  one: await generateKeyPair('RS256', { extractable: true }),
  two: await generateKeyPair('RS256', { extractable: true }),
  ec: await generateKeyPair('ES256', { extractable: true }),
  ed: await generateKeyPair('EdDSA', { extractable: true }),
}
const published = async (kid: keyof typeof pairs, more: object = {}): Promise<JWK> => ({
  ...(await exportJWK(pairs[kid].publicKey)),
  kid,
  use: 'sig',
  ...more,
})

interface TokenOptions {
  kid?: keyof typeof pairs
  alg?: string
  claims?: Record<string, unknown>
  header?: Record<string, unknown>
}
async function token({ kid = 'one', alg = 'RS256', claims = {}, header = {} }: TokenOptions = {}): Promise<string> {
  const seconds = Math.floor(startMs / 1_000)
  return new SignJWT({ iss: issuer, aud: audience, exp: seconds + 300, sub: 'loan-desk', ...claims })
    .setProtectedHeader({ alg, kid, ...header })
    .sign(pairs[kid].privateKey)
}

async function issuerOf(kids: readonly (keyof typeof pairs)[], options: Partial<JwtOptions> = {}) {
  const state = {
    keys: await Promise.all(kids.map((kid) => published(kid))),
    asked: 0,
    status: 200,
    body: undefined as string | undefined,
  }
  const scheme = jwt({
    issuer,
    audience,
    jwksUrl,
    fetch: async (url, init) => {
      state.asked++
      expect(String(url)).toBe(jwksUrl)
      expect(init?.redirect).toBe('manual')
      if (state.status === 0) throw new TypeError('fetch failed')
      return new Response(state.body ?? JSON.stringify({ keys: state.keys }), { status: state.status })
    },
    ...options,
  })
  const verify = (authorization: string | undefined, nowMs = startMs) =>
    scheme.verify({
      method: 'POST',
      url: 'https://relay.example/hooks/x',
      headers: new Headers(authorization === undefined ? {} : { authorization }),
      body: new Uint8Array(),
      secrets: [],
      nowMs,
    })
  return { state, verify }
}

describe('a valid token', () => {
  it('authenticates with each listed algorithm', async () => {
    const { verify } = await issuerOf(['one', 'ec', 'ed'], {
      algorithms: ['RS256', 'ES256', 'EdDSA'],
      subject: 'loan-desk',
    })
    expect(await verify(`Bearer ${await token()}`)).toBe(true)
    expect(await verify(`bearer ${await token({ kid: 'ec', alg: 'ES256' })}`)).toBe(true)
    expect(await verify(`Bearer ${await token({ kid: 'ed', alg: 'EdDSA' })}`)).toBe(true)
    expect(await verify(`Bearer ${await token({ claims: { aud: ['other', audience] } })}`)).toBe(true)
  })

  it('fetches the keys once for many tokens', async () => {
    const { state, verify } = await issuerOf(['one'])
    for (let count = 0; count < 5; count++) expect(await verify(`Bearer ${await token()}`, startMs + count)).toBe(true)
    expect(state.asked).toBe(1)
  })
})

describe('an invalid token', () => {
  const seconds = Math.floor(startMs / 1_000)
  const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  it.each<[string, () => Promise<string | undefined> | string | undefined]>([
    ['none', () => undefined],
    ['basic', () => 'Basic YTpi'],
    ['no token', () => 'Bearer x'],
    ['another issuer', () => token({ claims: { iss: 'https://other.example' } })],
    ['no issuer', () => token({ claims: { iss: undefined } })],
    ['another audience', () => token({ claims: { aud: 'other' } })],
    ['no audience', () => token({ claims: { aud: undefined } })],
    ['no expiry', () => token({ claims: { exp: undefined } })],
    ['an expiry that is text', () => token({ claims: { exp: String(seconds + 300) } })],
    ['expired', () => token({ claims: { exp: seconds - 31 } })],
    ['not yet', () => token({ claims: { nbf: seconds + 31 } })],
    ['another subject', () => token({ claims: { sub: 'other' } })],
    ['an algorithm that is not on the list', () => token({ kid: 'ed', alg: 'EdDSA' })],
    ['an unpublished key', () => token({ kid: 'two' })],
    [
      'signed by another key',
      async () => {
        const [header, , signature] = (await token({ kid: 'two', header: { kid: 'one' } })).split('.')
        return `${header}.${(await token()).split('.')[1]}.${signature}`
      },
    ],
    [
      'changed',
      async () => {
        const [header, , signature] = (await token()).split('.')
        return `${header}.${base64url({ iss: issuer, aud: audience, exp: seconds + 300, sub: 'loan-desk', admin: true })}.${signature}`
      },
    ],
    [
      'unsigned',
      () =>
        `${base64url({ alg: 'none', kid: 'one' })}.${base64url({ iss: issuer, aud: audience, exp: seconds + 300 })}.`,
    ],
    [
      // The public key used as an HMAC secret: the classic attack.
      'of a symmetric algorithm',
      async () => {
        const header = base64url({ alg: 'HS256', kid: 'one' })
        const payload = base64url({ iss: issuer, aud: audience, exp: seconds + 300, sub: 'loan-desk' })
        const key = await crypto.subtle.importKey(
          'raw',
          Buffer.from(JSON.stringify(await published('one'))),
          { name: 'HMAC', hash: 'SHA-256' },
          false,
          ['sign'],
        )
        const signature = await crypto.subtle.sign('HMAC', key, Buffer.from(`${header}.${payload}`))
        return `${header}.${payload}.${Buffer.from(signature).toString('base64url')}`
      },
    ],
    ['with a header that must be understood', () => token({ header: { crit: ['b64'], b64: true } })],
    ['with its own address for keys', () => token({ kid: 'two', header: { jku: 'https://evil.example/jwks.json' } })],
  ])('does not authenticate: %s', async (_, make) => {
    const { verify } = await issuerOf(['one', 'ed'], { subject: 'loan-desk' })
    const made = await make()
    expect(plain(await verify(made === undefined || / /.test(made) ? made : `Bearer ${made}`))).toBe(false)
  })
})

describe('keys', () => {
  it('are fetched again for a token under an unknown key, but at most every 30 s', async () => {
    const { state, verify } = await issuerOf(['one'])
    expect(await verify(`Bearer ${await token()}`)).toBe(true)
    state.keys = [await published('one'), await published('two')]
    const later = startMs + 31_000
    expect(await verify(`Bearer ${await token({ kid: 'two' })}`, later)).toBe(true)
    expect(state.asked).toBe(2)
    // The key may have been published just now, so nobody is rejected before the keys were fetched again.
    for (let count = 0; count < 10; count++)
      expect(await verify(`Bearer ${await token({ kid: 'ec', alg: 'ES256' })}`, later + count)).toBe('unavailable')
    expect(state.asked).toBe(2)
    expect(await verify(`Bearer ${await token({ kid: 'ec', alg: 'ES256' })}`, later + 30_001)).toBe('mismatch')
    expect(state.asked).toBe(3)
  })

  it('that the issuer removed are accepted for ten minutes at most', async () => {
    const { state, verify } = await issuerOf(['one', 'two'])
    const of = async (atMs: number) => verify(`Bearer ${await token({ claims: { exp: 9_999_999_999 } })}`, atMs)
    expect(await of(startMs)).toBe(true)
    state.keys = [await published('two')]
    expect(await of(startMs + 600_000)).toBe(true)
    expect(await of(startMs + 600_001)).toBe('mismatch')
  })

  it.each<[string, (state: { status: number; body: string | undefined }) => void]>([
    ['is down', (state) => (state.status = 0)],
    ['fails', (state) => (state.status = 500)],
    ['redirects', (state) => (state.status = 302)],
    ['answers HTML', (state) => (state.body = '<html>')],
    ['answers no keys', (state) => (state.body = '{}')],
    ['answers too many bytes', (state) => (state.body = JSON.stringify({ keys: [], x: 'x'.repeat(300_000) }))],
  ])(
    'an address that %s neither authenticates nor rejects anybody; known keys stay in use for an hour',
    async (_, breakIt) => {
      const fresh = await issuerOf(['one'])
      breakIt(fresh.state)
      expect(await fresh.verify(`Bearer ${await token()}`)).toBe('unavailable')
      const { state, verify } = await issuerOf(['one'])
      const of = async (atMs: number) => verify(`Bearer ${await token({ claims: { exp: 9_999_999_999 } })}`, atMs)
      expect(await of(startMs)).toBe(true)
      breakIt(state)
      expect(await of(startMs + 3_600_000)).toBe(true)
      expect(await of(startMs + 3_600_001)).toBe('unavailable')
    },
  )

  it('are requested every few seconds while the address is down, not at each request', async () => {
    const { state, verify } = await issuerOf(['one'])
    state.status = 0
    for (let count = 0; count < 20; count++)
      expect(await verify(`Bearer ${await token()}`, startMs + count)).toBe('unavailable')
    expect(state.asked).toBe(1)
    state.status = 200
    expect(await verify(`Bearer ${await token()}`, startMs + 5_001)).toBe(true)
  })

  it('a sender under a new key is told to retry while the keys are fetched', async () => {
    const { state, verify } = await issuerOf(['one'])
    expect(await verify(`Bearer ${await token()}`)).toBe(true)
    state.keys = [await published('two')]
    const fresh = await token({ kid: 'two' })
    const verdicts = await Promise.all(Array.from({ length: 4 }, () => verify(`Bearer ${fresh}`, startMs + 31_000)))
    expect(verdicts).toEqual([true, 'unavailable', 'unavailable', 'unavailable'])
  })

  it('are fetched over https, or from loopback', () => {
    expect(() => jwt({ issuer, audience, jwksUrl: 'http://issuer.example/jwks.json' })).toThrow(/https/)
    expect(() => jwt({ issuer, audience, jwksUrl: 'http://127.0.0.1:1/jwks.json' })).not.toThrow()
  })

  it.each([
    { issuer: '', audience },
    { issuer, audience: '' },
    { issuer, audience: undefined as unknown as string },
  ])('an issuer and an audience are required: %j', (wrong) => {
    expect(() => jwt({ ...wrong, jwksUrl })).toThrow(/issuer and an audience/)
  })
})
