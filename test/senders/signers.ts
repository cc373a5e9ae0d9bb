/** How each sender of the requests signs, written from its documentation and without the relay's code. */
import { createHash, createHmac } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { SignJWT } from 'jose'
import twilio from 'twilio'
import { googleToken, plaidToken, signRsa, vendorKeys } from './keys.ts'

const relay = 'https://relay.example/hooks'
/** Made up; of `basic()` with the user's name. */
export const secrets: Readonly<Record<string, string>> = {
  connect: 'made-up-key-of-connect',
  'sns-basic': 'sns-user:made-up-password-of-sns',
  iot: 'made-up-key-of-iot',
  'event-grid': 'made-up-key-of-event-grid',
  'cloud-events': 'made-up-key-of-cloud-events',
  'cloud-events-binary': 'made-up-key-of-binary-events',
  'pub-sub-bearer': 'made-up-token-of-pub-sub',
  salesforce: 'made-up-key-of-salesforce',
  'salesforce-flow': 'made-up-key-of-the-flow',
  'marketing-cloud': 'made-up-key-of-marketing-cloud',
  dataverse: 'made-up-key-of-dataverse',
  'journey-optimizer': 'made-up-key-of-journeys',
  'acrobat-sign': 'made-up-key-of-acrobat',
  marketo: 'made-up-key-of-marketo',
  segment: 'made-up-key-of-segment',
  rudderstack: 'made-up-key-of-rudderstack',
  braze: 'made-up-key-of-braze',
  klaviyo: 'made-up-key-of-klaviyo',
  mailchimp: 'made-up-key-of-mailchimp',
  tealium: 'tealium:made-up-password-of-tealium',
  'customer-io': 'made-up-key-of-customer-io',
  docusign: 'made-up-key-of-docusign',
  'adyen-payments': 'adyen:made-up-password-of-adyen',
  // In capitals, as Adyen shows it.
  'adyen-platform': '44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056',
  qstash: 'made-up-key-of-qstash',
  encompass: 'made-up-key-of-encompass',
  'twilio-flex': 'made-up-token-of-twilio-flex',
  'twilio-taskrouter': 'made-up-token-of-taskrouter',
  freshdesk: 'freshdesk:made-up-password-of-freshdesk',
  toast: 'made-up-key-of-toast',
  lightspeed: 'made-up-key-of-lightspeed',
  'shopify-topics': 'made-up-key-of-shopify',
  okta: 'made-up-key-of-okta',
  misread: 'made-up-token-of-misread',
  aircall: 'made-up-token-of-aircall',
  bigcommerce: 'made-up-key-of-bigcommerce',
  'dropbox-sign': 'made-up-key-of-dropbox-sign',
  intercom: 'made-up-secret-of-intercom',
  mandrill: 'made-up-key-of-mandrill',
  'microsoft-graph': 'made-up-client-state',
  ringcentral: 'made-up-token-of-ringcentral',
  'sap-event-mesh': 'mesh:made-up-password-of-the-mesh',
  vonage: 'made-up-secret-of-vonage-32-bytes',
  whatsapp: 'made-up-secret-of-the-app',
  // A public key without the lines around it.
  wise: vendorKeys.publicKey.replace(/-----[A-Z ]+-----|\s/g, ''),
}

export interface Signed {
  readonly body: string
  readonly nowMs: number
  /** Path and query of the request. */
  readonly path: string
}

/** Headers by lower-case name; `body` is what stands in the body. */
type Signer = (signed: Signed, secret: string) => Promise<Readonly<Record<string, string>>> | Record<string, string>

const hmac = (secret: string, text: string, encoding: 'hex' | 'base64', algorithm = 'sha256') =>
  createHmac(algorithm, secret).update(text).digest(encoding)
const hash = (text: string, encoding: 'hex' | 'base64url') => createHash('sha256').update(text).digest(encoding)
const field = (body: string, name: string) => (JSON.parse(body) as Record<string, string>)[name] ?? ''
const seconds = (nowMs: number) => Math.floor(nowMs / 1_000)

const google =
  (name: string): Signer =>
  async ({ nowMs }) => {
    const claims = { iss: 'https://accounts.google.com', aud: `${relay}/${name}`, email: 'push@made-up.example' }
    const token = (sub: string) => googleToken({ ...claims, sub, iat: seconds(nowMs), exp: seconds(nowMs) + 3_600 })
    return {
      authorization: `Bearer ${await token('104000000000000000001')}`,
      'x-token-of-another': `Bearer ${await token('104000000000000000002')}`,
    }
  }

export const signers: Readonly<Record<string, Signer>> = {
  sns: ({ body }) => {
    const names = ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type']
    const all = JSON.parse(body) as Record<string, string>
    return { body: signRsa(names.flatMap((name) => (name in all ? [`${name}\n${all[name]}\n`] : [])).join('')) }
  },
  'pub-sub': google('pub-sub'),
  'pub-sub-unwrapped': google('pub-sub-unwrapped'),
  'marketing-cloud': ({ body }, secret) => ({ 'x-sfmc-ens-signature': hmac(secret, body, 'base64') }),
  'adobe-io': ({ body }) => ({
    'x-adobe-digital-signature-1': signRsa(`${body} under an older key`),
    'x-adobe-digital-signature-2': signRsa(body),
  }),
  segment: ({ body }, secret) => ({ 'x-signature': hmac(secret, body, 'hex', 'sha1') }),
  klaviyo: ({ body, nowMs }, secret) => {
    const date = new Date(nowMs).toUTCString()
    return { 'klaviyo-timestamp': date, 'klaviyo-signature': hmac(secret, body + date, 'hex') }
  },
  'customer-io': ({ body, nowMs }, secret) => ({
    'x-cio-timestamp': String(seconds(nowMs)),
    'x-cio-signature': hmac(secret, `v0:${seconds(nowMs)}:${body}`, 'hex'),
  }),
  docusign: ({ body }, secret) => ({
    'x-docusign-signature-1': hmac('a key of somebody else', body, 'base64'),
    'x-docusign-signature-2': hmac(secret, body, 'base64'),
  }),
  'adyen-platform': ({ body }, secret) => ({
    hmacsignature: createHmac('sha256', Buffer.from(secret, 'hex')).update(body).digest('base64'),
  }),
  paypal: ({ body }) => ({
    'paypal-transmission-sig': signRsa(`t-1|2026-11-25T13:09:10Z|1AB23456CD789012E|${crc32(body)}`),
  }),
  plaid: async ({ body, nowMs }) => ({
    'plaid-verification': await plaidToken({ iat: seconds(nowMs), request_body_sha256: hash(body, 'hex') }),
  }),
  qstash: async ({ body, nowMs }, secret) => ({
    'upstash-signature': await new SignJWT({
      iss: 'Upstash',
      sub: `${relay}/qstash`,
      exp: seconds(nowMs) + 300,
      nbf: seconds(nowMs),
      iat: seconds(nowMs),
      jti: 'jwt_made_up',
      body: hash(body, 'base64url'),
    })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .sign(new TextEncoder().encode(secret)),
  }),
  encompass: ({ body }, secret) => ({ 'elli-signature': hmac(secret, body, 'base64') }),
  'twilio-flex': ({ path }, secret) => ({
    'x-twilio-signature': twilio.getExpectedTwilioSignature(secret, `https://relay.example${path}`, {}),
  }),
  'twilio-taskrouter': ({ body, path }, secret) => ({
    'x-twilio-signature': twilio.getExpectedTwilioSignature(
      secret,
      `https://relay.example${path}`,
      Object.fromEntries(new URLSearchParams(body)),
    ),
  }),
  toast: ({ body }, secret) => ({ 'toast-signature': hmac(secret, body + field(body, 'timestamp'), 'base64') }),
  lightspeed: ({ body }, secret) => ({ 'x-signature': `signature=${hmac(secret, body, 'hex')},algorithm=HMAC-SHA256` }),
  intercom: ({ body }, secret) => ({ 'x-hub-signature': `sha1=${hmac(secret, body, 'hex', 'sha1')}` }),
  mandrill: ({ body }, secret) => {
    const pairs = [...new URLSearchParams(body)].sort(([one], [other]) => (one < other ? -1 : 1))
    return { 'x-mandrill-signature': hmac(secret, `${relay}/mandrill${pairs.flat().join('')}`, 'base64', 'sha1') }
  },
  vonage: async ({ body, nowMs }, secret) => {
    const claims = {
      iss: 'Vonage',
      iat: seconds(nowMs),
      jti: 'j-1',
      api_key: 'made-up',
      payload_hash: hash(body, 'hex'),
    }
    const token = new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    return { authorization: `Bearer ${await token.sign(new TextEncoder().encode(secret))}` }
  },
  whatsapp: ({ body }, secret) => ({ 'x-hub-signature-256': `sha256=${hmac(secret, body, 'hex')}` }),
  wise: ({ body }) => ({ 'x-signature-sha256': signRsa(body) }),
  'shopify-topics': ({ body }, secret) => ({ 'x-shopify-hmac-sha256': hmac(secret, body, 'base64') }),
}

/** The query by which Twilio binds a body that is no form to its URL. */
export function bodyHash(body: string): string {
  return hash(body, 'hex')
}
