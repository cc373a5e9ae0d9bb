/** `target-relay sign`: what it makes, the relay takes, and so do the vendors' own libraries; one byte changed is refused. */
import { execFile } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { curlOf } from '../../src/dev/curl.ts'
import { exampleBody } from '../../src/dev/example-body.ts'
import { devSecretOf } from '../../src/dev/secrets.ts'
import { type SignedRequest, signRequest } from '../../src/dev/sign.ts'
import { createApp } from '../../src/edge/app.ts'
import { encodeUtf8 } from '../../src/edge/auth/encodings.ts'
import * as auth from '../../src/edge/auth/index.ts'
import * as presets from '../../src/edge/auth/presets.ts'
import type { AuthScheme } from '../../src/edge/auth/scheme.ts'
import { secretProblem } from '../../src/edge/source/check.ts'
import { eventTime, id } from '../../src/edge/source/schemas.ts'
import { source } from '../../src/edge/source/source.ts'
import type { Source } from '../../src/edge/source/types.ts'
import { sources as shipped } from '../../src/sources.ts'
import { senders } from '../edge/auth/senders.ts'
import { examples } from '../senders/sources.ts'
import { cli } from '../support/cli.ts'
import { createWorld } from '../support/world.ts'

const origin = 'https://relay.example'

/** A source of one scheme, whose events are all alike. */
function sourceOf(scheme: AuthScheme, more: { format?: 'form' } = {}): Source {
  return source('vendor', {
    auth: scheme,
    schema: z.looseObject({ id: id() }),
    map: (e) => ({ id: e.id, visitor: { thirdPartyId: '1' }, attributes: { seen: e.id } }),
    acceptsCopies: true,
    sample: { id: 'e-1' },
    ...more,
  })
}

const both = { name: 'own', algorithm: 'HMAC-SHA-512', signed: '{method}|{id}|{nonce}|{timestamp}|{body}' } as const
const described: Readonly<Record<string, AuthScheme>> = {
  ...Object.fromEntries(Object.entries(presets).map(([name, preset]) => [name, preset()])),
  'a public address': presets.hubspot({ url: 'https://public.example/hooks/crm' }),
  bearer: auth.bearer(),
  'an API key': auth.apiKey('x-api-key'),
  basic: auth.basic(),
  'a key in the query': auth.queryKey('code'),
  'a key in the body': auth.bodyKey('a.token'),
  'a token as bearer': auth.jwt({ issuer: 'i', audience: 'a', secret: true, subject: 's' }),
  'a token of the body': auth.jwt({ header: 'x-jwt', secret: true, body: { claim: 'hash', encoding: 'base64url' } }),
  'one of two': auth.anyOf('two', { rsa: auth.paypal({ webhookId: 'w' }), plain: auth.bearer() }),
  'everything in one header': auth.signature({
    ...both,
    signature: { header: 'x-all', separator: ';', prefix: 's=', encoding: 'base64url' },
    timestamp: { header: 'x-all', separator: ';', prefix: 't=', unit: 'ms' },
    nonce: { header: 'x-all', separator: ';', prefix: 'n=' },
    id: 'x-id',
    secret: { encoding: 'base64url', prefix: 'k_', prefixRequired: true },
  }),
  'a date as HTTP has it': auth.signature({
    ...both,
    signed: '{body}{timestamp}',
    signature: { header: ['x-one', 'x-other'], encoding: 'hex' },
    timestamp: { header: 'x-date', unit: 'http-date' },
  }),
}
/** The secret is the sender's public key. */
const onlySender = ['discord', 'sendgrid']

async function appOf(one: Source, secret: string | undefined) {
  const world = await createWorld()
  return createApp({
    settings: {
      targetClientCode: 'demo',
      apiTokens: [],
      hookSecrets: new Map(secret === undefined ? [] : [[one.name, [secret]]]),
    },
    sources: [one],
    prepare: world.prepare,
    wire: { method: 'post', origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' },
    deliver: world.deliver,
    bury: (dead) => world.backlog.bury(dead),
    ready: () => Promise.reject(new Error('not here')),
    operator: {} as never,
    clock: { ...world.clock, now: Date.now },
  })
}

const signed = async (one: Source, secret: string | undefined, body?: Uint8Array<ArrayBuffer>) => {
  const nowMs = Date.now()
  const bytes = body ?? exampleBody(one, nowMs)
  if (bytes === undefined) throw new Error(`no body for ${one.name}`)
  return signRequest(one, { origin, body: bytes, secret: secret ?? '', nowMs, id: `msg_${nowMs}` })
}
const statusOf = async (app: { fetch(request: Request): Response | Promise<Response> }, request: SignedRequest) => {
  const { url, method, headers, body } = request
  return (await app.fetch(new Request(url, { method, headers: { ...headers }, body }))).status
}
/** Another id in the event. */
const changed = (bytes: Uint8Array) => encodeUtf8(new TextDecoder().decode(bytes).replace('e-1', 'e-2'))

describe.each(Object.entries(described).filter(([name]) => !onlySender.includes(name)))(
  'a request signed for %s',
  (name, scheme) => {
    it('is taken; not with a byte of its body or its secret changed', async () => {
      const one = sourceOf(scheme)
      const secret = await devSecretOf(one)
      expect(await secretProblem(one, secret === undefined ? [] : [secret])).toBeUndefined()
      const app = await appOf(one, secret)
      const request = await signed(one, secret)
      expect([200, 202, 204]).toContain(await statusOf(app, request))
      // Where the body is not signed, another one is another event.
      const bodySigned = scheme.carriesSecret !== true && !['a token as bearer', 'mailgun', 'one of two'].includes(name)
      expect((await statusOf(app, { ...request, body: changed(request.body) })) === 401).toBe(bodySigned)
      const other = await signed(one, await devSecretOf({ ...one, name: 'another' }))
      expect(await statusOf(app, other)).toBe(401)
    })
  },
)

it.each(onlySender)('says that only the sender can sign for %s', async (name) => {
  const one = sourceOf(described[name] as AuthScheme)
  expect(await devSecretOf(one)).toBeUndefined()
  await expect(signed(one, senders[name]?.secrets[0])).rejects.toThrow('only the sender itself can sign')
})

const withVendor = Object.entries(senders).filter(
  ([
    name,
    {
      vendor,
      secrets: [secret],
    },
  ]) => vendor !== undefined && !onlySender.includes(name) && !secret.startsWith('whpk_'),
)
describe.each(withVendor)('%s', (_, sender) => {
  it('takes for its own what is signed here', async () => {
    // Twilio's are forms.
    const one = sourceOf(sender.preset(), sender.body?.startsWith('{') === false ? { format: 'form' } : {})
    const [secret] = sender.secrets
    const body = sender.body ?? '{"id":"evt_1","customer":"made-up","amount":1.5}'
    const { url, headers, body: bytes } = await signed(one, secret, encodeUtf8(body))
    // The library may want headers that are not signed.
    const theirs = await sender.sign(body, Date.now(), secret)
    const request = { url, headers: { ...theirs.headers, ...headers }, body: new TextDecoder().decode(bytes) }
    expect(await sender.vendor?.(request, secret)).toBe(true)
  })
})

describe.each([...shipped, ...examples].map((one) => [one.name, one] as const))('the source %s', (_, one) => {
  it('is signed for from its sample, or it is said why not', async () => {
    const secret = await devSecretOf(one)
    const body = exampleBody(one, Date.now())
    if (body === undefined) {
      expect(one.splits || one.sample === undefined).toBe(true)
      return
    }
    const request = await signed(one, secret, body).catch((error: Error) => error.message)
    if (typeof request === 'string') {
      expect(request).toMatch(
        /^only the sender itself can sign: (it has the private key|the secret here is its public key)$/,
      )
      return
    }
    const app = await appOf(one, secret)
    const answer = await app.fetch(
      new Request(request.url, { method: request.method, headers: { ...request.headers }, body: request.body }),
    )
    expect([answer.status, await answer.text()]).toEqual([
      expect.any(Number),
      expect.not.stringContaining('quarantined'),
    ])
    expect(answer.ok).toBe(true)
  })
})

describe('the body of a sample', () => {
  const at = (time: string | number) =>
    source('dated', {
      auth: auth.bearer(),
      schema: z.object({ id: id(), at: eventTime(), born: z.string() }),
      map: (e) => ({ id: e.id, visitor: { thirdPartyId: '1' }, occurredAt: e.at, attributes: { born: e.born } }),
      sample: { id: '12345678901234567890', at: time, born: '2001-01-01T00:00:00Z' },
    })
  const nowMs = 1_795_514_400_000

  it.each([
    ['2026-01-02T03:04:05+01:00', '2026-11-24T10:00:00.000Z'],
    [1_700_000_000, nowMs / 1_000],
    [1_700_000_000_000, nowMs],
    ['1700000000', String(nowMs / 1_000)],
    ['/Date(1700000000000+0100)/', `/Date(${nowMs})/`],
  ])('has the time of now where it had %s', (was, is) => {
    const body = new TextDecoder().decode(exampleBody(at(was), nowMs))
    expect(JSON.parse(body)).toMatchObject({ at: is, born: '2001-01-01T00:00:00Z' })
  })
})

describe('a curl command', () => {
  it('sends just the request, whatever stands in it', async () => {
    const got: { url: string; method: string; headers: IncomingHttpHeaders; body: Buffer }[] = []
    const server = createServer(async (request, response) => {
      const { url = '', method = '', headers } = request
      got.push({ url, method, headers, body: await buffer(request) })
      response.end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/x`
    const text = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom("'", '$(id)', '`id`', '@file', '\r\n\n', '"\\', '%{url}', '!x', ' -d x'),
    )
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.array(text, { maxLength: 5 }).map((parts) => parts.join('').replaceAll('\0', '')),
          fc.stringMatching(/^[!-~]{1,20}$/),
          fc.constantFrom('POST', 'PUT'),
          async (body, value, method) => {
            const url = `${base}?code=${encodeURIComponent(value)}`
            const headers = { 'content-type': 'text/plain', 'x-secret': value }
            const command = curlOf({ method, url, headers, body: encodeUtf8(body) })
            await promisify(execFile)('sh', ['-c', `${command} --silent --noproxy '*'`])
            const last = got.at(-1)
            expect(last).toMatchObject({ method, headers })
            expect(`http://${last?.headers.host}${last?.url}`).toBe(url)
            expect(last?.body.toString('utf8')).toBe(body)
          },
        ),
        { numRuns: 60 },
      )
      const file = join(mkdtempSync(join(tmpdir(), 'target-relay-curl-')), "it's a file")
      const bytes = new Uint8Array([0, 255, 13, 10, 39])
      writeFileSync(file, bytes)
      expect(curlOf({ method: 'POST', url: base, headers: {}, body: bytes })).toBeUndefined()
      const command = curlOf({ method: 'POST', url: base, headers: {}, body: bytes }, file)
      await promisify(execFile)('sh', ['-c', `${command} --silent --noproxy '*'`])
      expect([...(got.at(-1)?.body ?? [])]).toEqual([...bytes])
    } finally {
      server.close()
    }
  })
})

describe('target-relay sign', () => {
  it('takes the first secret that is set, else the one of dev, and says so', async () => {
    const { out, err } = await cli(['sign', 'kiosk'], { HOOK_SECRET_KIOSK: '["first,secret","another"]' })
    expect([err, out]).toEqual(['', expect.stringContaining("-H 'authorization: Bearer first,secret'")])
    const dev = await cli(['sign', 'kiosk'], { RELAY_URL: 'https://relay.example/under/' })
    expect(dev.err).toBe('HOOK_SECRET_KIOSK is not set: signed with the secret that target-relay dev uses')
    expect(dev.out).toContain("'https://relay.example/under/hooks/kiosk'")
  })
})

describe('a signature within the body', () => {
  it('leaves every other value as it is written', async () => {
    const body = encodeUtf8('{"id":"e-1","amount":1.10,"order":12345678901234567890,"signature":{"kept":true}}')
    const request = await signed(sourceOf(presets.mailgun()), 'a-key-of-mailgun-for-tests', body)
    expect(new TextDecoder().decode(request.body)).toMatch(
      /^\{"id":"e-1","amount":1\.10,"order":12345678901234567890,"signature":\{"kept":true,"timestamp":"\d+","token":"[^"]+","signature":"[0-9a-f]{64}"\}\}$/,
    )
  })
})
