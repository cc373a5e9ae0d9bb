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
import { adobeIo, sns } from '../../../src/edge/auth/rsa-presets.ts'
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

describe('Adobe I/O Events and @adobe/aio-lib-events', () => {
  type Library = {
    isTargetRecipient: (event: object, clientId: string) => boolean
    verifySignature: (
      signatures: readonly string[],
      payload: string,
      keys: readonly string[],
      clientId: string,
    ) => Promise<boolean | undefined>
  }
  // What it does with the keys once they are fetched: the rest needs a state store of Adobe's.
  const { isTargetRecipient, verifySignature } = (
    createRequire(import.meta.url)('@adobe/aio-lib-events/src/signatureUtils.js') as { exportFunctions: Library }
  ).exportFunctions
  const [first, second] = [1, 2].map(() => generateKeyPairSync('rsa', { modulusLength: 2_048 })) as [Pair, Pair]
  type Pair = ReturnType<typeof generateKeyPairSync>
  const pemOf = ({ publicKey }: Pair) => String(publicKey.export({ type: 'spki', format: 'pem' }))
  const signed = (text: string, { privateKey }: Pair) => createSign('sha256').update(text).sign(privateKey, 'base64')
  const fetch = (async (url: string) =>
    new Response(pemOf(url.endsWith('1.pem') ? first : second))) as typeof globalThis.fetch
  const event = '{"event_id":"e-1","event":{"customer":"Zürich"},"recipient_client_id":"client-1"}'
  const other = event.replace('Zürich', 'Bern')

  it.each<[string, boolean, string, readonly [string, string]]>([
    ['both signatures', true, event, [signed(event, first), signed(event, second)]],
    ['the first alone', true, event, [signed(event, first), signed(other, second)]],
    ['the second alone', true, event, [signed(other, first), signed(event, second)]],
    ['each under the key of the other', false, event, [signed(event, second), signed(event, first)]],
    ['another body', false, other, [signed(event, first), signed(event, second)]],
    [
      'another recipient',
      false,
      event.replace('client-1', 'client-2'),
      ['client-1', 'client-2'].map(() => signed(event.replace('client-1', 'client-2'), first)) as [string, string],
    ],
  ])('%s: %s', async (_, taken, body, [one, two]) => {
    const library =
      isTargetRecipient(JSON.parse(body) as object, 'client-1') &&
      (await verifySignature([one, two], body, [pemOf(first), pemOf(second)], 'client-1')) === true
    expect(library).toBe(taken)
    const headers = {
      'x-adobe-digital-signature-1': one,
      'x-adobe-public-key1-path': '/prod/keys/pub-key-1.pem',
      'x-adobe-digital-signature-2': two,
      'x-adobe-public-key2-path': '/prod/keys/pub-key-2.pem',
    }
    expect(await relayTakes(adobeIo({ clientId: 'client-1', fetch }), body, headers)).toBe(taken)
  })
})
