/** Tokens that are bound to a body: Plaid's and QStash's ways, and what must not pass for one. */
import { createHash } from 'node:crypto'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { encodeUtf8 } from '../../../src/edge/auth/encodings.ts'
import { type JwtOptions, jwt } from '../../../src/edge/auth/jwt.ts'

const nowMs = 1_790_000_000_000
const seconds = nowMs / 1_000
const body = '{"customer":"c-1"}'
const secret = 'a-made-up-signing-key'
const hash = (encoding: 'hex' | 'base64' | 'base64url', text = body) =>
  createHash('sha256').update(text).digest(encoding)
const pair = await generateKeyPair('ES256', { extractable: true })
const publicKey = async () => (await exportJWK(pair.publicKey)) as JsonWebKey

const verify = (
  options: JwtOptions,
  token: string | undefined,
  { text = body, secrets = ['another', secret], atMs = nowMs } = {},
) =>
  jwt(options).verify({
    method: 'POST',
    url: 'https://relay.example/hooks/x',
    headers: new Headers(token === undefined ? {} : { [options.header ?? 'authorization']: token }),
    body: encodeUtf8(text),
    secrets,
    nowMs: atMs,
  })

describe('QStash: HS256 under the source’s secrets, with the body’s hash', () => {
  const qstash: JwtOptions = {
    header: 'upstash-signature',
    secret: true,
    issuer: 'Upstash',
    subject: 'https://relay.example/hooks/x',
    body: { claim: 'body', encoding: 'base64url' },
  }
  const token = (claims: object = {}, key = secret, alg = 'HS256') =>
    new SignJWT({
      iss: 'Upstash',
      sub: 'https://relay.example/hooks/x',
      exp: seconds + 300,
      body: hash('base64url'),
      ...claims,
    })
      .setProtectedHeader({ alg, typ: 'JWT' })
      .sign(new TextEncoder().encode(key))

  it('authenticates, with the hash padded or not', async () => {
    expect(await verify(qstash, await token())).toBe(true)
    expect(await verify(qstash, await token({ body: `${hash('base64url')}=` }))).toBe(true)
  })

  it.each<[string, Promise<string> | string | undefined, Parameters<typeof verify>[2], string]>([
    ['another body', token(), { text: '{"customer":"c-2"}' }, 'mismatch'],
    ['no hash', token({ body: undefined }), {}, 'mismatch'],
    ['an empty hash', token({ body: '' }), {}, 'mismatch'],
    ['a hash in hex', token({ body: hash('hex') }), {}, 'mismatch'],
    ['another secret', token({}, 'a-secret-of-somebody-else'), {}, 'mismatch'],
    ['another issuer', token({ iss: 'Other' }), {}, 'mismatch'],
    ['another address', token({ sub: 'https://other.example' }), {}, 'mismatch'],
    ['an old token', token({ exp: seconds - 31 }), {}, 'stale'],
    ['one not yet valid', token({ nbf: seconds + 31 }), {}, 'stale'],
    ['one without an end', token({ exp: undefined }), {}, 'malformed'],
    ['HS512', token({}, secret, 'HS512'), {}, 'mismatch'],
    ['no token', undefined, {}, 'header_missing'],
    ['no form of a token', 'x.y', {}, 'malformed'],
    ['an unsigned token', `${btoa('{"alg":"none"}')}.${btoa(JSON.stringify({ exp: seconds + 9 }))}.`, {}, 'malformed'],
  ])('refuses %s', async (_, given, more, verdict) => {
    expect(await verify(qstash, await given, more)).toBe(verdict)
  })

  it('a public key is never a secret', async () => {
    const forged = await token({}, JSON.stringify(await exportJWK(pair.publicKey)))
    const published: JwtOptions = { ...qstash, keyOf: publicKey }
    const { secret: _, ...under } = published
    expect(await verify(under, forged)).not.toBe(true)
  })
})

describe('Plaid: a key asked for by its id, and the age of the token', () => {
  const plaid = (asked: string[] = []): JwtOptions => ({
    header: 'plaid-verification',
    keyOf: async (kid) => {
      asked.push(kid)
      return kid === 'k1' ? publicKey() : undefined
    },
    maxAgeSeconds: 300,
    algorithms: ['ES256'],
    body: { claim: 'request_body_sha256', encoding: 'hex' },
  })
  const token = (claims: object = {}, kid = 'k1') =>
    new SignJWT({ iat: seconds, request_body_sha256: hash('hex'), ...claims })
      .setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' })
      .sign(pair.privateKey)

  it('authenticates, and asks once for a key', async () => {
    const asked: string[] = []
    const scheme = jwt(plaid(asked))
    const request = {
      method: 'POST',
      url: 'https://relay.example/hooks/x',
      headers: new Headers({ 'plaid-verification': await token() }),
      body: encodeUtf8(body),
      secrets: [],
      nowMs,
    }
    expect(await scheme.verify(request)).toBe(true)
    expect(await scheme.verify(request)).toBe(true)
    expect(asked).toEqual(['k1'])
  })

  it.each<[string, Promise<string>, string]>([
    ['an old token', token({ iat: seconds - 301 }), 'stale'],
    ['one from the future', token({ iat: seconds + 31 }), 'stale'],
    ['one without an age', token({ iat: undefined }), 'malformed'],
    ['another body’s hash', token({ request_body_sha256: hash('hex', 'x') }), 'mismatch'],
    ['an unknown key', token({}, 'k2'), 'unavailable'],
  ])('refuses %s', async (_, given, verdict) => {
    expect(await verify(plaid(), await given)).toBe(verdict)
  })
})

describe('a token that says too little', () => {
  const jwksUrl = 'https://issuer.example/keys'
  it.each<[string, JwtOptions]>([
    ['no issuer', { jwksUrl, audience: 'a' }],
    ['no audience', { jwksUrl, issuer: 'i' }],
    ['nobody who signs', { issuer: 'i', audience: 'a' }],
    ['two who sign', { jwksUrl, secret: true, issuer: 'i', audience: 'a' }],
    ['keys by http', { jwksUrl: 'http://issuer.example/keys', issuer: 'i', audience: 'a' }],
  ])('is no scheme: %s', (_, options) => {
    expect(() => jwt(options)).toThrow(TypeError)
  })
})
