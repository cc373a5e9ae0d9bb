/** Schemes without a preset against the vendors' own libraries: what one of both takes, and refuses, the other does too. */
import { createHash, createSign, generateKeyPairSync } from 'node:crypto'
import https from 'node:https'
import { createRequire } from 'node:module'
import { Readable } from 'node:stream'
import { Receiver } from '@upstash/qstash'
import { SignJWT } from 'jose'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { encodeUtf8 } from '../../../src/edge/auth/encodings.ts'
import { jwt } from '../../../src/edge/auth/jwt.ts'
import { sns } from '../../../src/edge/auth/rsa-presets.ts'
import type { AuthScheme } from '../../../src/edge/auth/scheme.ts'
import { certificateOf } from '../../support/rsa-certificate.ts'

const url = 'https://relay.example/hooks/x'
const nowMs = Date.now()
const seconds = Math.floor(nowMs / 1_000)

const relayTakes = async (scheme: AuthScheme, body: string, headers: Record<string, string>, secrets: string[] = []) =>
  (await scheme.verify({
    method: 'POST',
    url,
    headers: new Headers(headers),
    body: encodeUtf8(body),
    secrets,
    nowMs,
  })) === true

const settles = (promise: Promise<unknown>) =>
  promise.then(
    () => true,
    () => false,
  )

describe('QStash and its Receiver', () => {
  const keys = { currentSigningKey: 'sig_made_up_current', nextSigningKey: 'sig_made_up_next' }
  const receiver = new Receiver(keys)
  const scheme = jwt({
    header: 'upstash-signature',
    secret: true,
    issuer: 'Upstash',
    subject: url,
    body: { claim: 'body', encoding: 'base64url' },
  })
  const body = '{"customer":"Zürich"}'
  const tokenOf = (claims: object = {}, key = keys.currentSigningKey) =>
    new SignJWT({
      iss: 'Upstash',
      sub: url,
      exp: seconds + 300,
      nbf: seconds,
      iat: seconds,
      jti: 'jwt_made_up',
      body: createHash('sha256').update(body).digest('base64url'),
      ...claims,
    })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .sign(new TextEncoder().encode(key))

  it.each<[string, boolean, Promise<string>, string]>([
    ['the current key', true, tokenOf(), body],
    ['the next key', true, tokenOf({}, keys.nextSigningKey), body],
    ['a padded hash', true, tokenOf({ body: `${createHash('sha256').update(body).digest('base64url')}=` }), body],
    ['another key', false, tokenOf({}, 'sig_of_somebody_else'), body],
    ['another body', false, tokenOf(), body.replace('Zürich', 'Bern')],
    ['another address', false, tokenOf({ sub: 'https://other.example' }), body],
    ['another issuer', false, tokenOf({ iss: 'Other' }), body],
    ['an old token', false, tokenOf({ exp: seconds - 60 }), body],
  ])('%s: %s', async (_, taken, token, sent) => {
    const signature = await token
    expect(await settles(receiver.verify({ signature, body: sent, url }))).toBe(taken)
    expect(await relayTakes(scheme, sent, { 'upstash-signature': signature }, Object.values(keys))).toBe(taken)
  })
})

describe('SNS and sns-validator', () => {
  // Published without types.
  const Validator = createRequire(import.meta.url)('sns-validator') as new () => {
    validate(message: string, done: (error: Error | null) => void): void
  }
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
  const certificate = certificateOf(privateKey)
  const topicArn = 'arn:aws:sns:eu-central-1:000000000000:loyalty'
  const base = {
    Type: 'Notification',
    MessageId: 'm-1',
    TopicArn: topicArn,
    Message: '{"customer":"Zürich"}',
    Timestamp: '2026-11-25T13:09:10.388Z',
    SignatureVersion: '2',
    SigningCertURL:
      'https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem',
  }
  const confirmation = {
    ...base,
    Type: 'SubscriptionConfirmation',
    Token: 't',
    SubscribeURL: 'https://sns.example/?a=b',
  }
  const signedOf = (message: Readonly<Record<string, string>>, algorithm = 'sha256') => {
    // By the alphabet, as AWS's page says; the signature and what only says how it was made are left out.
    const names = Object.keys(message)
      .filter((name) => !name.startsWith('Sign'))
      .sort()
    const content = names.map((name) => `${name}\n${message[name]}\n`).join('')
    return JSON.stringify({ ...message, Signature: createSign(algorithm).update(content).sign(privateKey, 'base64') })
  }

  afterEach(() => vi.restoreAllMocks())

  it.each<[string, boolean, string]>([
    ['a notification', true, signedOf(base)],
    ['one with a subject', true, signedOf({ ...base, Subject: 'tiers' })],
    ['a confirmation', true, signedOf(confirmation)],
    ['a changed message', false, signedOf(base).replace('Zürich', 'Bern')],
    ['a changed subject', false, signedOf({ ...base, Subject: 'tiers' }).replace('tiers', 'other')],
    ['a changed address', false, signedOf(confirmation).replace('?a=b', '?a=c')],
    ['another host', false, signedOf({ ...base, SigningCertURL: 'https://sns.example/x.pem' })],
  ])('%s: %s', async (_, taken, message) => {
    vi.spyOn(https, 'get').mockImplementation(((_url: string, answered: (response: unknown) => void) => {
      answered(Object.assign(Readable.from([certificate]), { statusCode: 200 }))
      return { on: () => {} }
    }) as never)
    const validated = new Promise((resolve, reject) =>
      new Validator().validate(message, (error) => (error === null ? resolve(true) : reject(error))),
    )
    expect(await settles(validated)).toBe(taken)
    const fetch = (async () => new Response(certificate)) as unknown as typeof globalThis.fetch
    expect(await relayTakes(sns({ topicArn, fetch }), message, {})).toBe(taken)
  })
})
