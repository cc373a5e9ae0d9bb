/**
 * Senders as their vendors define them: how each signs, and what the vendor's own library says of a request. Keys and
 * secrets are made up.
 */
import { createHash, createHmac, generateKeyPairSync, sign as nodeSign } from 'node:crypto'
import { createRequire } from 'node:module'
import { hmacValidator as AdyenValidator } from '@adyen/api-library'
import { Signature as HubspotSignature } from '@hubspot/api-client'
import { validateSignature as validateLine } from '@line/bot-sdk'
import { LinearWebhookClient } from '@linear/sdk/webhooks'
import { sign as signGithub, verify as verifyGithub } from '@octokit/webhooks-methods'
import { WebhookEventVerifier as OnfidoVerifier } from '@onfido/api'
import { Environment, Paddle } from '@paddle/paddle-node-sdk'
import { encodeSignatureHeader, isValidSignature } from '@sanity/webhook'
import '@shopify/shopify-api/adapters/web-api'
import Mux from '@mux/mux-node'
import { ApiVersion, shopifyApi } from '@shopify/shopify-api'
import { WorkOS } from '@workos-inc/node'
import { AwsLambdaReceiver } from '@zoom/rivet/users'
import { WebhooksManager as BoxWebhooks } from 'box-node-sdk/lib/managers/webhooks'
import { verifyRequestSignature as verifyCustomerio } from 'customerio-node'
import { verifyKey as verifyDiscord } from 'discord-interactions'
import { verifySignature as verifyGocardless } from 'gocardless-nodejs'
import Razorpay from 'razorpay'
import { WebhooksHelper } from 'square'
import { Webhook as StandardWebhook } from 'standardwebhooks'
import Stripe from 'stripe'
import { Webhook as SvixWebhook } from 'svix'
import twilio from 'twilio'
import { WebflowClient } from 'webflow-api'
import * as presets from '../../../src/edge/auth/presets.ts'

const require = createRequire(import.meta.url)
// Published without types.
const { EventWebhook } = require('@sendgrid/eventwebhook') as {
  EventWebhook: new () => {
    convertPublicKeyToECDSA(key: string): unknown
    verifySignature(key: unknown, payload: string, signature: string, timestamp: string): boolean
  }
}

export interface Signed {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Sender {
  readonly preset: presets.Preset
  /** Two secrets as `HOOK_SECRET_…` holds them, and the signing function of each. */
  readonly secrets: readonly [string, string]
  /** `id`: the message's, if it is signed too. */
  readonly sign: (body: string, nowMs: number, secret: string, id?: string) => Promise<Signed> | Signed
  /** The verdict of the vendor's library, if it publishes one. */
  readonly vendor?: (request: Signed, secret: string) => Promise<boolean> | boolean
  /** Whether the vendor's library checks the time too. */
  readonly vendorSeesTime?: boolean
  readonly body?: string
}

export const hookUrl = 'https://relay.example/hooks/vendor'
const json = { 'content-type': 'application/json' }
const hmac = (algorithm: string, secret: string | Buffer, content: string, encoding: 'hex' | 'base64' | 'base64url') =>
  createHmac(algorithm, secret).update(content).digest(encoding)
const seconds = (nowMs: number) => String(Math.floor(nowMs / 1_000))
const random = (seed: string, bytes = 24) => createHash('sha512').update(`made up ${seed}`).digest().subarray(0, bytes)
const two = (make: (n: number) => string): [string, string] => [make(1), make(2)]
const whsec = two((n) => `whsec_${random(`standard ${n}`).toString('base64')}`)
const word = (name: string) => two((n) => `${name}-${random(`${name} ${n}`).toString('hex')}`)

const p256 = [1, 2].map(() => generateKeyPairSync('ec', { namedCurve: 'P-256' }))
const ed25519 = [1, 2].map(() => generateKeyPairSync('ed25519'))
const spki = ({ publicKey }: (typeof p256)[number]) => publicKey.export({ type: 'spki', format: 'der' })
const edRaw = ({ publicKey }: (typeof ed25519)[number]) =>
  publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
const ofKey = <T>(pairs: readonly T[], texts: readonly string[], secret: string): T => pairs[texts.indexOf(secret)] as T

const sendgridKeys = p256.map((pair) => spki(pair).toString('base64')) as [string, string]
const discordKeys = ed25519.map((pair) => edRaw(pair).toString('hex')) as [string, string]
const whpk = ed25519.map((pair) => `whpk_${edRaw(pair).toString('base64')}`) as [string, string]

const shopify = (secret: string) =>
  shopifyApi({
    apiKey: 'key',
    apiSecretKey: secret,
    hostName: 'relay.example',
    apiVersion: Object.values(ApiVersion)[0] as ApiVersion,
    isEmbeddedApp: false,
    logger: { log: () => {} },
  })
const quiet = async (work: () => unknown): Promise<boolean> => {
  try {
    return (await work()) !== false
  } catch {
    return false
  }
}

export const senders: Readonly<Record<string, Sender>> = {
  'standard-webhooks': {
    preset: presets.standardWebhooks,
    secrets: whsec,
    sign: (body, nowMs, secret, id = 'msg_1') => ({
      url: hookUrl,
      body,
      headers: {
        ...json,
        'webhook-id': id,
        'webhook-timestamp': seconds(nowMs),
        'webhook-signature': new StandardWebhook(secret).sign(id, new Date(nowMs), body),
      },
    }),
    vendor: ({ headers, body }, secret) => quiet(() => new StandardWebhook(secret).verify(body, headers)),
    vendorSeesTime: true,
  },
  'standard-webhooks v1a': {
    preset: presets.standardWebhooks,
    secrets: whpk,
    sign: (body, nowMs, secret, id = 'msg_1') => ({
      url: hookUrl,
      body,
      headers: {
        ...json,
        'webhook-id': id,
        'webhook-timestamp': seconds(nowMs),
        'webhook-signature': `v1a,${nodeSign(null, Buffer.from(`${id}.${seconds(nowMs)}.${body}`), ofKey(ed25519, whpk, secret).privateKey).toString('base64')}`,
      },
    }),
  },
  svix: {
    preset: presets.svix,
    secrets: whsec,
    sign: (body, nowMs, secret, id = 'msg_1') => ({
      url: hookUrl,
      body,
      headers: {
        ...json,
        'svix-id': id,
        'svix-timestamp': seconds(nowMs),
        'svix-signature': new SvixWebhook(secret).sign(id, new Date(nowMs), body),
      },
    }),
    vendor: ({ headers, body }, secret) => quiet(() => new SvixWebhook(secret).verify(body, { ...headers })),
    vendorSeesTime: true,
  },
  stripe: {
    preset: presets.stripe,
    secrets: word('whsec_stripe'),
    sign: (body, nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: {
        ...json,
        'stripe-signature': new Stripe('sk_test_x').webhooks.generateTestHeaderString({
          payload: body,
          secret,
          timestamp: Number(seconds(nowMs)),
        }),
      },
    }),
    vendor: ({ headers, body }, secret) =>
      quiet(() => new Stripe('sk_test_x').webhooks.constructEvent(body, headers['stripe-signature'] ?? '', secret)),
    vendorSeesTime: true,
  },
  github: {
    preset: presets.github,
    secrets: word('github'),
    sign: async (body, _nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: { ...json, 'x-github-delivery': 'd-1', 'x-hub-signature-256': await signGithub(secret, body) },
    }),
    vendor: ({ headers, body }, secret) =>
      quiet(() => verifyGithub(secret, body, headers['x-hub-signature-256'] ?? '')),
  },
  shopify: {
    preset: presets.shopify,
    secrets: word('shopify'),
    sign: (body, _nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: {
        ...json,
        'x-shopify-hmac-sha256': hmac('sha256', secret, body, 'base64'),
        'x-shopify-api-version': '2026-10',
        'x-shopify-shop-domain': 'shop.example',
        'x-shopify-topic': 'customers/update',
        'x-shopify-webhook-id': 'w-1',
        'x-shopify-event-id': 'e-1',
        'x-shopify-triggered-at': '2026-11-24T00:00:00Z',
      },
    }),
    vendor: async ({ url, headers, body }, secret) =>
      (
        await shopify(secret).webhooks.validate({
          rawBody: body,
          rawRequest: new Request(url, { method: 'POST', headers: { ...headers }, body }),
        })
      ).valid,
  },
  slack: {
    preset: presets.slack,
    secrets: word('slack'),
    sign: (body, nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: {
        ...json,
        'x-slack-request-timestamp': seconds(nowMs),
        'x-slack-signature': `v0=${hmac('sha256', secret, `v0:${seconds(nowMs)}:${body}`, 'hex')}`,
      },
    }),
  },
  hubspot: {
    preset: presets.hubspot,
    secrets: word('hubspot'),
    sign: (body, nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: {
        ...json,
        'x-hubspot-request-timestamp': String(nowMs),
        'x-hubspot-signature-v3': HubspotSignature.getSignature('POST', 'v3', {
          clientSecret: secret,
          requestBody: body,
          url: hookUrl,
          timestamp: nowMs,
          signature: '',
        }),
      },
    }),
    vendor: ({ url, headers, body }, secret) =>
      quiet(() =>
        HubspotSignature.isValid({
          method: 'POST',
          signatureVersion: 'v3',
          clientSecret: secret,
          requestBody: body,
          url,
          timestamp: Number(headers['x-hubspot-request-timestamp']),
          signature: headers['x-hubspot-signature-v3'] ?? '',
        }),
      ),
    vendorSeesTime: true,
  },
  twilio: {
    preset: presets.twilio,
    secrets: word('twilio'),
    body: 'CallSid=CA1&From=%2B4790000000&Status=done',
    sign: (body, _nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-twilio-signature': twilio.getExpectedTwilioSignature(
          secret,
          hookUrl,
          Object.fromEntries(new URLSearchParams(body)),
        ),
      },
    }),
    vendor: ({ url, headers, body }, secret) =>
      twilio.validateRequest(
        secret,
        headers['x-twilio-signature'] ?? '',
        url,
        Object.fromEntries(new URLSearchParams(body)),
      ),
  },
  'twilio with JSON': {
    preset: presets.twilio,
    secrets: word('twilio'),
    sign: (body, _nowMs, secret) => {
      const url = `${hookUrl}?bodySHA256=${createHash('sha256').update(body).digest('hex')}`
      return {
        url,
        body,
        headers: { ...json, 'x-twilio-signature': twilio.getExpectedTwilioSignature(secret, url, {}) },
      }
    },
    vendor: ({ url, headers, body }, secret) =>
      twilio.validateRequestWithBody(secret, headers['x-twilio-signature'] ?? '', url, body),
  },
  square: {
    preset: presets.square,
    secrets: word('square'),
    sign: (body, _nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: { ...json, 'x-square-hmacsha256-signature': hmac('sha256', secret, hookUrl + body, 'base64') },
    }),
    vendor: ({ url, headers, body }, secret) =>
      WebhooksHelper.verifySignature({
        requestBody: body,
        signatureHeader: headers['x-square-hmacsha256-signature'] ?? '',
        signatureKey: secret,
        notificationUrl: url,
      }),
  },
  zoom: {
    preset: presets.zoom,
    secrets: word('zoom'),
    body: '{"event":"meeting.ended","event_ts":1,"payload":{"account_id":"a","object":{"id":"1"}}}',
    sign: (body, nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: {
        ...json,
        'x-zm-request-timestamp': seconds(nowMs),
        'x-zm-signature': `v0=${hmac('sha256', secret, `v0:${seconds(nowMs)}:${body}`, 'hex')}`,
      },
    }),
    vendor: async ({ headers, body }, secret) => {
      const receiver = new AwsLambdaReceiver({ webhooksSecretToken: secret })
      receiver.init({ eventEmitter: { emit: () => true } as never })
      const { debug } = console
      // The library prints each request.
      console.debug = () => {}
      try {
        const answer = await receiver.start()({ body, headers, isBase64Encoded: false } as never, {} as never)
        return answer.statusCode === 200
      } finally {
        console.debug = debug
      }
    },
  },
  sendgrid: {
    preset: presets.sendgrid,
    secrets: sendgridKeys,
    sign: (body, nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: {
        ...json,
        'x-twilio-email-event-webhook-timestamp': seconds(nowMs),
        'x-twilio-email-event-webhook-signature': nodeSign(
          'sha256',
          Buffer.from(seconds(nowMs) + body),
          ofKey(p256, sendgridKeys, secret).privateKey,
        ).toString('base64'),
      },
    }),
    vendor: ({ headers, body }, secret) =>
      quiet(() => {
        const webhook = new EventWebhook()
        return webhook.verifySignature(
          webhook.convertPublicKeyToECDSA(secret),
          body,
          headers['x-twilio-email-event-webhook-signature'] ?? '',
          headers['x-twilio-email-event-webhook-timestamp'] ?? '',
        )
      }),
  },
  gocardless: {
    preset: presets.gocardless,
    secrets: word('gocardless'),
    sign: (body, _nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: { ...json, 'webhook-signature': hmac('sha256', secret, body, 'hex') },
    }),
    vendor: ({ headers, body }, secret) =>
      quiet(() => {
        verifyGocardless(body, secret, headers['webhook-signature'] ?? '')
        return true
      }),
  },
  customerio: {
    preset: presets.customerio,
    secrets: word('customerio'),
    sign: (body, nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: {
        ...json,
        'x-cio-timestamp': seconds(nowMs),
        'x-cio-signature': hmac('sha256', secret, `v0:${seconds(nowMs)}:${body}`, 'hex'),
      },
    }),
    vendor: ({ headers, body }, secret) =>
      verifyCustomerio({
        signingSecret: secret,
        timestamp: headers['x-cio-timestamp'] ?? '',
        body,
        signature: headers['x-cio-signature'] ?? '',
      }),
  },
  zendesk: {
    preset: presets.zendesk,
    secrets: word('zendesk'),
    sign: (body, nowMs, secret) => {
      const at = new Date(nowMs).toISOString().replace(/\.\d+/, '')
      return {
        url: hookUrl,
        body,
        headers: {
          ...json,
          'x-zendesk-webhook-signature-timestamp': at,
          'x-zendesk-webhook-signature': hmac('sha256', secret, at + body, 'base64'),
        },
      }
    },
  },
  mux: {
    preset: presets.mux,
    secrets: word('mux'),
    sign: (body, nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: {
        ...json,
        'mux-signature': `t=${seconds(nowMs)},v1=${hmac('sha256', secret, `${seconds(nowMs)}.${body}`, 'hex')}`,
      },
    }),
    vendor: ({ headers, body }, secret) =>
      quiet(async () => {
        await new Mux({ tokenId: 'made', tokenSecret: 'up' }).webhooks.verifySignature(body, { ...headers }, secret)
        return true
      }),
    vendorSeesTime: true,
  },
  paddle: {
    preset: presets.paddle,
    secrets: word('paddle'),
    sign: (body, nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: {
        ...json,
        'paddle-signature': `ts=${seconds(nowMs)};h1=${hmac('sha256', secret, `${seconds(nowMs)}:${body}`, 'hex')}`,
      },
    }),
    vendor: ({ headers, body }, secret) =>
      quiet(() =>
        new Paddle('key', { environment: Environment.sandbox }).webhooks.isSignatureValid(
          body,
          secret,
          headers['paddle-signature'] ?? '',
        ),
      ),
    vendorSeesTime: true,
  },
  line: {
    preset: presets.line,
    secrets: word('line'),
    sign: (body, _nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: { ...json, 'x-line-signature': hmac('sha256', secret, body, 'base64') },
    }),
    vendor: ({ headers, body }, secret) => validateLine(body, secret, headers['x-line-signature'] ?? ''),
  },
  razorpay: {
    preset: presets.razorpay,
    secrets: word('razorpay'),
    sign: (body, _nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: { ...json, 'x-razorpay-signature': hmac('sha256', secret, body, 'hex') },
    }),
    vendor: ({ headers, body }, secret) =>
      Razorpay.validateWebhookSignature(body, headers['x-razorpay-signature'] ?? '', secret),
  },
  sanity: {
    preset: presets.sanity,
    secrets: word('sanity'),
    sign: async (body, nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: { ...json, 'sanity-webhook-signature': await encodeSignatureHeader(body, nowMs, secret) },
    }),
    vendor: ({ headers, body }, secret) =>
      quiet(() => isValidSignature(body, headers['sanity-webhook-signature'] ?? '', secret)),
  },
  workos: {
    preset: presets.workos,
    secrets: word('workos'),
    sign: (body, nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: { ...json, 'workos-signature': `t=${nowMs}, v1=${hmac('sha256', secret, `${nowMs}.${body}`, 'hex')}` },
    }),
    vendor: ({ headers, body }, secret) =>
      quiet(() =>
        new WorkOS('sk_test_x').webhooks.verifyHeader({
          payload: JSON.parse(body) as Record<string, unknown>,
          sigHeader: headers['workos-signature'] ?? '',
          secret,
        }),
      ),
    vendorSeesTime: true,
  },
  discord: {
    preset: presets.discord,
    secrets: discordKeys,
    sign: (body, nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: {
        ...json,
        'x-signature-timestamp': seconds(nowMs),
        'x-signature-ed25519': nodeSign(
          null,
          Buffer.from(seconds(nowMs) + body),
          ofKey(ed25519, discordKeys, secret).privateKey,
        ).toString('hex'),
      },
    }),
    vendor: ({ headers, body }, secret) =>
      verifyDiscord(body, headers['x-signature-ed25519'] ?? '', headers['x-signature-timestamp'] ?? '', secret),
  },
  adyen: {
    preset: presets.adyen,
    secrets: two((n) => random(`adyen ${n}`, 32).toString('hex')),
    sign: (body, _nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: { ...json, hmacsignature: new AdyenValidator().calculateHmac(body, secret), protocol: 'HmacSHA256' },
    }),
    vendor: ({ headers, body }, secret) =>
      new AdyenValidator().validateHMACSignature(secret, headers['hmacsignature'] ?? '', body),
  },
  box: {
    preset: presets.box,
    secrets: word('box'),
    sign: (body, nowMs, secret) => {
      const at = new Date(nowMs).toISOString().replace(/\.\d+/, '')
      return {
        url: hookUrl,
        body,
        headers: {
          ...json,
          'box-delivery-timestamp': at,
          'box-signature-algorithm': 'HmacSHA256',
          'box-signature-version': '1',
          'box-signature-primary': hmac('sha256', secret, body + at, 'base64'),
        },
      }
    },
    vendor: ({ headers, body }, secret) => BoxWebhooks.validateMessage(body, { ...headers }, secret),
    // The library accepts ten minutes of age, and does not check for the future.
  },
  linear: {
    preset: presets.linear,
    secrets: word('lin_wh'),
    // The library checks only the time in the body, and allows one minute.
    body: `{"action":"update","type":"Issue","data":{"id":"made-up"},"webhookTimestamp":${Date.now()},"webhookId":"w"}`,
    sign: (body, _nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: { ...json, 'linear-delivery': 'd-1', 'linear-signature': hmac('sha256', secret, body, 'hex') },
    }),
    vendor: ({ headers, body }, secret) =>
      quiet(() => new LinearWebhookClient(secret).verify(Buffer.from(body), headers['linear-signature'] ?? '')),
  },
  onfido: {
    preset: presets.onfido,
    secrets: word('onfido'),
    sign: (body, _nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: { ...json, 'x-sha2-signature': hmac('sha256', secret, body, 'hex') },
    }),
    vendor: ({ headers, body }, secret) =>
      quiet(() => {
        new OnfidoVerifier(secret).readPayload(body, headers['x-sha2-signature'] ?? '')
        return true
      }),
  },
  webflow: {
    preset: presets.webflow,
    secrets: word('webflow'),
    sign: (body, nowMs, secret) => ({
      url: hookUrl,
      body,
      headers: {
        ...json,
        'x-webflow-timestamp': String(nowMs),
        'x-webflow-signature': hmac('sha256', secret, `${nowMs}:${body}`, 'hex'),
      },
    }),
    vendor: ({ headers, body }, secret) =>
      new WebflowClient({ accessToken: 'made up' }).webhooks.verifySignature({
        headers: { ...headers } as never,
        body,
        secret,
      }),
  },
}
