/**
 * The signatures of senders that companies have, each one checked against the vendor's own library or published vector
 * (`test/edge/auth/presets.test.ts`). What each authenticates:
 * - with a timestamp: sender, body, and that it was signed within the tolerance; within it a copy is a duplicate by its
 *   id.
 * - without: sender and body. A copied request stays good for ever, so the mapping must give the event's `id`.
 */
import { encodeHex, encodeUtf8 } from './encodings.ts'
import { eventIn, fields, preset } from './preset.ts'

export type { Preset } from './preset.ts'

const standardWebhooksHmac = (header: string) =>
  ({
    algorithm: 'HMAC-SHA-256',
    signature: { header: `${header}-signature`, separator: ' ', prefix: 'v1,', encoding: 'base64' },
    signed: '{id}.{timestamp}.{body}',
    timestamp: { header: `${header}-timestamp`, unit: 's' },
    id: `${header}-id`,
    secret: { encoding: 'base64', prefix: 'whsec_' },
  }) as const

/** Standard Webhooks: `v1` under `whsec_…` secrets, `v1a` under `whpk_…` public keys. */
export const standardWebhooks = /* @__PURE__ */ preset(
  'standard-webhooks',
  /* @__PURE__ */ standardWebhooksHmac('webhook'),
  {
    .../* @__PURE__ */ standardWebhooksHmac('webhook'),
    algorithm: 'Ed25519',
    signature: { header: 'webhook-signature', separator: ' ', prefix: 'v1a,', encoding: 'base64' },
    secret: { encoding: 'base64', prefix: 'whpk_', prefixRequired: true },
  },
)

/** Svix, and who sends through it (Clerk, Resend, …). */
export const svix = /* @__PURE__ */ preset('svix', /* @__PURE__ */ standardWebhooksHmac('svix'))

export const stripe = /* @__PURE__ */ preset('stripe', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'stripe-signature', separator: ',', prefix: 'v1=', encoding: 'hex' },
  signed: '{timestamp}.{body}',
  timestamp: { header: 'stripe-signature', separator: ',', prefix: 't=', unit: 's' },
})

/**
 * No timestamp; the id of the delivery is not signed, but makes an honest repeat a duplicate. Answers GitHub's ping.
 */
export const github = /* @__PURE__ */ preset('github', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'x-hub-signature-256', prefix: 'sha256=', encoding: 'hex' },
  signed: '{body}',
  id: 'x-github-delivery',
  // The header is not signed: a ping holds what no event does, too.
  handshake: async (event, _secret, headers) => {
    const { zen, hook_id: hook } = fields(eventIn(event))
    return headers.get('x-github-event') === 'ping' && typeof zen === 'string' && hook !== undefined
      ? { status: 'pong' }
      : undefined
  },
})

/** No timestamp; the id is not signed. */
export const shopify = /* @__PURE__ */ preset('shopify', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'x-shopify-hmac-sha256', encoding: 'base64' },
  signed: '{body}',
  id: 'x-shopify-webhook-id',
})

/**
 * Events and, with `format: 'form'`, commands. Answers Slack's URL verification, and its look at a command's
 * certificate.
 */
export const slack = /* @__PURE__ */ preset('slack', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'x-slack-signature', prefix: 'v0=', encoding: 'hex' },
  signed: 'v0:{timestamp}:{body}',
  timestamp: { header: 'x-slack-request-timestamp', unit: 's' },
  handshake: async (event) => {
    const { type, challenge, ssl_check: look, command, payload } = fields(event)
    if (type === 'url_verification' && typeof challenge === 'string') return { challenge }
    return look === '1' && command === undefined && payload === undefined ? {} : undefined
  },
})

/** HubSpot v3: method, URL, body and time. */
export const hubspot = /* @__PURE__ */ preset('hubspot', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'x-hubspot-signature-v3', encoding: 'base64' },
  signed: '{method}{url}{body}{timestamp}',
  timestamp: { header: 'x-hubspot-request-timestamp', unit: 'ms' },
})

/** URL and form (`format: 'form'`), or URL with the body's hash. SHA-1, no timestamp. */
export const twilio = /* @__PURE__ */ preset('twilio', {
  algorithm: 'HMAC-SHA-1',
  signature: { header: 'x-twilio-signature', encoding: 'base64' },
  signed: '{url}{form}',
  id: 'i-twilio-idempotency-token',
})

/** URL and body; no timestamp. */
export const square = /* @__PURE__ */ preset('square', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'x-square-hmacsha256-signature', encoding: 'base64' },
  signed: '{url}{body}',
})

/** Answers Zoom's URL validation. Zoom takes 200 and 204 for a yes, and nothing else. */
export const zoom = /* @__PURE__ */ preset('zoom', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'x-zm-signature', prefix: 'v0=', encoding: 'hex' },
  signed: 'v0:{timestamp}:{body}',
  timestamp: { header: 'x-zm-request-timestamp', unit: 's' },
  yes: 200,
  handshake: async (event, secret) => {
    const { event: kind, payload } = fields(event)
    const { plainToken } = fields(payload)
    if (kind !== 'endpoint.url_validation' || typeof plainToken !== 'string') return undefined
    const key = await crypto.subtle.importKey('raw', encodeUtf8(secret), { name: 'HMAC', hash: 'SHA-256' }, false, [
      'sign',
    ])
    const signed = await crypto.subtle.sign('HMAC', key, encodeUtf8(plainToken))
    return { plainToken, encryptedToken: encodeHex(new Uint8Array(signed)) }
  },
})

/** SendGrid's signed event webhook: the secret is the verification key. An array of events. */
export const sendgrid = /* @__PURE__ */ preset('sendgrid', {
  algorithm: 'ECDSA-P-256',
  signature: { header: 'x-twilio-email-event-webhook-signature', encoding: 'base64' },
  signed: '{timestamp}{body}',
  timestamp: { header: 'x-twilio-email-event-webhook-timestamp', unit: 's' },
  secret: { encoding: 'base64' },
})

/** No timestamp: `occurred_at` stands in the event. */
export const gocardless = /* @__PURE__ */ preset('gocardless', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'webhook-signature', encoding: 'hex' },
  signed: '{body}',
})

/**
 * Adyen's platform, transfer and management webhooks: the key in hex. The items of its payment webhooks are signed
 * otherwise. No timestamp.
 */
export const adyen = /* @__PURE__ */ preset('adyen', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'hmacsignature', encoding: 'base64' },
  signed: '{body}',
  secret: { encoding: 'hex' },
})

const boxHmac = (key: string) =>
  ({
    algorithm: 'HMAC-SHA-256',
    signature: { header: `box-signature-${key}`, encoding: 'base64' },
    signed: '{body}{timestamp}',
    timestamp: { header: 'box-delivery-timestamp', unit: 'iso' },
  }) as const

/** The primary key, the secondary, or both: Box signs under each, so that they can be rotated. */
export const box = /* @__PURE__ */ preset(
  'box',
  /* @__PURE__ */ boxHmac('primary'),
  /* @__PURE__ */ boxHmac('secondary'),
)

/** `webhookTimestamp` is a number in the body, which `signature()` has no option for: so no timestamp is checked. */
export const linear = /* @__PURE__ */ preset('linear', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'linear-signature', encoding: 'hex' },
  signed: '{body}',
  id: 'linear-delivery',
})

/** No timestamp: `completed_at_iso8601` stands in the event. */
export const onfido = /* @__PURE__ */ preset('onfido', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'x-sha2-signature', encoding: 'hex' },
  signed: '{body}',
})

export const webflow = /* @__PURE__ */ preset('webflow', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'x-webflow-signature', encoding: 'hex' },
  signed: '{timestamp}:{body}',
  timestamp: { header: 'x-webflow-timestamp', unit: 'ms' },
})

export const customerio = /* @__PURE__ */ preset('customerio', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'x-cio-signature', encoding: 'hex' },
  signed: 'v0:{timestamp}:{body}',
  timestamp: { header: 'x-cio-timestamp', unit: 's' },
})

export const zendesk = /* @__PURE__ */ preset('zendesk', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'x-zendesk-webhook-signature', encoding: 'base64' },
  signed: '{timestamp}{body}',
  timestamp: { header: 'x-zendesk-webhook-signature-timestamp', unit: 'iso' },
  id: 'x-zendesk-webhook-invocation-id',
})

/**
 * Mailgun signs a time and a token, not the event: the sender is known to be Mailgun only as long as nobody else saw a
 * webhook of the last five minutes. It repeats an event on whatever is not 200 (or 406, on which it drops it).
 */
export const mailgun = /* @__PURE__ */ preset('mailgun', {
  algorithm: 'HMAC-SHA-256',
  signature: { field: 'signature.signature', encoding: 'hex' },
  signed: '{timestamp}{nonce}',
  timestamp: { field: 'signature.timestamp', unit: 's' },
  nonce: { field: 'signature.token' },
  bodyUnsigned: true,
  yes: 200,
})

export const mux = /* @__PURE__ */ preset('mux', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'mux-signature', separator: ',', prefix: 'v1=', encoding: 'hex' },
  signed: '{timestamp}.{body}',
  timestamp: { header: 'mux-signature', separator: ',', prefix: 't=', unit: 's' },
})

/** Takes 200 for a yes. */
export const paddle = /* @__PURE__ */ preset('paddle', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'paddle-signature', separator: ';', prefix: 'h1=', encoding: 'hex' },
  signed: '{timestamp}:{body}',
  timestamp: { header: 'paddle-signature', separator: ';', prefix: 'ts=', unit: 's' },
  yes: 200,
})

/**
 * No timestamp; the event carries `webhookEventId`. Answers LINE's trial, which has no events; LINE takes 200 for a
 * yes.
 */
export const line = /* @__PURE__ */ preset('line', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'x-line-signature', encoding: 'base64' },
  signed: '{body}',
  yes: 200,
  handshake: async (event) => {
    const { destination, events } = fields(event)
    return typeof destination === 'string' && Array.isArray(events) && events.length === 0 ? {} : undefined
  },
})

/** No timestamp; the id is not signed. */
export const razorpay = /* @__PURE__ */ preset('razorpay', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'x-razorpay-signature', encoding: 'hex' },
  signed: '{body}',
  id: 'x-razorpay-event-id',
})

export const sanity = /* @__PURE__ */ preset('sanity', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'sanity-webhook-signature', separator: ',', prefix: 'v1=', encoding: 'base64url' },
  signed: '{timestamp}.{body}',
  timestamp: { header: 'sanity-webhook-signature', separator: ',', prefix: 't=', unit: 'ms' },
  id: 'idempotency-key',
})

/** Takes 200 for a yes. */
export const workos = /* @__PURE__ */ preset('workos', {
  algorithm: 'HMAC-SHA-256',
  signature: { header: 'workos-signature', separator: ',', prefix: 'v1=', encoding: 'hex' },
  signed: '{timestamp}.{body}',
  timestamp: { header: 'workos-signature', separator: ',', prefix: 't=', unit: 'ms' },
  yes: 200,
})

/**
 * The secret is the application's public key. Discord sends webhook events (type 1, with an `event`) behind a ping of
 * type 0, and takes 204 for a yes to both; an interactions endpoint is pinged by a type 1 with a `token`, and wants it
 * back.
 */
export const discord = /* @__PURE__ */ preset('discord', {
  algorithm: 'Ed25519',
  signature: { header: 'x-signature-ed25519', encoding: 'hex' },
  signed: '{timestamp}{body}',
  timestamp: { header: 'x-signature-timestamp', unit: 's' },
  secret: { encoding: 'hex' },
  yes: 204,
  handshake: async (event) => {
    const { type, event: body, token, application_id: application } = fields(event)
    if (body !== undefined || typeof application !== 'string') return undefined
    if (type === 0) return 'no_content'
    return type === 1 && typeof token === 'string' ? { type: 1 } : undefined
  },
})
