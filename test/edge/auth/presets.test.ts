import { WebhooksManager as BoxWebhooks } from 'box-node-sdk/lib/managers/webhooks'
import { describe, expect, it } from 'vitest'
import { encodeUtf8 } from '../../../src/edge/auth/encodings.ts'
import * as presets from '../../../src/edge/auth/presets.ts'
import { type Part, signature } from '../../../src/edge/auth/signature.ts'
import { seededRandom } from '../../support/clock.ts'
import { plain } from '../../support/verdict.ts'
import { hookUrl, type Sender, type Signed, senders } from './senders.ts'

const plainBody = '{"id":"evt_1","customer":"made-up","amount":12}'

function verify(
  { preset }: Pick<Sender, 'preset'>,
  { url, headers, body }: Signed,
  secrets: readonly string[],
  nowMs: number,
): Promise<boolean | 'unavailable'> {
  return preset()
    .verify({ method: 'POST', url, headers: new Headers(headers), body: encodeUtf8(body), secrets, nowMs })
    .then(plain)
}

const change = (text: string, at: number): string =>
  text.slice(0, at) + (text[at] === '1' ? '2' : '1') + text.slice(at + 1)

/** The signature's text in its header, and its position. */
function signatureIn({ preset }: Sender, headers: Signed['headers']): { header: string; start: number; end: number } {
  for (const { signature } of preset.descriptors) {
    const header = headerOf(signature)
    const text = headers[header] ?? ''
    const start = text.indexOf(signature.prefix ?? '') + (signature.prefix ?? '').length
    if (!text.includes(signature.prefix ?? '')) continue
    const end = signature.separator === undefined ? -1 : text.indexOf(signature.separator, start)
    return { header, start, end: end === -1 ? text.length : end }
  }
  throw new Error('no signature')
}

/** The digits of the timestamp in their header, if there is one. */
function timestampIn(
  { preset }: Sender,
  headers: Signed['headers'],
): { header: string; start: number; end: number } | undefined {
  const timestamp = preset.descriptors[0]?.timestamp
  if (timestamp === undefined) return undefined
  const header = headerOf(timestamp)
  const text = headers[header] ?? ''
  const start = text.indexOf(timestamp.prefix ?? '') + (timestamp.prefix ?? '').length
  return { header, start, end: start + (/^\d+/.exec(text.slice(start))?.[0].length ?? 0) }
}

describe.each(Object.entries(senders))('%s', (_, sender) => {
  const [secret, other] = sender.secrets
  const body = sender.body ?? plainBody
  const signed = (nowMs: number, by = secret) => sender.sign(body, nowMs, by)

  it('accepts what the vendor signs, under the old secret and the new one', async () => {
    const nowMs = Date.now()
    const request = await signed(nowMs)
    expect(await verify(sender, request, [secret], nowMs)).toBe(true)
    expect(await verify(sender, request, [other, secret], nowMs)).toBe(true)
    expect(await verify(sender, await signed(nowMs, other), [secret, other], nowMs)).toBe(true)
  })

  it('rejects another secret, no secret, and no headers', async () => {
    const nowMs = Date.now()
    const request = await signed(nowMs)
    for (const secrets of [[], [other], [change(secret, secret.length >> 1)], ['']])
      expect(await verify(sender, request, secrets, nowMs)).toBe(false)
    expect(await verify(sender, { ...request, headers: {} }, [secret], nowMs)).toBe(false)
  })

  it('rejects a changed byte in body, signature or timestamp, and so does the vendor’s library', async () => {
    const nowMs = Date.now()
    const good = await signed(nowMs)
    const signature = signatureIn(sender, good.headers)
    const timestamp = timestampIn(sender, good.headers)
    const withHeader = ({ header }: { header: string }, at: number): Signed => ({
      ...good,
      headers: { ...good.headers, [header]: change(good.headers[header] ?? '', at) },
    })
    const bad: [string, Signed, string][] = [
      ['body', { ...good, body: change(body, body.search(/[a-z]"|CA1/)) }, secret],
      ['first of the signature', withHeader(signature, signature.start), secret],
      ['middle of the signature', withHeader(signature, (signature.start + signature.end) >> 1), secret],
      ['secret', good, other],
    ]
    if (timestamp !== undefined) bad.push(['timestamp', withHeader(timestamp, timestamp.end - 1), secret])
    if (sender.vendor !== undefined) expect(await sender.vendor(good, secret), 'the vendor accepts its own').toBe(true)
    for (const [what, request, by] of bad) {
      expect(await verify(sender, request, [by], nowMs), what).toBe(false)
      if (sender.vendor !== undefined) expect(await sender.vendor(request, by), `the vendor on ${what}`).toBe(false)
    }
  })

  it('rejects a copy once the tolerance has passed, if there is a timestamp', async () => {
    const nowMs = Date.now()
    const timed = timestampIn(sender, (await signed(nowMs)).headers) !== undefined
    for (const awayMs of [-302_000, 302_000])
      expect(await verify(sender, await signed(nowMs + awayMs), [secret], nowMs)).toBe(!timed)
    if (sender.vendorSeesTime === true) expect(await sender.vendor?.(await signed(nowMs - 302_000), secret)).toBe(false)
  })
})

describe('published vectors', () => {
  it.each([
    {
      // https://docs.slack.dev/authentication/verifying-requests-from-slack
      preset: presets.slack,
      secret: '8f742231b10e8888abcd99yyyzzz85a5',
      nowMs: 1_531_420_618_000,
      url: hookUrl,
      body: 'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
      headers: {
        'x-slack-request-timestamp': '1531420618',
        'x-slack-signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
      },
    },
    {
      // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
      preset: presets.github,
      secret: "It's a Secret to Everybody",
      nowMs: 0,
      url: hookUrl,
      body: 'Hello, World!',
      headers: { 'x-hub-signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17' },
    },
    {
      // https://www.twilio.com/docs/usage/security
      preset: presets.twilio,
      secret: '12345',
      nowMs: 0,
      url: 'https://mycompany.com/myapp.php?foo=1&bar=2',
      body: 'CallSid=CA1234567890ABCDE&Caller=%2B12349013030&Digits=1234&From=%2B12349013030&To=%2B18005551212',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-twilio-signature': '0/KCTR6DLpKmkAf8muzZqo1nDgQ=',
      },
    },
    {
      // https://github.com/standard-webhooks/standard-webhooks, the libraries' own tests
      preset: presets.standardWebhooks,
      secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
      nowMs: 1_614_265_330_000,
      url: hookUrl,
      body: '{"test": 2432232314}',
      headers: {
        'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
        'webhook-timestamp': '1614265330',
        'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
      },
    },
    {
      // https://github.com/customerio/customerio-node, test/webhooks.ts
      preset: presets.customerio,
      secret: 'signing-secret',
      nowMs: 1_614_265_384_000,
      url: hookUrl,
      body: '{"event_id":"abc","object_type":"email","metric":"delivered"}',
      headers: {
        'x-cio-timestamp': '1614265384',
        'x-cio-signature': '6f55cf23f9b73a2ff07733fe04421f64ce9ec5e409696edda6b2a80311944230',
      },
    },
    {
      // https://github.com/muxinc/mux-node-sdk, tests/api-resources/webhooks.test.ts
      preset: presets.mux,
      secret: 'SuperSecret123',
      nowMs: 1_565_125_718_000,
      url: hookUrl,
      body: '{"test":"body"}',
      headers: { 'mux-signature': 't=1565125718,v1=854ece4c22acef7c66b57d4e504153bc512595e8e9c772ece2a68150548c19a7' },
    },
  ])('$preset.descriptors.0.name', async ({ preset, secret, nowMs, url, body, headers }) => {
    const request = { method: 'POST', url, headers: new Headers(headers), body: encodeUtf8(body), nowMs }
    expect(await preset().verify({ ...request, secrets: [secret] })).toBe(true)
    expect(plain(await preset().verify({ ...request, secrets: [`${secret}x`] }))).toBe(false)
    expect(await preset().verify({ ...request, body: encodeUtf8(`${body} `), secrets: [secret] })).toBe('mismatch')
  })
})

describe('zendesk', () => {
  // Vectors from other projects' tests, under the secret that Zendesk publishes for trials; their timestamps are plain numbers.
  const [descriptor] = presets.zendesk.descriptors
  const published = signature({
    ...(descriptor as (typeof presets.zendesk.descriptors)[number]),
    timestamp: {
      header: 'x-zendesk-webhook-signature-timestamp',
      unit: 's',
    },
  })
  it('accepts a published vector, and no variation of it', async () => {
    const request = {
      method: 'POST',
      url: hookUrl,
      headers: new Headers({
        'x-zendesk-webhook-signature': 'qtmu3iClLKujnujOBkwe7yjI34o5CzsLD04Uy4LbE2A=',
        'x-zendesk-webhook-signature-timestamp': '1531420618',
      }),
      body: encodeUtf8('{"event_type": "foo.bar","data": {"key": "value"}}'),
      secrets: ['dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=='],
      nowMs: 1_531_420_618_000,
    }
    expect(await published.verify(request)).toBe(true)
    expect(
      await published.verify({ ...request, body: encodeUtf8('{"event_type": "foo.bar","data": {"key": "valuf"}}') }),
    ).toBe('mismatch')
    expect(await published.verify({ ...request, nowMs: request.nowMs + 301_000 })).toBe('stale')
  })
})

describe('box', () => {
  it('accepts the secondary signature when only the secondary key is known, as its library does', async () => {
    const { box } = senders as { box: Sender }
    const nowMs = Date.now()
    const [primary, secondary] = box.secrets
    const [{ headers: first, ...rest }, { headers: second }] = [
      await box.sign(plainBody, nowMs, primary),
      await box.sign(plainBody, nowMs, secondary),
    ]
    const both = { ...rest, headers: { ...first, 'box-signature-secondary': second['box-signature-primary'] ?? '' } }
    expect(await verify(box, both, [secondary], nowMs)).toBe(true)
    expect(await verify(box, both, [primary], nowMs)).toBe(true)
    expect(await BoxWebhooks.validateMessage(plainBody, both.headers, 'neither', { secondaryKey: secondary })).toBe(
      true,
    )
    expect(
      await verify(
        box,
        { ...both, headers: { ...both.headers, 'box-signature-secondary': first['box-signature-primary'] ?? '' } },
        [secondary],
        nowMs,
      ),
    ).toBe(false)
  })
})

describe('mailgun', () => {
  // https://github.com/mailgun/mailgun-php, tests/Api/WebhookTest.php
  const signed = {
    timestamp: '1403645220',
    token: '5egbgr1vjgqxtrnp65xfznchgdccwh5d6i09vijqi3whgowmn6',
    signature: '9cfc5c41582e51246e73c88d34db3af0a3a2692a76fbab81492842f000256d33',
  }
  const verifyBody = (body: unknown, secret = 'key-3ax6xnjp29jd6fds4gc373sgvjxteol0', nowMs = 1_403_645_220_000) =>
    presets.mailgun().verify({
      method: 'POST',
      url: hookUrl,
      headers: new Headers({ 'content-type': 'application/json' }),
      body: encodeUtf8(typeof body === 'string' ? body : JSON.stringify(body)),
      secrets: [secret],
      nowMs,
    })

  it('accepts the vendor’s vector, and declares that the event itself is not signed', async () => {
    expect(await verifyBody({ signature: signed, 'event-data': { id: 1 } })).toBe(true)
    expect(presets.mailgun.descriptors[0]?.bodyUnsigned).toBe(true)
  })

  it.each<[string, unknown, (string | undefined)?, number?]>([
    // The vector's negative counterpart.
    ['another token', { signature: { ...signed, token: 'owyldpe6nxhmrn78epljl6bj0orrki1u3d2v5e6cnlmmuox8jr' } }],
    ['another time', { signature: { ...signed, timestamp: '1403645221' } }],
    ['a time that is a number', { signature: { ...signed, timestamp: 1_403_645_220 } }],
    ['another signature', { signature: { ...signed, signature: signed.signature.replace('9', 'a') } }],
    ['another secret', { signature: signed }, 'key-another'],
    ['an old signature', { signature: signed }, undefined, 1_403_645_520_001],
    ['no signature', { 'event-data': {} }],
    ['a signature that is not an object', { signature: 'x' }],
    ['a body that is not JSON', 'signature'],
    ['a repeated name', `{"signature":${JSON.stringify(signed)},"signature":${JSON.stringify(signed)}}`],
  ])('rejects %s', async (_, body, secret, nowMs) => {
    expect(plain(await verifyBody(body, secret, nowMs))).toBe(false)
  })
})

describe('fuzz', () => {
  const mutations = 100_000

  it(`none of ${mutations} changed requests is accepted, and none throws`, { timeout: 240_000 }, async () => {
    const seed = Date.now() % 1_000_000
    const random = seededRandom(seed)
    const pick = (below: number) => Math.floor(random.fraction() * below)
    const nowMs = Date.now()
    const all = await Promise.all(
      Object.entries(senders).map(async ([name, sender]) => {
        const request = await sender.sign(sender.body ?? plainBody, nowMs, sender.secrets[0])
        expect(await verify(sender, request, [sender.secrets[0]], nowMs), name).toBe(true)
        return { name, sender, request }
      }),
    )
    const letters = 'abcdefXYZ0123456789+/=-_,;: v%{}"\\'
    /** A character replaced, added or removed: never the same text. */
    const changed = (text: string, start: number, end: number, of = letters): string => {
      const at = start + pick(Math.max(1, end - start))
      const char = of[pick(of.length)] ?? 'x'
      const kind = pick(3)
      const result = text.slice(0, at) + (kind === 0 ? '' : char) + text.slice(kind === 1 ? at : at + 1)
      return result === text ? changed(text, start, end, of) : result
    }
    const accepted: string[] = []
    for (let count = 0; count < mutations; count++) {
      const { name, sender, request } = all[count % all.length] as (typeof all)[number]
      let mutated: Signed = request
      let [secret] = sender.secrets
      let atMs = nowMs
      const isForm = request.headers['content-type'] !== 'application/json'
      const signature = signatureIn(sender, request.headers)
      const timestamp = timestampIn(sender, request.headers)
      const withHeader = (part: { header: string; start: number; end: number }, of: string) => ({
        ...request,
        headers: {
          ...request.headers,
          [part.header]: changed(request.headers[part.header] ?? '', part.start, part.end, of),
        },
      })
      switch (pick(6)) {
        case 0:
          // Letters only: in a form, different texts may have the same meaning.
          mutated = {
            ...request,
            body: isForm ? change(request.body, 8 + pick(3)) : changed(request.body, 0, request.body.length),
          }
          break
        case 1:
          // No white space and no separator, which mean nothing between items; and no change of case in hex.
          mutated = withHeader(signature, isHex(sender) ? 'abcdef0123456789+/-_=' : 'abcdefABCDEF0123456789+/-_=')
          break
        case 2: {
          const at = pick(secret.length)
          secret = secret.slice(0, at) + (secret[at] === 'q' ? 'r' : 'q') + secret.slice(at + 1)
          // The prefix is a label, not a part of the key.
          if (sender.secrets[0].startsWith('wh') && at < 6) secret = `${secret}x`
          break
        }
        case 3:
          if (timestamp === undefined) mutated = { ...request, headers: {} }
          else if (pick(2) === 0) atMs += (pick(2) === 0 ? -1 : 1) * (302_000 + pick(10_000_000))
          else mutated = withHeader(timestamp, '0123456789ex-.')
          break
        case 4: {
          const others = all.filter(({ sender: one }) => one !== sender)
          const { request: foreign } = others[pick(others.length)] as (typeof all)[number]
          mutated = { ...foreign, body: request.body }
          if (signatureHeaders(sender).every((header) => foreign.headers[header] === request.headers[header]))
            mutated = { ...request, headers: {} }
          break
        }
        default: {
          const cut = request.headers[signature.header] ?? ''
          mutated = {
            ...request,
            headers: {
              ...request.headers,
              [signature.header]: cut.slice(0, signature.start + pick(signature.end - signature.start)),
            },
          }
        }
      }
      const proven = await verify(sender, mutated, [secret], atMs).catch((error: unknown) => `threw ${String(error)}`)
      if (proven !== false)
        accepted.push(
          `${name} (seed ${seed}, ${count}): ${String(proven)} ${JSON.stringify({ mutated, secret, atMs })}`,
        )
    }
    expect(accepted.slice(0, 3)).toEqual([])
  })
})

function isHex({ preset }: Sender): boolean {
  return preset.descriptors.every(({ signature }) => signature.encoding === 'hex')
}

function signatureHeaders({ preset }: Sender): readonly string[] {
  return preset.descriptors.map(({ signature }) => headerOf(signature))
}

function headerOf(part: Part): string {
  if (!('header' in part)) throw new Error('not in a header')
  const [header = ''] = [part.header].flat()
  return header
}
