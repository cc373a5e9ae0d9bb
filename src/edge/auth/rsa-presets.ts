/** Senders that sign with RSA under keys at an address of theirs (docs/sources.md, "Without a signature"). */
import { parseJsonBody } from '../http/body.ts'
import { fields } from './preset.ts'
import { rsa } from './rsa.ts'
import type { AuthRequest, AuthScheme } from './scheme.ts'

type Fetch = { readonly fetch?: typeof globalThis.fetch }

/** AWS: "Verifying the signatures of Amazon SNS messages". Absent fields are left out, Subject for example. */
const snsFields = {
  Notification: ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'],
  SubscriptionConfirmation: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
  UnsubscribeConfirmation: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
}
const snsCertificate = /^\/SimpleNotificationService-[0-9a-f]{32}\.pem$/

/**
 * Amazon SNS to HTTPS, with signature version 2 (SHA-256), which a topic must be set to.
 *
 * @param options.topicArn whoever has an AWS account can sign a message of another topic
 * @throws TypeError where it is no ARN of a topic
 */
export function sns({ topicArn, ...more }: { readonly topicArn: string } & Fetch): AuthScheme {
  const [, partition = '', region = ''] = /^arn:(aws(?:-cn)?):sns:([a-z0-9-]+):\d{12}:[\w.-]+$/.exec(topicArn) ?? []
  if (region === '') throw new TypeError('sns needs the ARN of its topic: arn:aws:sns:<region>:<account>:<name>')
  const host = `sns.${region}.amazonaws.com${partition === 'aws-cn' ? '.cn' : ''}`
  const textsOf = (request: AuthRequest) => {
    const all = fields(parseJsonBody(request.body))
    return (name: string) => (typeof all[name] === 'string' ? all[name] : undefined)
  }
  return rsa({
    name: 'sns',
    ...more,
    signatures: (request) => {
      const text = textsOf(request)
      const [signature, keyUrl] = [text('Signature'), text('SigningCertURL')]
      return text('SignatureVersion') === '2' && signature !== undefined && keyUrl !== undefined
        ? [{ signature, keyUrl }]
        : []
    },
    isKeyUrl: ({ hostname, port, pathname, search }) =>
      hostname === host && port === '' && search === '' && snsCertificate.test(pathname),
    signed: (request) => {
      const text = textsOf(request)
      const names = Object.entries(snsFields).find(([type]) => type === text('Type'))?.[1]
      return names?.map((name) => (text(name) === undefined ? '' : `${name}\n${text(name)}\n`)).join('')
    },
    belongs: (request) => textsOf(request)('TopicArn') === topicArn,
    eventId: (headers) => headers.get('x-amz-sns-message-id') ?? undefined,
  })
}

const adobeKeys = 'https://static.adobeioevents.com'
const adobeKeyPath = /^\/[a-z]+\/keys\/[\w-]+\.pem$/

/**
 * Adobe I/O Events: two signatures over the body, either of which is enough while keys change.
 *
 * @param options.clientId of the project's credential: Adobe signs for all of its customers under the same keys
 */
export function adobeIo({ clientId, ...more }: { readonly clientId: string } & Fetch): AuthScheme {
  return rsa({
    name: 'adobe-io',
    ...more,
    signatures: ({ headers }) =>
      ['1', '2'].flatMap((number) => {
        const signature = headers.get(`x-adobe-digital-signature-${number}`)
        const path = headers.get(`x-adobe-public-key${number}-path`)
        return signature === null || path === null || !path.startsWith('/')
          ? []
          : [{ signature, keyUrl: adobeKeys + path }]
      }),
    isKeyUrl: ({ origin, pathname, search }) => origin === adobeKeys && search === '' && adobeKeyPath.test(pathname),
    signed: ({ body }) => body,
    belongs: ({ body }) => fields(parseJsonBody(body))['recipient_client_id'] === clientId,
    eventId: (headers) => headers.get('x-adobe-event-id') ?? undefined,
  })
}

const paypalHosts = ['api.paypal.com', 'api.sandbox.paypal.com']
const paypalCertificate = /^\/v1\/notifications\/certs\/[\w-]+$/

/**
 * PayPal: the signature covers the transmission, the webhook's id and the body's CRC-32. That is no hash: whoever saw one
 * webhook can make another body that fits its signature.
 *
 * @param options.webhookId as PayPal's dashboard shows it
 */
export function paypal({ webhookId, ...more }: { readonly webhookId: string } & Fetch): AuthScheme {
  return rsa({
    name: 'paypal',
    ...more,
    signatures: ({ headers }) => {
      const [signature, keyUrl] = [headers.get('paypal-transmission-sig'), headers.get('paypal-cert-url')]
      return signature === null || keyUrl === null ? [] : [{ signature, keyUrl }]
    },
    isKeyUrl: ({ hostname, port, pathname, search }) =>
      paypalHosts.includes(hostname) && port === '' && search === '' && paypalCertificate.test(pathname),
    signed: ({ headers, body }) => {
      const [id, time] = [headers.get('paypal-transmission-id'), headers.get('paypal-transmission-time')]
      if (id === null || time === null) return undefined
      return `${id}|${time}|${webhookId}|${crc32(body)}`
    },
    belongs: () => true,
  })
}

/** CRC-32 as zlib has it, as an unsigned number. */
function crc32(bytes: Uint8Array): number {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xed_b8_83_20 & -(crc & 1))
  }
  return ~crc >>> 0
}
