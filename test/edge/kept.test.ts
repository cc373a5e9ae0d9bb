/** An event of an authenticated sender is never answered 4xx: it is read if that is possible, otherwise quarantined whole (G2). */
import { createHmac } from 'node:crypto'
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import type { DeadLetter } from '../../src/core/backlog/port.ts'
import { createApp } from '../../src/edge/app.ts'
import { bearer, github } from '../../src/edge/auth/index.ts'
import { unfold } from '../../src/edge/http/content-encoding.ts'
import { source } from '../../src/edge/source/source.ts'
import type { Format } from '../../src/edge/source/types.ts'
import { testSecrets } from '../support/secrets.ts'
import { createWorld } from '../support/world.ts'

const secret = testSecrets.hook('kiosk')
const maxBodyBytes = 2_000
const good = { id: 'e1', customer: 'visitor-1', tier: 'gold' }
const utf8 = (text: string) => Uint8Array.from(Buffer.from(text))
const latin1 = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'))
const json = utf8(JSON.stringify(good))
const twiceMarked = Uint8Array.of(0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf, ...json)
const nested = (levels: number) => utf8(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`)

async function relay(format: Format = 'json') {
  const world = await createWorld()
  const buried: DeadLetter[] = []
  const schema = z.object({ id: z.string(), customer: z.string(), tier: z.string() })
  const map = (e: z.output<typeof schema>) => ({
    id: e.id,
    visitor: { thirdPartyId: e.customer },
    attributes: { tier: e.tier },
  })
  const app = createApp({
    settings: {
      targetClientCode: 'demo',
      apiTokens: [{ token: testSecrets.apiToken, lane: 'live' }],
      hookSecrets: new Map(['open', 'signed'].map((name) => [name, [secret]])),
    },
    sources: [
      source('open', { auth: bearer(), acceptsCopies: true, format, schema, map, maxBodyBytes }),
      source('signed', { auth: github(), acceptsCopies: true, format, schema, map, maxBodyBytes }),
    ],
    prepare: world.prepare,
    wire: { method: 'post', origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' },
    deliver: world.deliver,
    bury: async (letter) => {
      buried.push(letter)
      return 'd1/x'
    },
    ready: () => Promise.reject(new Error('not here')),
    operator: {} as never,
    clock: world.clock,
  })
  const send = async (path: string, body: Uint8Array<ArrayBuffer>, headers: Record<string, string>) => {
    const answer = await app.fetch(new Request(`https://relay.example${path}`, { method: 'POST', headers, body }))
    return { status: answer.status, answer: (await answer.json()) as Record<string, unknown> }
  }
  return {
    buried,
    world,
    open: (body: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
      send('/hooks/open', body, { authorization: `Bearer ${secret}`, ...headers }),
    signed: (body: Uint8Array<ArrayBuffer>, of: Uint8Array, headers: Record<string, string>) =>
      send('/hooks/signed', body, {
        'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(of).digest('hex')}`,
        ...headers,
      }),
    v1: (body: Uint8Array<ArrayBuffer>, headers: Record<string, string>) =>
      send('/v1/updates', body, {
        authorization: `Bearer ${testSecrets.apiToken}`,
        'content-type': 'application/json',
        ...headers,
      }),
  }
}

const zipped = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array([...gzipSync(new Uint8Array([...bytes]))])
const deflated = (bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  new Uint8Array([...deflateSync(new Uint8Array([...bytes]))])

const rawDeflated = (bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  new Uint8Array([...deflateRawSync(new Uint8Array([...bytes]))])

describe('is read', () => {
  it.each<[string, Uint8Array<ArrayBuffer>, Record<string, string>]>([
    ['JSON as text/plain', json, { 'content-type': 'text/plain; charset=UTF-8' }],
    ['JSON without a type', json, {}],
    ['JSON under a type of something else', json, { 'content-type': 'application/x-www-form-urlencoded' }],
    ['a byte order mark', Uint8Array.of(0xef, 0xbb, 0xbf, ...json), { 'content-type': 'application/json' }],
    [
      'UTF-16 as its content type says',
      Uint8Array.from(Buffer.from(JSON.stringify(good), 'utf16le')),
      { 'content-type': 'application/json; charset=utf-16le' },
    ],
    [
      'UTF-16 by its mark, whatever its content type says',
      Uint8Array.from(Buffer.from(`\uFEFF${JSON.stringify(good)}`, 'utf16le')),
      { 'content-type': 'application/json; charset=utf-8' },
    ],
    [
      'UTF-16 in the other order, by its mark',
      Uint8Array.from(Buffer.from(`\uFEFF${JSON.stringify(good)}`, 'utf16le').swap16()),
      { 'content-type': 'application/json; charset=utf-16' },
    ],
    ['a charset in single quotes', json, { 'content-type': "application/json; charset='utf-8'" }],
    ['deflate without the header of zlib', rawDeflated(json), { 'content-encoding': 'deflate' }],
    ['a charset as the encoding', json, { 'content-encoding': 'UTF-8' }],
    ['gzip', zipped(json), { 'content-encoding': 'gzip' }],
    ['gzip under its old name', zipped(json), { 'content-encoding': 'X-GZIP' }],
    ['deflate', deflated(json), { 'content-encoding': 'deflate' }],
    ['identity as the encoding', json, { 'content-encoding': 'identity' }],
  ])('%s', async (_, body, headers) => {
    const { open, world } = await relay()
    expect(await open(body, headers)).toEqual({ status: 200, answer: { id: 'e1', status: 'submitted', calls: 1 } })
    expect(world.profile()).toEqual({ tier: 'gold' })
  })

  it('text in the charset that its content type names', async () => {
    const { open, world } = await relay()
    await open(latin1(JSON.stringify({ ...good, tier: 'Müller' })), {
      'content-type': 'application/json; charset="ISO-8859-1"',
    })
    expect(world.profile()).toEqual({ tier: 'Müller' })
  })

  it('a form, whatever its content type says', async () => {
    const { open, world } = await relay('form')
    await open(utf8('id=e1&customer=visitor-1&tier=gold'), { 'content-type': 'text/plain' })
    expect(world.profile()).toEqual({ tier: 'gold' })
  })

  it('a body signed before or after its compression, and no other', async () => {
    const { signed, buried, world } = await relay()
    const headers = { 'content-encoding': 'gzip' }
    expect((await signed(zipped(json), zipped(json), headers)).status).toBe(200)
    await world.clock.advance(1_000)
    const other = utf8(JSON.stringify({ ...good, id: 'e2', tier: 'iron' }))
    expect((await signed(zipped(other), other, headers)).status).toBe(200)
    expect(world.profile()).toEqual({ tier: 'iron' })
    expect((await signed(zipped(other), json, headers)).status).toBe(401)
    expect((await signed(other, json, headers)).status).toBe(401)
    expect(buried).toEqual([])
  })
})

describe('is quarantined whole, with its reason', () => {
  it.each<[string, Uint8Array<ArrayBuffer>, Record<string, string>, RegExp, string | undefined]>([
    ['a repeated name', utf8('{"id":"a","id":"b"}'), {}, /gives one name twice/, '{"id":"a","id":"b"}'],
    ['33 levels', nested(33), {}, /33|levels|deep/, undefined],
    ['two byte order marks', twiceMarked, {}, /JSON/, undefined],
    ['a body that is not JSON', utf8('hello'), {}, /JSON/, 'hello'],
    ['nothing', new Uint8Array(), {}, /JSON/, ''],
    ['a body that is not UTF-8', Uint8Array.of(0x22, 0xff, 0x22), {}, /not utf-8 \(kept as base64\)/, 'Iv8i'],
    ['an unknown charset', json, { 'content-type': 'application/json; charset=klingon' }, /not klingon/, undefined],
    ['an unsupported encoding', json, { 'content-encoding': 'br' }, /gzip or deflate/, JSON.stringify(good)],
    [
      'a body that is not gzip',
      json,
      { 'content-encoding': 'gzip' },
      /not what its content-encoding says/,
      JSON.stringify(good),
    ],
    [
      'truncated gzip',
      zipped(json).slice(0, -9),
      { 'content-encoding': 'gzip' },
      /not what its content-encoding says/,
      undefined,
    ],
    [
      'a body that decompresses to more than the limit',
      zipped(new Uint8Array(50_000)),
      { 'content-encoding': 'gzip' },
      /larger than 2000 bytes/,
      undefined,
    ],
  ])('%s', async (_, body, headers, reason, raw) => {
    const { open, buried } = await relay()
    expect(await open(body, headers)).toEqual({ status: 202, answer: { status: 'quarantined' } })
    expect(buried).toMatchObject([
      { reason: 'unmappable', source: 'open', detail: expect.stringMatching(reason) as unknown },
    ])
    if (raw !== undefined) expect(buried[0]?.raw).toBe(raw)
  })

  it('any bytes under any label: never a 4xx, and stored unchanged', async () => {
    const { open, buried } = await relay()
    const labels = [
      'application/json',
      'text/plain',
      'application/xml; charset=utf-8',
      'application/json; charset=windows-1252',
      '',
    ]
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom(...labels),
        fc.constantFrom('gzip', 'deflate', 'br', ''),
        async (bytes, type, encoding) => {
          buried.length = 0
          const headers = {
            ...(type === '' ? {} : { 'content-type': type }),
            ...(encoding === '' ? {} : { 'content-encoding': encoding }),
          }
          const { status } = await open(Uint8Array.from(bytes), headers)
          expect([200, 202]).toContain(status)
          const [letter] = buried
          if (letter?.raw === undefined || type.includes('1252') || encoding !== '') return
          const mark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
          const kept =
            letter.detail?.includes('base64') === true ? Buffer.from(letter.raw, 'base64') : Buffer.from(letter.raw)
          expect([...kept]).toEqual([...(mark && letter.detail?.includes('base64') !== true ? bytes.slice(3) : bytes)])
        },
      ),
    )
  })
})

describe('a stranger', () => {
  it('learns nothing from sending compressed bodies', async () => {
    const { signed, buried } = await relay()
    for (const encoding of ['gzip', 'br', 'deflate']) {
      const answer = await signed(zipped(new Uint8Array(50_000)), utf8('something else'), {
        'content-encoding': encoding,
      })
      expect(answer).toMatchObject({ status: 401, answer: { type: '/problems/unauthenticated' } })
    }
    expect(buried).toEqual([])
  })
})

describe('the memory for bodies', () => {
  it('is shared by everything that strangers make the relay decompress, and freed afterwards', async () => {
    const room = { maxBytes: 10_000, heldBytes: 6_000 }
    const large = zipped(new Uint8Array(5_000))
    expect(await unfold(large, 'gzip', 50_000, room)).toEqual({ ok: false, why: 'no_room' })
    room.heldBytes = 0
    // However much room there is, a body is never larger than its source's limit.
    expect(await unfold(large, 'gzip', 4_999, room)).toEqual({ ok: false, why: 'too_large' })
    expect(room.heldBytes).toBe(0)
    const both = await Promise.all([
      unfold(large, 'gzip', 50_000, room),
      unfold(zipped(new Uint8Array(9_000)), 'gzip', 50_000, room),
    ])
    expect(both.filter(({ ok }) => ok)).toHaveLength(1)
    expect(room.heldBytes).toBe(0)
  })
})

describe('/v1', () => {
  const update = utf8(
    JSON.stringify({ id: 'e1', visitor: { thirdPartyId: 'visitor-1' }, attributes: { tier: 'gold' } }),
  )
  it('reads gzip within the limit, and explains what it cannot read', async () => {
    const { v1, world } = await relay()
    expect((await v1(zipped(update), { 'content-encoding': 'gzip' })).status).toBe(200)
    expect(world.profile()).toEqual({ tier: 'gold' })
    const refused = async (body: Uint8Array<ArrayBuffer>, encoding: string) => {
      const { status, answer } = await v1(body, { 'content-encoding': encoding })
      return [status, answer['type'], answer['detail']]
    }
    expect(await refused(update, 'br')).toEqual([
      415,
      '/problems/unsupported-media-type',
      'The body has a content-encoding other than gzip or deflate.',
    ])
    expect(await refused(update, 'gzip')).toEqual([
      400,
      '/problems/malformed',
      'The body is not what its content-encoding says.',
    ])
    expect((await refused(zipped(new Uint8Array(3_000_000)), 'gzip')).slice(0, 2)).toEqual([413, '/problems/too-large'])
  })
})
