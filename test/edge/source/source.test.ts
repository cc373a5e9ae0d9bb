import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { createPrepare } from '../../../src/core/delivery/prepare.ts'
import { createHasher } from '../../../src/core/update/hash.ts'
import { bearer, standardWebhooks } from '../../../src/edge/auth/index.ts'
import { checkSources, secretName, secretProblem } from '../../../src/edge/source/check.ts'
import { mapEvent, parseEvent } from '../../../src/edge/source/mapping.ts'
import { source } from '../../../src/edge/source/source.ts'
import type { MappedUpdate, Source } from '../../../src/edge/source/types.ts'
import { testSecrets } from '../../support/secrets.ts'

const canary = 'canary-4711'
const arrivalMs = 1_790_000_000_000
const prepare = createPrepare({
  hasher: await createHasher(testSecrets.hashKey),
  wire: { method: 'post', origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' },
  retentionMs: 72 * 3_600_000,
})
const mapped = (one: Source, event: unknown, eventId?: string) => mapEvent(one, event, { eventId, arrivalMs }, prepare)
const anything = z.object({ id: z.string().optional(), at: z.coerce.date().optional(), n: z.number().default(1) })
const update = (more: Partial<MappedUpdate> = {}): MappedUpdate => ({
  visitor: { thirdPartyId: '1' },
  attributes: { tier: 'gold' },
  ...more,
})

describe('the definition of a source', () => {
  it.each<[string, () => unknown, RegExp]>([
    ['a name in capitals', () => source('Loan', { auth: bearer(), schema: anything, map: () => null }), /lower-case/],
    [
      'a share over one',
      () => source('loan', { auth: bearer(), schema: anything, map: () => null, share: 1.5 }),
      /share/,
    ],
    [
      'a body limit of 0',
      () => source('loan', { auth: bearer(), schema: anything, map: () => null, maxBodyBytes: 0 }),
      /maxBodyBytes/,
    ],
    ['a delay of 0', () => source('loan', { auth: bearer(), schema: anything, map: () => null, delay: '0s' }), /delay/],
    [
      'a delay without a unit',
      // @ts-expect-error: a delay has a unit
      () => source('loan', { auth: bearer(), schema: anything, map: () => null, delay: '5' }),
      /delay/,
    ],
    [
      'an unknown format',
      // @ts-expect-error: there are two formats
      () => source('loan', { auth: bearer(), schema: anything, map: () => null, format: 'xml' }),
      /format/,
    ],
    [
      'a header with the sample that the mapping may not read',
      () => source('loan', { auth: bearer(), schema: anything, map: () => null, sampleHeaders: { 'X-Topic': 'a' } }),
      /sampleHeaders has X-Topic/,
    ],
    ['no method', () => source('loan', { auth: bearer(), schema: anything, map: () => null, methods: [] }), /methods/],
    [
      'another method',
      // @ts-expect-error: events come by POST or PUT
      () => source('loan', { auth: bearer(), schema: anything, map: () => null, methods: ['GET'] }),
      /methods/,
    ],
  ])('is rejected: %s', (_, make, message) => {
    expect(make).toThrow(message)
  })

  it('gives its delay as a span', () => {
    const of = (delay: '90s' | '15m' | '1h' | '2d') =>
      source('a', { auth: bearer(), schema: anything, map: () => null, delay }).delayMs
    expect([of('90s'), of('15m'), of('1h'), of('2d')]).toEqual([90_000, 900_000, 3_600_000, 172_800_000])
  })

  it('reports two sources of one name, and a delay that outlives the retention', () => {
    const one = source('a', { auth: bearer(), schema: anything, map: () => null, delay: '1h' })
    expect(checkSources([one], { retentionMs: 3_600_001 })).toEqual([])
    expect(checkSources([one], { retentionMs: 3_600_000 })).toEqual([expect.stringContaining('source a: its delay')])
    expect(checkSources([one, one, one], { retentionMs: 7_200_000 })).toEqual(['source a: two sources have this name'])
  })

  it('checks its secrets', async () => {
    const one = source('call-centre', { auth: standardWebhooks(), schema: anything, map: () => null })
    expect(secretName(one.name)).toBe('HOOK_SECRET_CALL_CENTRE')
    expect(await secretProblem(one, [])).toMatch(/is not set/)
    expect(await secretProblem(one, [testSecrets.hook('call-centre'), 'not base64!'])).toMatch(
      /none for standard-webhooks/,
    )
    expect(await secretProblem(one, ['not base64!'])).not.toContain('not base64!')
    expect(await secretProblem(one, [testSecrets.hook('call-centre')])).toBeUndefined()
    const plain = source('desk', { auth: bearer(), schema: anything, map: () => null })
    expect(await secretProblem(plain, ['a-secret-of-many-letters', 'fifteen-letters'])).toMatch(
      /^HOOK_SECRET_DESK holds a secret of fewer than 16/,
    )
    expect(await secretProblem(plain, ['a-secret-of-many-letters', 'sixteen--letters'])).toBeUndefined()
  })
})

describe('types, from schema to map (checked by the compiler)', () => {
  it('a mapping can only read what the schema has, and only return what Target accepts', () => {
    const schema = z.object({ customer: z.string(), note: z.string().nullable() })
    source('a', {
      auth: bearer(),
      schema,
      // @ts-expect-error: Target can't clear an attribute
      map: (e) => ({ visitor: { thirdPartyId: e.customer }, attributes: { note: e.note } }),
    })
    source('a', {
      auth: bearer(),
      schema,
      // @ts-expect-error: the schema has no such field
      map: (e) => ({ visitor: { thirdPartyId: e.client }, attributes: { note: 'x' } }),
    })
    source('a', {
      auth: bearer(),
      schema,
      attributes: ['note'],
      map: (e) => ({ visitor: { thirdPartyId: e.customer }, attributes: { note: { text: 'x' }, 'note.size': 1 } }),
      // @ts-expect-error: a sample is an event
      sample: { customer: 1 },
    })
  })
})

describe('what a mapping returns', () => {
  const of = (given: unknown) => source('a', { auth: bearer(), schema: z.unknown(), map: () => given as MappedUpdate })

  it('values become the text that is sent to Target', async () => {
    const result = await mapped(
      of(
        update({
          attributes: {
            text: ' a=b&c ',
            number: 1.5,
            whole: 25_000n,
            yes: true,
            when: new Date('2026-11-24T10:00:00Z'),
            address: { city: 'Bern', zip: 3_000 },
            list: [1, 'two', { three: null }],
            absent: undefined,
          },
        }),
      ),
      {},
    )
    expect(
      result.ok && Object.fromEntries(result.updates[0]?.attributes.map(({ name, value }) => [name, value]) ?? []),
    ).toEqual({
      text: ' a=b&c ',
      number: '1.5',
      whole: '25000',
      yes: 'true',
      when: '2026-11-24T10:00:00.000Z',
      'address.city': 'Bern',
      'address.zip': '3000',
      list: '[1,"two",{"three":null}]',
    })
  })

  const circle: unknown[] = []
  circle.push(circle)
  it.each<[string, unknown]>([
    ['null', { a: null }],
    ['not a number', { a: Number.NaN }],
    ['an invalid date', { a: new Date(Number.NaN) }],
    ['a circular object', { a: circle }],
    ['a circular object in a list', { a: [1n, circle] }],
    ['a function', { a: () => canary }],
    ['nothing', { a: undefined }],
    ['a text instead of attributes', canary],
    ['a reserved name', { 'user.x': canary }],
  ])('%s is unmappable, and the reason holds nothing of it', async (_, attributes) => {
    const result = await mapped(of(update({ attributes: attributes as MappedUpdate['attributes'] })), {})
    expect(result).toEqual({ ok: false, reason: expect.any(String) })
    expect(JSON.stringify(result)).not.toContain(canary)
  })

  it.each<[string, unknown, number]>([
    ['null', null, 0],
    ['undefined', undefined, 0],
    ['none', [], 0],
    ['one', update(), 1],
    ['several', [update(), update({ visitor: { pcId: '1-2' } })], 2],
  ])('%s is %i updates', async (_, given, count) => {
    const result = await mapped(of(given), {})
    expect(result.ok && result.updates.length).toBe(count)
  })

  it('a mapping that throws, or returns too many updates, is reported without the event’s content', async () => {
    const throwing = source('a', {
      auth: bearer(),
      schema: z.unknown(),
      map: () => {
        throw new RangeError(canary)
      },
    })
    let thrown: unknown
    expect(throwing.read({}, undefined, (error) => (thrown = error))).toEqual({
      ok: false,
      reason: 'the mapping threw RangeError',
    })
    expect(thrown).toBeInstanceOf(RangeError)
    expect(await mapped(of(Array.from({ length: 1_001 }, () => update())), {})).toMatchObject({
      ok: false,
      reason: /more than 1000/,
    })
  })

  it('what does not fit the schema is reported by field and type, never by value', async () => {
    const strict = source('a', {
      auth: bearer(),
      schema: z.strictObject({ customer: z.string(), status: z.enum(['a', 'b']), nested: z.object({ n: z.int() }) }),
      map: () => null,
    })
    const result = strict.read({ customer: 4_711, status: canary, nested: { n: canary }, [canary]: canary })
    expect(result).toMatchObject({ ok: false })
    expect(!result.ok && result.reason).toMatch(
      /customer: .*; status: .*; nested\.n: .*; the event: has fields that are not known/,
    )
    expect(JSON.stringify(result)).not.toMatch(new RegExp(`${canary}|4711`))
  })

  it.each<[string, z.ZodType, unknown]>([
    [
      'a refinement',
      z.object({ customer: z.string().refine(() => false, { error: (i) => `${String(i.input)} is bad` }) }),
      { customer: canary },
    ],
    [
      'a message for one of zod’s checks',
      z.object({ customer: z.string().max(2, { error: (i) => `${String(i.input)}!` }) }),
      { customer: canary },
    ],
    [
      'a message for a type',
      z.object({ customer: z.int({ error: (i) => `not ${JSON.stringify(i.input)}` }) }),
      { customer: canary },
    ],
    ['a raised issue', z.string().superRefine((given, context) => context.addIssue(`${given} is bad`)), canary],
    [
      'a bound of a raised issue',
      z
        .string()
        .superRefine((given, context) =>
          context.addIssue({ code: 'too_small', minimum: given as never, origin: 'number' }),
        ),
      canary,
    ],
    [
      'a path of a raised issue',
      z.string().superRefine((given, context) => context.addIssue({ code: 'custom', path: [given] })),
      canary,
    ],
    [
      'a custom check',
      z.string().check((c) => void c.issues.push({ code: 'custom', input: c.value, message: c.value })),
      canary,
    ],
    [
      'a transform',
      z.string().transform((given, context) => context.addIssue({ code: 'custom', message: given })),
      canary,
    ],
    ['a key of a record', z.object({ of: z.record(z.string(), z.number()) }), { of: { [canary]: 'x' } }],
    [
      'an option of a union',
      z.union([z.string().refine(() => false, { error: (i) => String(i.input) }), z.int()]),
      canary,
    ],
  ])('nothing of the event leaks through the schema’s own messages: %s (G8)', (_, schema, event) => {
    const read = source('a', { auth: bearer(), schema, map: () => null }).read(event)
    expect(read).toEqual({ ok: false, reason: expect.stringMatching(/is refused by its schema|Invalid input/) })
    expect(JSON.stringify(read)).not.toContain(canary)
  })

  it('a mismatch inside a record, a lazy or an optional schema is named by the schema’s names only', () => {
    interface Node {
      readonly tag?: number
      readonly next?: Node
    }
    const node: z.ZodType<Node, Node> = z.lazy(
      () => z.object({ tag: z.int().optional(), next: node.optional() }) as never,
    )
    const schema = z.object({ of: z.record(z.string(), z.array(node)) })
    const read = source('a', { auth: bearer(), schema, map: () => null }).read({
      of: { [canary]: [{ next: { tag: canary } }] },
    })
    expect(read).toEqual({ ok: false, reason: 'of.*.0.next.tag: Invalid input: expected number, received string' })
  })

  it('only the attributes that the source names are accepted, and those nested in them', async () => {
    const named = source('a', {
      auth: bearer(),
      schema: z.unknown(),
      attributes: ['tier', 'address'],
      map: (e) => ({ visitor: { thirdPartyId: '1' }, attributes: e as { tier: string } }),
    })
    expect(await mapped(named, { tier: 'gold', address: { city: 'Bern' } })).toMatchObject({ ok: true })
    expect(await mapped(named, { tier: 'gold', tiers: 'x' })).toEqual({
      ok: false,
      reason: expect.stringContaining('attributes.tiers'),
    })
    expect(await mapped(named, { addresses: 'x' })).toMatchObject({ ok: false })
  })
})

describe('ids and times', () => {
  const eventOf = (updates: MappedUpdate | MappedUpdate[], more: Partial<Parameters<typeof source>[1]> = {}) =>
    source('a', { auth: bearer(), schema: anything, map: () => updates, ...(more as object) })
  const ids = async (one: Source, event: unknown, scheme?: string) => {
    const result = await mapped(one, event, scheme)
    return result.ok ? result.drafts.map(({ id }) => id) : result.reason
  }
  const withId = { eventId: (e: { id?: string | undefined }) => e.id } as object

  it('an update’s own id comes before the source’s, and that before the scheme’s', async () => {
    expect(await ids(eventOf(update({ id: 'own' }), withId), { id: 'event' }, 'scheme')).toEqual(['own'])
    expect(await ids(eventOf(update(), withId), { id: 'event' }, 'scheme')).toEqual(['event'])
    expect(await ids(eventOf(update(), withId), {}, 'scheme')).toEqual(['scheme'])
    expect(await ids(eventOf(update()), {})).toEqual([undefined])
  })

  it('an update’s own id does not depend on its position in the event: a batch may be cut differently next time (G4)', async () => {
    const [a, b, c] = ['a', 'b', 'a'].map((id) => update({ id }))
    expect(await ids(eventOf([a, b] as MappedUpdate[]), {}, 'scheme')).toEqual(['a', 'b'])
    expect(await ids(eventOf([b, a] as MappedUpdate[]), {}, 'scheme')).toEqual(['b', 'a'])
    expect(await ids(eventOf([a, b, c, update()] as MappedUpdate[]), {}, 'scheme')).toEqual([
      'a#0',
      'b',
      'a#1',
      'scheme',
    ])
    // No two updates ever get the same id.
    expect(await ids(eventOf([a, c, update({ id: 'a#0' })] as MappedUpdate[]), {})).toEqual(['a#1', 'a#2', 'a#0'])
  })

  it('a mapping in plain JavaScript may return anything as an id: only text is accepted, and null counts as none', async () => {
    for (const id of [7, {}, true])
      expect(await mapped(eventOf(update({ id: id as unknown as string })), {})).toEqual({
        ok: false,
        reason: expect.stringMatching(/^id must be text/),
      })
    expect(await ids(eventOf(update({ id: null as unknown as string }), withId), { id: 'event' })).toEqual(['event'])
  })

  it('several updates of one event each have an id of their own', async () => {
    const two = [update(), update({ visitor: { pcId: '1-2' } })]
    expect(await ids(eventOf(two, withId), { id: 'event' })).toEqual(['event#0', 'event#1'])
    const result = await mapped(eventOf(two, withId), { id: 'event' })
    expect(result.ok && new Set(result.updates.map(({ event }) => event)).size).toBe(2)
  })

  it('the event time comes from the source, otherwise from the arrival', async () => {
    const timed = eventOf(update(), { occurredAt: (e: { at?: Date | undefined }) => e.at } as object)
    const at = new Date(arrivalMs - 5_000)
    const [early, late] = [await mapped(timed, { at: at.toISOString() }), await mapped(timed, {})]
    expect(early.ok && early.updates[0]?.stamp.slice(0, 14)).toBe(`t${at.getTime()}`)
    expect(late.ok && late.updates[0]?.stamp.slice(0, 14)).toBe(`t${arrivalMs}`)
  })
})

describe('bodies', () => {
  const bytes = (text: string) => new TextEncoder().encode(text)
  const eventIn = (...given: Parameters<typeof parseEvent>) => {
    const parsed = parseEvent(...given)
    return parsed.ok ? parsed.event : parsed.reason
  }
  it('a form is read as an object of texts', () => {
    expect(eventIn('form', bytes('a=1&b=x+y%20z&__proto__=p&c'))).toEqual(
      Object.fromEntries([
        ['a', '1'],
        ['b', 'x y z'],
        ['__proto__', 'p'],
        ['c', ''],
      ]),
    )
  })
  it('a repeated name in a form becomes a list of all its values', () => {
    expect(eventIn('form', bytes('a=1&b=x&a=2&a=3'))).toEqual({ a: ['1', '2', '3'], b: 'x' })
  })

  it.each([
    ['a malformed escape', bytes('a=%zz')],
    ['malformed UTF-8, escaped', bytes('a=%ff')],
    ['malformed UTF-8', Uint8Array.of(0x61, 0x3d, 0xff)],
  ])('a form with %s is rejected', (_, body) => {
    expect(parseEvent('form', body)).toMatchObject({ ok: false })
  })
})
