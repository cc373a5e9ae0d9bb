/** Copied requests, which are refused by their age or as duplicates unless a source accepts copies; and sender clocks that run fast. */
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import type { Leads } from '../../src/core/ledger/port.ts'
import { type AuthScheme, anyOf, apiKey, basic, bearer, github, jwt, stripe } from '../../src/edge/auth/index.ts'
import * as presets from '../../src/edge/auth/presets.ts'
import { takesCopies } from '../../src/edge/auth/scheme.ts'
import { checkSources } from '../../src/edge/source/check.ts'
import { mapEvent } from '../../src/edge/source/mapping.ts'
import { source } from '../../src/edge/source/source.ts'
import type { SourceOptions } from '../../src/edge/source/types.ts'
import { parseAll } from '../../src/relay/create.ts'
import { sources as exampleSources } from '../../src/sources.ts'
import { createWorld } from '../support/world.ts'

const event = z.object({ customer: z.string(), at: z.number().optional() })
type Options = Partial<SourceOptions<typeof event>>
const made = (auth: AuthScheme, options: Options = {}) =>
  source('desk', {
    auth,
    schema: event,
    map: (e) => ({ visitor: { thirdPartyId: e.customer }, attributes: { tier: 'gold' } }),
    ...options,
  })
const timed: Options['map'] = (e) => ({
  visitor: { thirdPartyId: e.customer },
  occurredAt: e.at,
  attributes: { tier: 'gold' },
})
const problems = (auth: AuthScheme, options: Options = {}) =>
  checkSources([made(auth, options)], { retentionMs: 72 * 3_600_000 })
const jwtScheme = jwt({ issuer: 'i', audience: 'a', jwksUrl: 'https://issuer.example/jwks' })

describe('a scheme under which a copied request stays valid for ever', () => {
  it.each<[string, AuthScheme, boolean]>([
    ['a signature without a time', github(), true],
    ['a signature with a time', stripe(), false],
    ['a secret that is sent along', bearer(), false],
    ['a key', apiKey('x-key'), false],
    ['a password', basic(), false],
    ['a token that expires', jwtScheme, false],
    ['any of a time and a secret', anyOf('crm', { signed: stripe(), plain: bearer() }), false],
    ['any of which one is such a scheme', anyOf('crm', { signed: github(), plain: bearer() }), true],
    ['a custom scheme that declares nothing', { name: 'own', verify: async () => true }, true],
  ])('%s', (_, auth, expected) => {
    expect(takesCopies(auth)).toBe(expected)
  })

  it('is each preset that signs no time', () => {
    const copied = Object.entries(presets).flatMap(([name, preset]) => (takesCopies(preset()) ? [name] : []))
    expect(copied.sort()).toEqual([
      'adyen',
      'github',
      'gocardless',
      'line',
      'linear',
      'onfido',
      'razorpay',
      'shopify',
      'square',
      'twilio',
    ])
  })

  it.each<[string, Options, boolean]>([
    ['nothing more', {}, false],
    ['a sample without a time', { map: timed, sample: { customer: '1' } }, false],
    ['a sample that cannot be mapped', { map: timed, sample: { at: 1 } as never }, false],
    ['a sample that gives nothing', { map: () => null, sample: { customer: '1', at: 1 } }, false],
    ['a mapping with a time, and a sample that shows it', { map: timed, sample: { customer: '1', at: 1 } }, true],
    ['a time of the source', { occurredAt: (e) => e.at }, true],
    ['acceptsCopies', { acceptsCopies: true }, true],
  ])('does not start with %s, unless the age of an event can be known (%j)', (_, options, starts) => {
    expect(problems(github(), options)).toEqual(
      starts ? [] : [expect.stringMatching(/^source desk: github sees no time.*occurredAt.*acceptsCopies: true/)],
    )
    // Nothing is required where a copy expires, or where whoever has a copy has the secret too.
    expect(problems(stripe(), options)).toEqual([])
    expect(problems(bearer(), options)).toEqual([])
  })

  it('prevents the start of a Worker and a server alike; the examples start', () => {
    const env = { TARGET_CLIENT_CODE: 'demo', HASH_KEY: 'k'.repeat(32) }
    expect(parseAll(env, [made(github())])).toMatchObject({ ok: false })
    expect(parseAll(env, exampleSources)).toMatchObject({ ok: true })
  })

  it('an update without a time is unmappable; with a time, or from a source that accepts copies, it is sent', async () => {
    const world = await createWorld()
    const arrivalMs = world.clock.now()
    const mapped = (options: Options, given: object) =>
      mapEvent(made(github(), options), { customer: '1', ...given }, { arrivalMs }, world.prepare)
    expect(await mapped({ map: timed }, {})).toMatchObject({
      ok: false,
      reason: expect.stringContaining('occurredAt is missing'),
    })
    expect(await mapped({ map: timed }, { at: arrivalMs })).toMatchObject({ ok: true })
    expect(await mapped({ acceptsCopies: true }, {})).toMatchObject({ ok: true })
  })

  it('a copied request does not restore an old value once its id is forgotten (G3)', async () => {
    const world = await createWorld()
    const one = made(github(), {
      eventId: (e) => `${e.customer}-${e.at}`,
      occurredAt: (e) => e.at,
      map: (e) => ({ visitor: { thirdPartyId: e.customer }, attributes: { tier: String(e.at) } }),
    })
    const send = async (at: number) => {
      const read = await mapEvent(one, { customer: 'visitor-1', at }, { arrivalMs: world.clock.now() }, world.prepare)
      const receipts = read.ok ? await world.deliver(read.updates) : []
      await world.settled()
      return receipts[0]?.status
    }
    const firstMs = world.clock.now()
    expect(await send(firstMs)).toBe('submitted')
    await world.clock.advance(1_000)
    expect(await send(world.clock.now())).toBe('submitted')
    expect(await send(firstMs)).toBe('duplicate')
    await world.clock.advance(97 * 3_600_000)
    expect(await send(firstMs)).toBeUndefined()
    expect(world.profile()).toEqual({ tier: String(firstMs + 1_000) })
  })
})

describe('a sender’s clock', () => {
  const updateOf = async (aheadMs: number, options: Options = {}) => {
    const world = await createWorld()
    const arrivalMs = world.clock.now()
    const read = await mapEvent(
      made(bearer(), { map: timed, ...options }),
      { customer: '1', at: arrivalMs + aheadMs },
      { arrivalMs },
      world.prepare,
    )
    if (!read.ok) return read.reason
    const [update] = read.updates
    return { timeMs: Number(update?.stamp.slice(1, 14)) - arrivalMs, leadMs: update?.leadMs }
  }

  it('that is ahead is measured before its time is clamped, from 2 s on', async () => {
    expect(await updateOf(61_000)).toEqual({ timeMs: 0, leadMs: 61_000 })
    expect(await updateOf(2_000)).toEqual({ timeMs: 0, leadMs: undefined })
    expect(await updateOf(2_001)).toEqual({ timeMs: 0, leadMs: 2_001 })
    expect(await updateOf(-5_000)).toEqual({ timeMs: -5_000, leadMs: undefined })
    expect(await updateOf(300_001)).toContain('more than 5 minutes ahead')
  })

  it('that is known to be ahead is corrected before anything else', async () => {
    expect(await updateOf(61_000, { clockAhead: '61s' })).toEqual({ timeMs: 0, leadMs: undefined })
    expect(await updateOf(51_000, { clockAhead: '61s' })).toEqual({ timeMs: -10_000, leadMs: undefined })
    expect(await updateOf(900_000, { clockAhead: '15m' })).toEqual({ timeMs: 0, leadMs: undefined })
    expect(await updateOf(900_000 + 300_001, { clockAhead: '15m' })).toContain('more than 5 minutes ahead')
    expect(() => made(bearer(), { clockAhead: '61' as never })).toThrow(/clockAhead must be a span/)
    expect(problems(bearer(), { clockAhead: '3d' })).toEqual([expect.stringContaining('clockAhead')])
  })

  it('that is ahead is reported to the ledger with the usual settle, and logged once a minute', async () => {
    const world = await createWorld()
    const told: Leads[] = []
    const watched = world.isolate({
      ledger: {
        ...world.ledger,
        settle: (settlements, counts, leads = {}) => {
          told.push(leads)
          return world.ledger.settle(settlements, counts)
        },
      },
    })
    const sent = async (source: string, aheadMs: number, n: number) =>
      world.update({ attributes: { n }, occurredAt: world.clock.now() + aheadMs }, source)
    await watched.deliver([await sent('till', 61_000, 1), await sent('till', 3_000, 2), await sent('desk', 0, 3)])
    await watched.settled()
    await world.clock.advance(1)
    await watched.deliver([await sent('till', 62_000, 4)])
    await watched.settled()
    expect(told).toEqual([{ till: 61_000 }, { till: 62_000 }])
    const lines = () =>
      world.logged.filter((line) => line.includes('clock_ahead')).map((line) => JSON.parse(line) as unknown)
    expect(lines()).toEqual([{ event: 'clock_ahead', source: 'till', ms: 61_000 }])
    await world.clock.advance(60_000)
    await watched.deliver([await sent('till', 5_000, 5)])
    expect(lines()).toHaveLength(2)
  })
})
