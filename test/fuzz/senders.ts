/**
 * The senders' requests, changed after they were signed, and handshakes that nobody would make: no false accept, no echo of more
 * than was bounded, and no request to an address that a request named.
 */
import { appOf } from '../corpus/app.ts'
import type { RawRequest } from '../corpus/corpus.ts'
import { vendorKeys } from '../senders/keys.ts'
import { hookSecrets, requestOf, requests } from '../senders/requests.ts'
import { sources } from '../senders/sources.ts'
import { keyHosts, vendorFetch } from '../senders/vendors.ts'
import { createWorld } from '../support/world.ts'
import type { FuzzOptions, FuzzReport } from './app.ts'
import { type Draw, drawOf } from './draw.ts'
import { mutateBytes, mutateText } from './mutate.ts'

/** These sign their body: any other body must be refused. */
export const signsBody: ReadonlySet<string> = new Set([
  ...['sns', 'marketing-cloud', 'adobe-io', 'segment', 'klaviyo', 'customer-io', 'docusign', 'adyen-platform'],
  ...['paypal', 'plaid', 'qstash', 'encompass', 'toast', 'lightspeed', 'shopify-topics', 'twilio-flex'],
  ...['wise', 'vonage', 'whatsapp', 'intercom'],
])
const signed = requests.filter(
  ({ source, expected }) => signsBody.has(source) && expected.profiles !== undefined && expected.status === 200,
)
const shaking = requests.filter(
  ({ source, expected }) =>
    [
      'adobe-io',
      'acrobat-sign',
      'cloud-events',
      'event-grid',
      'mailchimp',
      'okta',
      'sns',
      'iot',
      'microsoft-graph',
      'ringcentral',
      'sap-event-mesh',
      'whatsapp',
    ].includes(source) && expected.profiles === undefined,
)
const mostEchoedChars = 1_024
const addresses = [
  'https://sns.example/x.pem',
  'https://sns.eu-central-1.amazonaws.com@sns.example/x.pem',
  'http://127.0.0.1/v1/notifications/certs/x',
  'https://169.254.169.254/latest/meta-data',
  'file:///etc/passwd',
  '//sns.example/prod/keys/x.pem',
]

export async function fuzzSenders({ seed, from = 0, runs, untilMs = Infinity }: FuzzOptions): Promise<FuzzReport> {
  const answers: Record<string, number> = {}
  const faults: string[] = []
  const asked: string[] = []
  const before = globalThis.fetch
  const keys = vendorFetch(vendorKeys, async () => new Response(null, { status: 404 }))
  globalThis.fetch = (input, init) => {
    asked.push(String(input))
    return keys(input, init)
  }
  let run = from
  try {
    for (; run < from + runs && faults.length < 20 && Date.now() < untilMs; run++) {
      const draw = drawOf(seed, run)
      const world = await createWorld()
      const changed = draw.chance(0.5)
      const request = await (changed ? changedRequest : oddHandshake)(draw, world.clock.now())
      const given = await sent(world, request)
      if (given === undefined) continue
      answers[given.status] = (answers[given.status] ?? 0) + 1
      const echoed = given.text.length + (given.headers.get('x-adobesign-clientid')?.length ?? 0)
      const fault =
        (changed && given.status < 300 ? 'accepted with another body' : undefined) ??
        (request.method !== 'POST' && given.status < 300 && /[<>]/.test(given.text) ? 'markup repeated' : undefined) ??
        (request.method !== 'POST' && echoed > mostEchoedChars ? `repeated ${echoed} characters` : undefined) ??
        (request.method !== 'POST' && world.target.calls.length > 0 ? 'a handshake changed a profile' : undefined) ??
        (asked.some((address) => !keyHosts.includes(new URL(address).hostname))
          ? `asked ${asked.join(' ')}`
          : undefined)
      asked.length = 0
      if (fault !== undefined)
        faults.push(
          `--seed ${seed} --from ${run} --runs 1: ${fault} (${given.status}): ${request.method} ${request.path} ${request.body.toString('latin1').slice(0, 300)}`,
        )
    }
  } finally {
    globalThis.fetch = before
  }
  return { runs: run - from, answers, faults }
}

async function sent(world: Awaited<ReturnType<typeof createWorld>>, request: RawRequest) {
  try {
    return await appOf(world, { sources, hookSecrets })(request)
  } catch (error) {
    // The platform cannot represent such a request, so it could not have arrived.
    if (error instanceof TypeError) return undefined
    throw error
  }
}

/** Signed for one body, and sent with another; or with a key that lies elsewhere. */
export async function changedRequest(draw: Draw, nowMs: number): Promise<RawRequest> {
  const request = await requestOf(draw.pick(signed), nowMs, 'relay.example')
  const body = draw.chance(0.3)
    ? Buffer.from(request.body.toString().replace(/https:[^"]*/, draw.pick(addresses)))
    : mutateBytes(draw, request.body)
  const headers = request.headers.map(
    ([name, value]) =>
      [name, /cert-url|key\d-path/.test(name) && draw.chance(0.5) ? draw.pick(addresses) : value] as const,
  )
  // A body that came out the same is one byte longer.
  const other = body.equals(request.body) ? Buffer.concat([body, Buffer.from(' ')]) : body
  return withBody({ ...request, headers }, other)
}

/** With its length, so that a server reads all of it. */
export function withBody(request: RawRequest, body: Buffer): RawRequest {
  const headers = request.headers.map(
    ([name, value]) => [name, name === 'content-length' ? String(body.length) : value] as const,
  )
  return { ...request, headers, body }
}

/** A handshake with texts that no vendor has. */
export async function oddHandshake(draw: Draw, nowMs: number): Promise<RawRequest> {
  const request = await requestOf(draw.pick(shaking), nowMs, 'relay.example')
  const long = () => 'x'.repeat(draw.pick([1, 255, 256, 257, 1_024, 5_000]))
  const odd = (text: string) =>
    draw.chance(0.4)
      ? draw.pick([long(), long(), long(), '<script>alert(1)</script>', ...addresses])
      : mutateText(draw, text)
  const changed = {
    ...request,
    method: draw.chance(0.8) ? request.method : draw.pick(['GET', 'HEAD', 'OPTIONS', 'PUT']),
    path: request.path.replace(/=([^&]*)/g, (_, value: string) => `=${encodeURIComponent(odd(value).toWellFormed())}`),
    headers: request.headers.map(([name, value]) => [
      name,
      /clientid|challenge|origin|rate/.test(name) ? odd(value) : value,
    ]),
  } as RawRequest
  return request.body.length === 0 ? changed : withBody(changed, Buffer.from(odd(request.body.toString())))
}
