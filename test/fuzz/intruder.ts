/** Somebody with keys of their own, who knows each scheme, and names an address of theirs as the place of the key. */
import { createHash, createSign, generateKeyPairSync } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { SignJWT, UnsecuredJWT } from 'jose'
import type { RawRequest } from '../corpus/corpus.ts'
import { vendorKeys } from '../senders/keys.ts'
import { certificateOf } from '../support/rsa-certificate.ts'
import type { Draw } from './draw.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** What lies at the intruder's addresses: with it, each of the requests below would be authenticated. */
export const intrudersCertificate = certificateOf(rsa.privateKey)

export const intrudersVisitor = 'visitor-of-an-intruder'

/** Addresses that look more or less like the vendor's, and lead to the intruder's. */
function addressesLike(vendors: string, listener: string): readonly string[] {
  const { origin, host, pathname } = new URL(vendors)
  const { host: own, port } = new URL(listener)
  return [
    ...[listener, listener + pathname, `https://${own}${pathname}`, `http://localhost:${port}${pathname}`],
    ...[`${origin}@${own}${pathname}`, `${origin}:${port}${pathname}`, `${origin}.intruder.example${pathname}`],
    ...[
      `https://intruder.example/${host}${pathname}`,
      `https://intruder.example#${vendors}`,
      `http://${host}${pathname}`,
    ],
    ...[`https://intruder.example\\@${host}${pathname}`, `https://${host}\\.intruder.example${pathname}`],
    ...[`${origin}/../..//intruder.example${pathname}`, `${vendors}?to=${listener}`, `${vendors}/../x`, ` ${listener}`],
    ...[`https://${host}%2eintruder.example${pathname}`, `https://${host}%00.intruder.example${pathname}`],
    ...[`${origin}/redirect?to=${listener}`, `//${own}${pathname}`, `file://${pathname}`, 'data:text/plain,x', vendors],
    ...['https://169.254.169.254/latest/meta-data', `https://[::ffff:127.0.0.1]:${port}${pathname}`, ''],
  ]
}

const snsKeys = 'https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem'
const paypalKeys = 'https://api.paypal.com/v1/notifications/certs/CERT-360caa42'
const adobeKeys = 'https://static.adobeioevents.com/prod/keys/pub-key-1.pem'
const signRsa = (text: string) => createSign('sha256').update(text).sign(rsa.privateKey, 'base64')
const hash = (text: string, encoding: 'hex' | 'base64url') => createHash('sha256').update(text).digest(encoding)

/** A request that only the key's address would make authentic. */
export async function intrudersRequest(draw: Draw, nowMs: number, listener: string): Promise<RawRequest> {
  const make = draw.pick([snsRequest, snsRequest, adobeRequest, paypalRequest, tokenRequest, tokenRequest])
  return make(draw, nowMs, listener)
}

function snsRequest(draw: Draw, nowMs: number, listener: string): RawRequest {
  const signed = {
    Message: JSON.stringify({ customer: intrudersVisitor, tier: 'gold' }),
    MessageId: 'intruder-1',
    Timestamp: new Date(nowMs).toISOString(),
    TopicArn: 'arn:aws:sns:eu-central-1:000000000000:loyalty',
    Type: 'Notification',
  }
  const text = Object.entries(signed).map(([name, value]) => `${name}\n${value}\n`)
  const SigningCertURL = draw.pick(addressesLike(snsKeys, listener))
  const body = { ...signed, SignatureVersion: '2', Signature: signRsa(text.join('')), SigningCertURL }
  return made('sns', { 'x-amz-sns-message-type': 'Notification', 'x-amz-sns-message-id': 'intruder-1' }, body)
}

function adobeRequest(draw: Draw, nowMs: number, listener: string): RawRequest {
  const body = {
    event_id: 'intruder-1',
    event: { 'activitystreams:published': new Date(nowMs), customer: intrudersVisitor, audience: 'savers' },
    recipient_client_id: 'client-id-of-the-project',
  }
  const { host } = new URL(listener)
  const path = draw.pick([
    ...addressesLike(adobeKeys, listener),
    ...[
      `@${host}/prod/keys/x.pem`,
      `.intruder.example/prod/keys/x.pem`,
      `//${host}/prod/keys/x.pem`,
      '/prod/keys/x.pem',
    ],
    ...[`/\\${host}/prod/keys/x.pem`, `/prod/keys/../../x.pem`, `:80@${host}/prod/keys/x.pem`],
  ])
  const number = draw.pick(['1', '2'])
  const headers = {
    [`x-adobe-digital-signature-${number}`]: signRsa(JSON.stringify(body)),
    [`x-adobe-public-key${number}-path`]: path,
    'x-adobe-event-id': 'intruder-1',
  }
  return made('adobe-io', headers, body)
}

function paypalRequest(draw: Draw, nowMs: number, listener: string): RawRequest {
  const body = {
    ...{ id: 'intruder-1', create_time: new Date(nowMs), event_type: 'PAYMENT' },
    resource: { custom_id: intrudersVisitor },
  }
  const time = new Date(nowMs).toISOString()
  const headers = {
    'paypal-transmission-id': 't-1',
    'paypal-transmission-time': time,
    'paypal-transmission-sig': signRsa(`t-1|${time}|1AB23456CD789012E|${crc32(JSON.stringify(body))}`),
    'paypal-cert-url': draw.pick(addressesLike(paypalKeys, listener)),
  }
  return made('paypal', headers, body)
}

const tokenHeaders: Readonly<Record<string, string>> = {
  'pub-sub': 'authorization',
  plaid: 'plaid-verification',
  qstash: 'upstash-signature',
}

/** A token that brings its key along, or names it by address, or takes the vendor's public key for a secret. */
async function tokenRequest(draw: Draw, nowMs: number, listener: string): Promise<RawRequest> {
  const source = draw.pick(Object.keys(tokenHeaders))
  const body = { item_id: intrudersVisitor, webhook_code: 'x', id: 'i-1', customer: intrudersVisitor, plan: 'gold' }
  const claims = {
    ...{ iss: draw.pick(['https://accounts.google.com', 'Upstash', listener]), sub: '104000000000000000001' },
    ...{
      aud: 'https://relay.example/hooks/pub-sub',
      iat: Math.floor(nowMs / 1_000),
      exp: Math.floor(nowMs / 1_000) + 300,
    },
    ...{ body: hash(JSON.stringify(body), 'base64url'), request_body_sha256: hash(JSON.stringify(body), 'hex') },
  }
  const where = { jku: `${listener}/jwks`, x5u: `${listener}/x5u`, jwk: ec.publicKey.export({ format: 'jwk' }) }
  const kid = draw.pick(['google-1', 'plaid-1', `${listener}/key`, '../../x', 'x'.repeat(2_000)])
  const ways = [
    () => new UnsecuredJWT(claims).encode(),
    () => new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid, ...where }).sign(rsa.privateKey),
    () => new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid, ...where }).sign(ec.privateKey),
    () =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256', kid })
        .sign(new TextEncoder().encode(draw.pick([vendorKeys.publicKey, vendorKeys.certificate, 'x']))),
  ]
  const token = await draw.pick(ways)()
  const name = tokenHeaders[source] ?? ''
  return made(source, { [name]: name === 'authorization' ? `Bearer ${token}` : token }, body)
}

function made(source: string, headers: Readonly<Record<string, string>>, event: object): RawRequest {
  const body = Buffer.from(JSON.stringify(event))
  return {
    method: 'POST',
    path: `/hooks/${source}`,
    headers: [
      ...Object.entries({ host: 'relay.example', 'content-type': 'application/json', ...headers }),
      ['content-length', String(body.length)],
    ],
    body,
  }
}
