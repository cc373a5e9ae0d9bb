/** Values arrive exactly as they were sent (docs/sources.md, "Ids, numbers and times"): every digit of a number, times, and ids. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { createRemap, type Reading } from '../../src/core/operator/remap.ts'
import { createApp } from '../../src/edge/app.ts'
import { bearer, github } from '../../src/edge/auth/index.ts'
import { mapEvent, parseEvent } from '../../src/edge/source/mapping.ts'
import { eventTime, id, json, text } from '../../src/edge/source/schemas.ts'
import { source } from '../../src/edge/source/source.ts'
import type { MappedUpdate, Source } from '../../src/edge/source/types.ts'
import { jsonNumber } from '../support/json-number.ts'
import { createWorld, type World } from '../support/world.ts'

const secret = 'a-made-up-secret-of-this-test'
const wire = { method: 'post', origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' } as const
const fixture = (name: string) => readFileSync(`test/cases/${name}`, 'utf8')

function doors(world: World, sources: readonly Source[] = []) {
  const app = createApp({
    settings: {
      targetClientCode: 'demo',
      apiTokens: [{ token: secret, lane: 'live' }],
      hookSecrets: new Map(sources.map(({ name }) => [name, [secret]])),
    },
    sources,
    prepare: world.prepare,
    wire,
    deliver: world.deliver,
    bury: (dead) => world.backlog.bury(dead),
    ready: () => Promise.reject(new Error('not here')),
    operator: {} as never,
    clock: world.clock,
  })
  const post = async (path: string, body: string, contentType = 'application/json') => {
    const headers = { authorization: `Bearer ${secret}`, 'content-type': contentType }
    const answer = await app.fetch(new Request(`https://relay.example${path}`, { method: 'POST', headers, body }))
    const answered = await answer.text()
    return { status: answer.status, text: answered, answer: JSON.parse(answered) as Record<string, unknown> }
  }
  return {
    v1: (body: string) => post('/v1/updates', body),
    dropIn: async (query: string) => {
      const headers = { authorization: `Bearer ${secret}` }
      const answer = await app.fetch(new Request(`https://relay.example/m2/demo/profile/update?${query}`, { headers }))
      return { status: answer.status, text: await answer.text() }
    },
    hook: (name: string, body: string, contentType?: string) => post(`/hooks/${name}`, body, contentType),
  }
}
const letters = async (world: World) =>
  (await world.backlog.listDead()).items.map((item) =>
    'dead' in item ? [item.dead.reason, item.dead.detail] : ['unreadable'],
  )

describe('POST /v1/updates', () => {
  it('sends any number digit by digit as it was written, wherever it occurs in the body', async () => {
    const world = await createWorld({ settings: { quotaLimit: 1_000_000 } })
    const { v1 } = doors(world)
    await fc.assert(
      fc.asyncProperty(jsonNumber, async (number) => {
        await world.clock.advance(1)
        const { status } = await v1(
          `{"visitor":{"thirdPartyId":"visitor-1"},"attributes":{"n":${number},"o":{"p":${number}},"l":[ ${number} ,{"q":${number}}]}}`,
        )
        expect(status).toBe(200)
        expect(world.profile()).toEqual({ n: number, 'o.p': number, l: `[${number},{"q":${number}}]` })
        await world.settled()
      }),
      { numRuns: 50 },
    )
  })

  it('sends the example of test/cases exactly', async () => {
    const world = await createWorld()
    expect((await doors(world).v1(fixture('01-bigint-v1-updates.json'))).status).toBe(200)
    expect(world.profile('big')).toEqual({ lastOrder: '820982911946154508' })
  })

  it.each([
    ['a visitor', '{"visitor":5,"attributes":{"a":1}}', 'visitor'],
    ['an id of a visitor', '{"visitor":{"thirdPartyId":5},"attributes":{"a":1}}', 'visitor.thirdPartyId'],
    ['an id', '{"id":5,"visitor":{"thirdPartyId":"1"},"attributes":{"a":1}}', 'id'],
    ['attributes', '{"visitor":{"thirdPartyId":"1"},"attributes":5}', 'attributes'],
    [
      'a time when it is negative',
      '{"visitor":{"thirdPartyId":"1"},"attributes":{"a":1},"occurredAt":-5}',
      'occurredAt',
    ],
    ['the list of updates', '{"updates":5}', 'updates'],
  ])('rejects a number as %s', async (_, body, path) => {
    const { status, answer } = await doors(await createWorld()).v1(body)
    expect(status).toBe(422)
    expect((answer['errors'] as { path: string }[])[0]?.path).toBe(path)
  })

  it('says what is wrong with the JSON', async () => {
    const { status, answer } = await doors(await createWorld()).v1(
      '{"visitor":{"pcId":"1"},"attributes":{"a":1,"a":2}}',
    )
    expect([status, answer['detail']]).toEqual([
      400,
      expect.stringMatching(/^The body gives one name twice in one object/),
    ])
  })

  it('accepts each form of a time, and lists the forms when it rejects one', async () => {
    const world = await createWorld()
    const { v1 } = doors(world)
    const nowMs = world.clock.now()
    const iso = new Date(nowMs).toISOString()
    const whole = Math.floor(nowMs / 1_000)
    for (const [index, at] of [
      iso.replace('Z', '+0000'),
      iso.replace('Z', '+00'),
      iso.toLowerCase(),
      `${iso.slice(0, 16)}Z`,
      iso.replace('Z', '1234567Z'),
      `${new Date(nowMs + 3_600_000).toISOString().slice(0, -1)}+01:00`,
      nowMs,
      whole,
      String(nowMs),
      String(whole),
    ].entries())
      expect([
        at,
        (await v1(JSON.stringify({ visitor: { thirdPartyId: `v${index}` }, attributes: { a: 'x' }, occurredAt: at })))
          .status,
      ]).toEqual([at, 200])
    for (const at of ['2026-11-24T00:00:00', 'soon', -1, null, { a: 1 }]) {
      const { status, answer } = await v1(
        JSON.stringify({ visitor: { thirdPartyId: 'v' }, attributes: { a: 'x' }, occurredAt: at }),
      )
      expect([status, answer['errors']]).toEqual([
        422,
        [{ path: 'occurredAt', message: expect.stringMatching(/ISO 8601 with an offset .*epoch seconds/) }],
      ])
    }
  })
})

describe('an integer too large for a JavaScript number, at a hook', () => {
  const body = fixture('01-bigint-shopify-like.json')
  const order = (anId: z.ZodType<string>) =>
    source('shop', {
      auth: bearer(),
      schema: z.object({ id: anId, customer: z.object({ id: anId }) }),
      map: (e) => ({ id: e.id, visitor: { thirdPartyId: e.customer.id }, attributes: { lastOrder: e.id } }),
    })

  it('arrives exactly through id(): two orders that differ in the last digit stay two orders of two customers', async () => {
    const world = await createWorld()
    const { hook } = doors(world, [order(id())])
    const next = body.replace('154509', '154508').replace('723954', '723953')
    expect((await hook('shop', body)).answer).toMatchObject({ id: '820982911946154509', status: 'submitted' })
    expect((await hook('shop', next)).answer).toMatchObject({ id: '820982911946154508', status: 'submitted' })
    expect(world.profile('115310627314723954')).toEqual({ lastOrder: '820982911946154509' })
    expect(world.profile('115310627314723953')).toEqual({ lastOrder: '820982911946154508' })
  })

  it.each([
    ['a number', z.number().transform(String)],
    ['an integer', z.int().transform(String)],
    ['text or a number', z.union([z.string(), z.number()]).transform(String)],
  ])('is quarantined with the field’s name and what to write instead, if the schema says %s', async (_, schema) => {
    const world = await createWorld()
    const { status, answer } = await doors(world, [order(schema)]).hook('shop', body)
    expect([status, answer]).toEqual([202, { status: 'quarantined' }])
    expect(await letters(world)).toEqual([
      ['unmappable', expect.stringMatching(/^id: .*write id\(\) or z\.bigint\(\).*; customer\.id: /)],
    ])
    expect(world.target.calls).toEqual([])
  })

  it('is a bigint, which a mapping may return as a value or in a list; a dry run shows it', async () => {
    const world = await createWorld()
    const sources = [
      source('any', {
        auth: bearer(),
        schema: z.object({ n: z.bigint() }),
        map: (e) => ({
          id: `e${e.n}`,
          visitor: { thirdPartyId: 'visitor-1' },
          attributes: { n: e.n, l: [e.n, { m: e.n }], o: { p: e.n } },
        }),
      }),
    ]
    const { hook } = doors(world, sources)
    const dry = await hook('any?dry_run=1', '{"n":12345678901234567890}')
    expect([dry.status, dry.text]).toEqual([
      200,
      expect.stringContaining('"value":"[12345678901234567890,{\\"m\\":12345678901234567890}]"'),
    ])
    expect((await hook('any', '{"n":12345678901234567890}')).status).toBe(200)
    expect(world.profile()).toEqual({
      n: '12345678901234567890',
      l: '[12345678901234567890,{"m":12345678901234567890}]',
      'o.p': '12345678901234567890',
    })
  })

  it('is exact in the JSON of a form field, read by json()', async () => {
    const world = await createWorld()
    const desk = source('desk', {
      auth: bearer(),
      format: 'form',
      schema: z.object({ payload: json(z.object({ customer: id(), at: eventTime() })) }),
      map: ({ payload }) => ({
        visitor: { thirdPartyId: payload.customer },
        occurredAt: payload.at,
        attributes: { a: 'x' },
      }),
    })
    const send = (payload: string) =>
      doors(world, [desk]).hook('desk', `payload=${encodeURIComponent(payload)}`, 'application/x-www-form-urlencoded')
    expect((await send(`{"customer":9007199254740993,"at":${world.clock.now()}}`)).status).toBe(200)
    expect(world.profile('9007199254740993')).toEqual({ a: 'x' })
    expect((await send('{"customer":1,"customer":2}')).answer).toEqual({ status: 'quarantined' })
    expect(await letters(world)).toEqual([
      ['unmappable', 'payload: must be text that is JSON, in which no object gives a name twice'],
    ])
  })

  it('is exact when an event that was quarantined because of it is mapped again', async () => {
    const world = await createWorld()
    await doors(world, [order(z.number().transform(String))]).hook('shop', body)
    const [letter] = (await world.backlog.listDead()).items
    const mended = order(id())
    const map = async ({ raw }: { raw: string }, arrivalMs: number): Promise<Reading> => {
      const parsed = parseEvent('json', new TextEncoder().encode(raw))
      if (!parsed.ok) return parsed
      const mapped = await mapEvent(mended, parsed.event, { arrivalMs }, world.prepare)
      return mapped.ok ? { ...mapped, lane: 'live' } : mapped
    }
    const remap = createRemap({ backlog: world.backlog, deliver: world.deliver, map })
    expect(await remap(letter?.key ?? '')).toMatchObject({ status: 'mapped', removed: true })
    expect(world.profile('115310627314723954')).toEqual({ lastOrder: '820982911946154509' })
  })

  it('arrives as written, as a number, a text or in a list (property)', async () => {
    const world = await createWorld({ settings: { quotaLimit: 1_000_000 } })
    const { hook } = doors(world, [
      source('any', {
        auth: bearer(),
        schema: z.object({ n: id(), l: z.array(z.union([z.number(), z.bigint()])) }),
        map: (e) => ({ visitor: { thirdPartyId: e.n }, attributes: { n: e.n, l: e.l } }),
      }),
    ])
    await fc.assert(
      fc.asyncProperty(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), async (integer) => {
        expect((await hook('any', `{"n":${integer},"l":[${integer}]}`)).status).toBe(200)
        expect(world.profile(String(integer))).toEqual({ n: String(integer), l: `[${integer}]` })
        await world.settled()
      }),
      { numRuns: 50 },
    )
  })
})

describe('placeholders instead of ids, under which many visitors’ data would be mixed', () => {
  const words = ['undefined', 'null', 'NaN', '[object Object]', ' ']
  const missing = (more: (e: { missing?: unknown }) => Partial<MappedUpdate>) =>
    source('desk', {
      auth: bearer(),
      schema: z.object({ missing: z.unknown().optional() }),
      map: (e) => ({ visitor: { thirdPartyId: 'visitor-1' }, attributes: { a: 'x' }, ...more(e) }),
    })

  it.each(words)('on /v1: 422 for a visitor, a pcId or an event with the id %j', async (word) => {
    const world = await createWorld()
    const { v1 } = doors(world)
    for (const [path, more] of [
      ['visitor.thirdPartyId', { visitor: { thirdPartyId: word } }],
      ['visitor.pcId', { visitor: { pcId: word } }],
      ['id', { id: word }],
    ] as const) {
      const { status, answer } = await v1(
        JSON.stringify({ visitor: { thirdPartyId: '1' }, attributes: { a: 'x' }, ...more }),
      )
      expect([status, answer['errors']]).toEqual([422, [{ path, message: expect.any(String) }]])
    }
    expect(world.target.calls).toEqual([])
  })

  it.each(words)('on the drop-in route: 422 for a visitor with the id %j', async (word) => {
    const { status, text: answered } = await doors(await createWorld()).dropIn(
      `mbox3rdPartyId=${encodeURIComponent(word)}&profile.a=x`,
    )
    expect([status, answered]).toEqual([422, expect.stringContaining('visitor.thirdPartyId is ')])
  })

  it.each<[string, (e: { missing?: unknown }) => Partial<MappedUpdate>, string, RegExp]>([
    [
      'String(event.missing) as the visitor',
      (e) => ({ visitor: { thirdPartyId: String(e.missing) } }),
      '{}',
      /^visitor\.thirdPartyId is no id/,
    ],
    [
      'a template as the visitor',
      (e) => ({ visitor: { pcId: `${e.missing}` } }),
      '{"missing":null}',
      /^visitor\.pcId is no id/,
    ],
    ['String(event.missing) as the id', (e) => ({ id: String(e.missing) }), '{"missing":{}}', /^id is no id/],
    ['a blank as the id', (e) => ({ id: String(e.missing) }), '{"missing":" "}', /^id is blank/],
    [
      'String(Number(event.missing)) as the visitor',
      (e) => ({ visitor: { thirdPartyId: String(Number(e.missing)) } }),
      '{"missing":"x"}',
      /^visitor\.thirdPartyId is no id/,
    ],
  ])('at a hook: quarantined with the reason: %s', async (_, more, body, reason) => {
    const world = await createWorld()
    expect((await doors(world, [missing(more)]).hook('desk', body)).answer).toEqual({ status: 'quarantined' })
    expect(await letters(world)).toEqual([['unmappable', expect.stringMatching(reason)]])
  })

  it('at a hook: also when several updates of an event share it, or it comes from a header', async () => {
    const world = await createWorld()
    const map = () =>
      [1, 2].map((n) => ({ id: String(undefined), visitor: { thirdPartyId: 'visitor-1' }, attributes: { n } }))
    await doors(world, [source('desk', { auth: bearer(), schema: z.object({}), map })]).hook('desk', '{}')
    const nameless = { ...bearer(), eventId: () => 'undefined' }
    await doors(world, [
      source('desk', {
        auth: nameless,
        schema: z.object({}),
        map: () => ({ visitor: { pcId: '1' }, attributes: { a: 'x' } }),
      }),
    ]).hook('desk', '{}')
    expect((await letters(world)).map(([, detail]) => detail)).toEqual([
      expect.stringMatching(/^id is no id/),
      expect.stringMatching(/^id is no id/),
    ])
    expect(world.target.calls).toEqual([])
  })
})

describe('the schemas for sources', () => {
  const shape = z.object({ id: id(), at: eventTime(), note: text() })
  const at = '2026-11-24T10:00:00.000Z'
  const atMs = Date.parse(at)

  it.each<[unknown, string]>([
    ['c1', 'c1'],
    [' c1 ', ' c1 '],
    [7, '7'],
    [0, '0'],
    [12345678901234567890n, '12345678901234567890'],
  ])('id() of %s is text', (given, expected) => {
    expect(shape.parse({ id: given, at, note: ' n ' })).toEqual({ id: expected, at: atMs, note: 'n' })
  })

  it.each([
    [''],
    [' '],
    ['undefined'],
    ['[object Object]'],
    [undefined],
    [null],
    [true],
    [1.5],
    [2 ** 53],
    [Number.NaN],
    [{}],
    [[]],
  ])('id() rejects %s', (given) => {
    expect(shape.safeParse({ id: given, at, note: 'n' }).success).toBe(false)
  })

  it.each([at, '2026-11-24T11:00+01:00', atMs, atMs / 1_000, BigInt(atMs), new Date(at)])(
    'eventTime() of %s is epoch milliseconds',
    (given) => {
      expect(shape.parse({ id: 1, at: given, note: 'n' }).at).toBe(atMs)
    },
  )

  it('a value that does not fit is explained in the relay’s own words, and is not repeated', () => {
    const one = source('a', { auth: github(), schema: shape, map: () => null })
    const read = one.read({ id: 'undefined', at: 'canary-4711', note: ' ' })
    expect(read).toEqual({
      ok: false,
      reason: expect.stringMatching(/^id: must be an id: .*; at: must be a time: ISO 8601 .*; note: Too small: /),
    })
    expect(one.read({})).toMatchObject({ reason: expect.stringMatching(/^id: must be an id: .*; at: must be a time/) })
    expect(JSON.stringify(read)).not.toContain('canary')
  })
})
