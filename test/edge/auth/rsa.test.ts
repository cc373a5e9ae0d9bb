/** RSA under keys by address: only where the description says they may come from, and only for this relay. */
import { createSign, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { encodeUtf8 } from '../../../src/edge/auth/encodings.ts'
import { adobeIo, paypal, sns } from '../../../src/edge/auth/rsa-presets.ts'
import type { AuthScheme } from '../../../src/edge/auth/scheme.ts'
import { publicKeyIn } from '../../../src/edge/auth/x509.ts'
import { certificateOf } from '../../support/rsa-certificate.ts'

const nowMs = 1_790_000_000_000
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
const sign = (content: string | Uint8Array) => createSign('sha256').update(content).sign(privateKey, 'base64')

const cert = certificateOf(privateKey)

function keysAt(text: string | undefined) {
  const asked: string[] = []
  const fetch = async (url: unknown, init?: RequestInit) => {
    asked.push(String(url))
    expect(init?.redirect).toBe('manual')
    return text === undefined ? new Response(null, { status: 500 }) : new Response(text)
  }
  return { asked, fetch: fetch as typeof globalThis.fetch }
}

const verify = (scheme: AuthScheme, body: string, headers: Record<string, string> = {}, atMs = nowMs) =>
  scheme.verify({
    method: 'POST',
    url: 'https://relay.example/hooks/x',
    headers: new Headers(headers),
    body: encodeUtf8(body),
    secrets: [],
    nowMs: atMs,
  })

describe('the public key in a PEM text', () => {
  it('is that of a key or of a certificate', () => {
    const der = publicKey.export({ type: 'spki', format: 'der' })
    expect(publicKeyIn(pem)).toEqual(new Uint8Array(der))
    expect(publicKeyIn(cert)).toEqual(new Uint8Array(der))
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const other = certificateOf(ec.privateKey)
    expect(publicKeyIn(other)).toEqual(
      new Uint8Array(new X509Certificate(other).publicKey.export({ type: 'spki', format: 'der' })),
    )
  })

  it('is none in anything else, however it is cut', () => {
    for (const text of [
      '',
      'x',
      pem.replace('PUBLIC KEY', 'PRIVATE KEY'),
      '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----',
    ])
      expect(publicKeyIn(text)).toBeUndefined()
    const der = Buffer.from(cert.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64')
    for (let size = 0; size < der.length; size += 7)
      expect(
        publicKeyIn(
          `-----BEGIN CERTIFICATE-----\n${der.subarray(0, size).toString('base64') || 'AA=='}\n-----END CERTIFICATE-----`,
        ),
      ).toBeUndefined()
  })
})

describe('Amazon SNS', () => {
  const topicArn = 'arn:aws:sns:eu-central-1:000000000000:loyalty'
  const url = 'https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem'
  const message = (more: Record<string, string> = {}) => {
    const all: Record<string, string> = {
      Type: 'Notification',
      MessageId: 'm-1',
      TopicArn: topicArn,
      Message: '{"customer":"c-1"}',
      Timestamp: '2026-11-25T13:09:10.388Z',
      SignatureVersion: '2',
      SigningCertURL: url,
      ...more,
    }
    const names =
      all['Type'] === 'Notification'
        ? ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type']
        : ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type']
    const signed = names.flatMap((name) => (all[name] === undefined ? [] : `${name}\n${all[name]}\n`)).join('')
    return JSON.stringify({ Signature: sign(signed), ...all })
  }

  it.each([
    ['a notification', {}],
    ['one with a subject', { Subject: 'tiers' }],
    ['a confirmation', { Type: 'SubscriptionConfirmation', Token: 't', SubscribeURL: 'https://sns.example/?a=b' }],
  ])('%s authenticates', async (_, more) => {
    expect(await verify(sns({ topicArn, ...keysAt(cert) }), message(more))).toBe(true)
  })

  it.each([
    ['another topic', { TopicArn: `${topicArn}-2` }],
    ['another type', { Type: 'Other' }],
  ])('%s does not', async (_, more) => {
    expect(await verify(sns({ topicArn, ...keysAt(cert) }), message(more))).not.toBe(true)
  })

  it('anything changed does not', async () => {
    const scheme = sns({ topicArn, ...keysAt(cert) })
    expect(await verify(scheme, message().replace('c-1', 'c-2'))).toBe('mismatch')
    expect(await verify(scheme, message().replace('m-1', 'm-2'))).toBe('mismatch')
    expect(await verify(scheme, message({ SignatureVersion: '1' }))).toBe('header_missing')
    expect(await verify(scheme, '{}')).toBe('header_missing')
    expect(await verify(scheme, 'no JSON')).toBe('header_missing')
  })

  it.each([
    'https://sns.eu-central-1.amazonaws.com.evil.example/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem',
    'https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem',
    'http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem',
    'https://user@sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem',
    'https://sns.eu-central-1.amazonaws.com:8443/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem',
    'https://sns.eu-central-1.amazonaws.com/other.pem',
    'https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem?x=1',
    'https://127.0.0.1/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem',
    'file:///etc/passwd',
    'x',
  ])('asks nothing of %s', async (address) => {
    const { asked, fetch } = keysAt(cert)
    expect(await verify(sns({ topicArn, fetch }), message({ SigningCertURL: address }))).toBe('mismatch')
    expect(asked).toEqual([])
  })

  it('asks once for a key, and anew after an hour', async () => {
    const { asked, fetch } = keysAt(cert)
    const scheme = sns({ topicArn, fetch })
    await verify(scheme, message())
    await verify(scheme, message())
    expect(asked).toEqual([url])
    await verify(scheme, message(), {}, nowMs + 3_600_001)
    expect(asked).toHaveLength(2)
  })

  it('where the key can’t be had the sender is told to come back, and strangers cause few requests', async () => {
    const { asked, fetch } = keysAt(undefined)
    const scheme = sns({ topicArn, fetch })
    expect(await verify(scheme, message())).toBe('unavailable')
    for (let n = 0; n < 500; n++)
      await verify(scheme, message({ SigningCertURL: url.replace(/0123/, n.toString(16).padStart(4, '0')) }))
    expect(asked.length).toBeLessThanOrEqual(30)
    expect(await verify(sns({ topicArn, ...keysAt('no key') }), message())).toBe('unavailable')
    expect(await verify(sns({ topicArn, ...keysAt('x'.repeat(300_000)) }), message())).toBe('unavailable')
  })

  it('needs the ARN of a topic', () => {
    for (const arn of ['', 'loyalty', 'arn:aws:sqs:eu-central-1:000000000000:loyalty'])
      expect(() => sns({ topicArn: arn })).toThrow(TypeError)
  })
})

describe('Adobe I/O Events', () => {
  const body = JSON.stringify({ event_id: 'e-1', recipient_client_id: 'client-1' })
  const headers = (signed = body, path = '/prod/keys/pub-key-1.pem', number = 1) => ({
    [`x-adobe-digital-signature-${number}`]: sign(signed),
    [`x-adobe-public-key${number}-path`]: path,
    'x-adobe-event-id': 'e-1',
  })

  it('either signature is enough', async () => {
    const { asked, fetch } = keysAt(pem)
    const scheme = adobeIo({ clientId: 'client-1', fetch })
    expect(await verify(scheme, body, headers())).toBe(true)
    expect(await verify(scheme, body, { ...headers('other'), ...headers(body, '/prod/keys/pub-key-2.pem', 2) })).toBe(
      true,
    )
    expect(asked).toEqual([
      'https://static.adobeioevents.com/prod/keys/pub-key-1.pem',
      'https://static.adobeioevents.com/prod/keys/pub-key-2.pem',
    ])
    expect(scheme.eventId?.(new Headers(headers()))).toBe('e-1')
  })

  it('another customer’s event, another body and another path are refused', async () => {
    const { asked, fetch } = keysAt(pem)
    expect(await verify(adobeIo({ clientId: 'client-2', fetch }), body, headers())).toBe('mismatch')
    const scheme = adobeIo({ clientId: 'client-1', fetch })
    expect(await verify(scheme, body.replace('e-1', 'e-2'), headers())).toBe('mismatch')
    expect(await verify(scheme, body)).toBe('header_missing')
    asked.length = 0
    for (const path of [
      '.evil.example/x.pem',
      '@evil.example/x.pem',
      '//evil.example/keys/x.pem',
      '/prod/keys/../../x.pem',
      '/x',
    ])
      expect(await verify(scheme, body, headers(body, path))).not.toBe(true)
    expect(asked).toEqual([])
  })
})

describe('PayPal', () => {
  const body = JSON.stringify({ id: 'WH-1', resource: { payer: 'c-1' } })
  const headers = (
    webhookId = 'webhook-1',
    certUrl = 'https://api.paypal.com/v1/notifications/certs/CERT-360caa42',
  ) => ({
    'paypal-transmission-id': 't-1',
    'paypal-transmission-time': '2026-11-25T13:09:10Z',
    'paypal-transmission-sig': sign(`t-1|2026-11-25T13:09:10Z|${webhookId}|${crc32(body)}`),
    'paypal-cert-url': certUrl,
  })

  it('authenticates its webhook', async () => {
    expect(await verify(paypal({ webhookId: 'webhook-1', ...keysAt(cert) }), body, headers())).toBe(true)
  })

  it('signs what the tests of PayPal’s own SDKs have: id, time, webhook, and the CRC-32 of the body', async () => {
    // Of the tests of PayPal’s own SDKs, the body shortened; the certificate was not published.
    const published =
      '{"id":"WH-0G2756385H040842W-5Y612302CV158622M","create_time":"2015-05-18T15:45:13Z","resource_type":"sale","event_type":"PAYMENT.SALE.COMPLETED"}'
    const [id, time, webhookId] = ['dfb3be50-fd74-11e4-8bf3-77339302725b', '2015-05-18T15:45:13Z', '4JH86294D6297924G']
    const given = {
      'paypal-transmission-id': id,
      'paypal-transmission-time': time,
      'paypal-transmission-sig': sign([id, time, webhookId, crc32(published)].join('|')),
      'paypal-cert-url': 'https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77',
    }
    expect(await verify(paypal({ webhookId, ...keysAt(cert) }), published, given)).toBe(true)
  })

  it('not another webhook’s, another body, or a certificate from elsewhere', async () => {
    const { asked, fetch } = keysAt(cert)
    const scheme = paypal({ webhookId: 'webhook-1', fetch })
    expect(await verify(scheme, body, headers('webhook-2'))).toBe('mismatch')
    expect(await verify(scheme, body.replace('c-1', 'c-2'), headers())).toBe('mismatch')
    expect(await verify(scheme, body)).toBe('header_missing')
    asked.length = 0
    for (const elsewhere of [
      'https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1',
      'https://api.paypal.com/other',
    ])
      expect(await verify(scheme, body, headers('webhook-1', elsewhere))).toBe('mismatch')
    expect(asked).toEqual([])
  })
})
