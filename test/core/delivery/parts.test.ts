/** Updates of any number of attributes are cut into attempts of bounded size, and are one update to their sender. */
import { describe, expect, it } from 'vitest'
import { cutAttributes, inAdmissions, partsOf } from '../../../src/core/delivery/parts.ts'
import { previewOf } from '../../../src/core/delivery/preview.ts'
import { combinedReceipt, type Receipt } from '../../../src/core/delivery/receipt.ts'
import { defaultLimits, type Limits } from '../../../src/core/limits.ts'
import { createHasher } from '../../../src/core/update/hash.ts'
import type { Update } from '../../../src/core/update/update.ts'
import { createWorld, type World } from '../../support/world.ts'

const many = (count: number, tag = 'a') =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`${tag}${n}`, `${n}`]))
const huge = { id: 'huge', attributes: many(1_150) }
const entriesOf = async (world: World) =>
  (await world.backlog.list()).items.flatMap((item) => ('entry' in item ? [item.entry] : []))

describe('an update of very many attributes', () => {
  it('is sent in attempts of bounded size, is one update to its sender, and costs nothing when repeated (G4)', async () => {
    const world = await createWorld()
    const admissions: { attributes: readonly unknown[] }[][] = []
    const watched = world.isolate({
      ledger: {
        ...world.ledger,
        admit: (requests, lane) => {
          admissions.push([...requests])
          return world.ledger.admit(requests, lane)
        },
      },
    })
    expect(await watched.deliver([await world.update(huge)])).toEqual([{ status: 'submitted', calls: 6 }])
    await watched.settled()
    expect(admissions.map((requests) => requests.map(({ attributes }) => attributes.length))).toEqual([
      [200, 200, 200, 200, 200],
      [150],
    ])
    expect(world.profile()).toEqual(huge.attributes)
    await world.clock.advance(60_000)
    expect(await world.deliver([await world.update(huge)])).toEqual([{ status: 'duplicate' }])
    await world.settled()
    expect(world.target.calls).toHaveLength(6)
    expect((await world.ledger.usage()).counters).toEqual({ received: 2, submitted: 1, duplicate: 1, calls: 6 })
  })

  it('has its receipt at its position in a batch', async () => {
    const world = await createWorld()
    const batch = [
      await world.update({ id: '1', visitor: { thirdPartyId: 'v1' }, attributes: { tier: 'x' } }),
      await world.update(huge),
      await world.update({ id: '3', visitor: { thirdPartyId: 'v3' }, attributes: { tier: 'y' } }),
    ]
    expect(await world.deliver(batch)).toEqual([
      { status: 'submitted', calls: 1 },
      { status: 'submitted', calls: 6 },
      { status: 'submitted', calls: 1 },
    ])
    await world.settled()
    expect((await world.ledger.usage()).counters).toMatchObject({ received: 3, submitted: 3, calls: 8 })
  })

  it('waits in entries of bounded size, and all of them are delivered', async () => {
    const world = await createWorld({ settings: { quotaLimit: 0 } })
    expect(await world.deliver([await world.update(huge)])).toEqual([{ status: 'deferred', reason: 'quota' }])
    await world.settled()
    const entries = await entriesOf(world)
    expect(entries.map(({ attributes }) => attributes.length).sort()).toEqual([150, 200, 200, 200, 200, 200])
    expect(await world.deliver([await world.update(huge)])).toEqual([{ status: 'duplicate' }])
  })

  it('is rejected if Target refuses one part; the other parts are delivered', async () => {
    const world = await createWorld()
    world.target.behave = (_, pairs) => (pairs.has('a700') ? { kind: 'refused', message: 'no', own: true } : undefined)
    expect(await world.deliver([await world.update(huge)])).toEqual([{ status: 'rejected', detail: 'no' }])
    expect(Object.keys(world.profile())).toHaveLength(950)
    const [letter] = (await world.backlog.listDead()).items
    expect(letter).toMatchObject({ dead: { reason: 'rejected', entry: { attributes: { length: 200 } } } })
  })

  it('is deferred only in the part at which Target failed', async () => {
    const world = await createWorld()
    world.target.behave = (_, pairs) => (pairs.has('a0') ? { kind: 'unavailable', status: 500 } : undefined)
    expect(await world.deliver([await world.update(huge)])).toEqual([
      { status: 'deferred', reason: 'target_unavailable' },
    ])
    const entries = await entriesOf(world)
    expect(entries.map(({ attributes }) => attributes.length)).toEqual([200])
    await world.settled()
    expect(await world.deliver([await world.update(huge)])).toEqual([{ status: 'duplicate' }])
  })

  it('is kept whole if the ledger does not answer its first stamp, and is delivered (G1, G2)', async () => {
    const world = await createWorld()
    const deaf = world.isolate({
      ledger: { ...world.ledger, firstStamps: () => Promise.reject(new RangeError('silent')) },
    })
    expect(await deaf.deliver([await world.update(huge)])).toEqual([
      { status: 'deferred', reason: 'ledger_unavailable' },
    ])
    expect(world.target.calls).toHaveLength(0)
    expect((await entriesOf(world)).every(({ blind }) => blind === true)).toBe(true)
    expect(world.logged).toContain(JSON.stringify({ event: 'ledger_unavailable', updates: 1, error: 'RangeError' }))
    await world.clock.advance(120_001)
    await world.flush()
    expect(world.profile()).toEqual(huge.attributes)
    expect(await world.entries()).toBe(0)
  })
})

describe('an event that another version cut differently', () => {
  const small = { id: 'evt', attributes: many(6) }
  const cutting = (world: World, attributesPerAttempt: number) => world.isolate({ limits: { attributesPerAttempt } })

  it.each([
    [1_000, 2],
    [2, 1_000],
    [2, 3],
  ])('%i attributes an attempt, then %i: what was delivered is not sent again (G4)', async (first, then) => {
    const world = await createWorld()
    await cutting(world, first).deliver([await world.update(small)])
    await world.clock.advance(60_000)
    const calls = world.target.calls.length
    expect(await cutting(world, then).deliver([await world.update(small)])).toEqual([{ status: 'duplicate' }])
    expect(world.target.calls).toHaveLength(calls)
  })

  it.each([
    [1_000, 2, 'answers'],
    [2, 3, 'answers'],
    [1_000, 2, 'is silent'],
    [2, 3, 'is silent'],
  ])(
    '%i attributes an attempt, then %i: it does not overtake what came in between, if the ledger %s (G3)',
    async (first, then, how) => {
      const world = await createWorld()
      const event = { ...small, attributes: { ...small.attributes, tier: 'old' } }
      await cutting(world, first).deliver([await world.update(event)])
      await world.clock.advance(60_000)
      await world.deliver([await world.update({ id: 'later', attributes: { tier: 'new' } })])
      await world.clock.advance(60_000)
      const silent = {
        ...world.ledger,
        admit: () => Promise.reject(new Error('silent')),
        firstStamps: () => Promise.reject(new Error('silent')),
      }
      const ledger = how === 'answers' ? world.ledger : silent
      await world.isolate({ limits: { attributesPerAttempt: then }, ledger }).deliver([await world.update(event)])
      await world.clock.advance(120_001)
      await world.flush()
      expect(world.profile()['tier']).toBe('new')
      expect(await world.entries()).toBe(0)
    },
  )

  it('a part that was never taken in is not a duplicate of the parts that were (G2)', async () => {
    const world = await createWorld()
    const lostPut = { ...world.backlog, put: () => Promise.reject(new Error('KV PUT failed: 503')) }
    world.target.behave = (_, pairs) => (pairs.has('a0') ? undefined : { kind: 'unavailable', status: 500 })
    const first = world.isolate({ limits: { attributesPerAttempt: 3 }, backlog: lostPut })
    expect(await first.deliver([await world.update(small)])).toEqual([{ status: 'unavailable' }])
    await world.clock.advance(60_000)
    world.target.behave = () => undefined
    await cutting(world, 2).deliver([await world.update(small)])
    expect(world.profile()).toEqual(small.attributes)
  })
})

describe('cutting', () => {
  const hashed = createHasher('a-hash-key-of-32-bytes-for-tests-only')
  const visitor = { thirdPartyId: 'v' }
  const cut = (attributes: Record<string, string>, limits: Limits = defaultLimits) =>
    cutAttributes(
      visitor,
      Object.entries(attributes).map(([name, value]) => ({ name, value })),
      limits,
    ).map((slice) => slice.map(({ name }) => name))

  it('leaves an update that fits as it is, under the same key', async () => {
    const world = await createWorld()
    const update = await world.update({ id: 'evt', attributes: many(200) })
    expect(await partsOf(update, await hashed, defaultLimits)).toEqual([{ ...update, whole: update }])
  })

  it('bounds the attributes and the bytes of one POST, and keeps an attribute that fits in none by itself', () => {
    expect(cut(many(5), { ...defaultLimits, attributesPerAttempt: 2 })).toEqual([['a0', 'a1'], ['a2', 'a3'], ['a4']])
    // mbox3rdPartyId=v&profile.a= takes 27 of the 60,000 bytes; &profile.b=x another 12.
    expect(cut({ a: 'x'.repeat(59_960), b: 'x' })).toEqual([['a', 'b']])
    expect(cut({ a: 'x'.repeat(59_962), b: 'x' })).toEqual([['a'], ['b']])
    expect(cut({ a: '1', b: '€'.repeat(10_000), c: '2' })).toEqual([['a'], ['b'], ['c']])
  })

  it('gives each part its own key, made of its event and its names in any order', async () => {
    const world = await createWorld()
    const keys = async (update: Update, attributesPerAttempt: number) =>
      (await partsOf(update, await hashed, { ...defaultLimits, attributesPerAttempt })).map(({ event }) => event)
    const one = await world.update({ id: 'evt', attributes: { a: '1', b: '2', c: '3', d: '4' } })
    const turned = await world.update({ id: 'evt', attributes: { b: '2', a: '1', c: '3', d: '4' } })
    const other = await world.update({ id: 'other', attributes: { a: '1', b: '2', c: '3', d: '4' } })
    expect(await keys(turned, 2)).toEqual(await keys(one, 2))
    const all = [...(await keys(one, 2)), ...(await keys(one, 3)), ...(await keys(other, 2)), one.event, other.event]
    expect(new Set(all).size).toBe(8)
    const nameless = await world.update({ attributes: { a: '1', b: '2' } })
    expect(await keys(nameless, 1)).toEqual([undefined, undefined])
  })

  it('an admission holds at least one attempt, and no more attempts and attributes than the limits', () => {
    const sizes = (counts: number[], attemptsTogether: number, attributesTogether: number) =>
      inAdmissions(
        counts.map((count) => ({ attributes: Array.from({ length: count }) })),
        { attemptsTogether, attributesTogether },
      ).map((together) => together.map(({ attributes }) => attributes.length))
    expect(sizes([1, 1, 1, 1, 1], 2, 100)).toEqual([[1, 1], [1, 1], [1]])
    expect(sizes([5, 5, 1, 20, 1], 16, 10)).toEqual([[5, 5], [1], [20], [1]])
    expect(sizes([], 16, 10)).toEqual([])
  })

  it('a preview shows the calls that are made', async () => {
    const world = await createWorld()
    const update = await world.update({ id: 'evt', attributes: { ...many(450), note: 'x'.repeat(59_000) } })
    const preview = previewOf(update, { method: 'post', origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' })
    expect(await world.deliver([update])).toEqual([{ status: 'submitted', calls: preview.calls.length }])
    await world.settled()
    expect((await world.ledger.usage()).used).toBe(preview.units)
    expect(preview.units).toBe(3)
  })
})

describe('the combined receipt of an update in parts', () => {
  const submitted = (calls: number): Receipt => ({ status: 'submitted', calls })
  const table: [Receipt[], Receipt][] = [
    [[submitted(1), submitted(2)], submitted(3)],
    [[{ status: 'duplicate' }, submitted(2), { status: 'superseded' }], submitted(2)],
    [[{ status: 'duplicate' }, { status: 'superseded' }], { status: 'superseded' }],
    [[submitted(1), { status: 'rejected' }], { status: 'rejected' }],
    [
      [{ status: 'rejected' }, { status: 'deferred', reason: 'quota' }, { status: 'deferred', reason: 'slow' }],
      { status: 'deferred', reason: 'quota' },
    ],
    [[{ status: 'deferred', reason: 'quota' }, { status: 'in_flight' }], { status: 'in_flight' }],
    [[{ status: 'in_flight' }, { status: 'unavailable' }, submitted(1)], { status: 'unavailable' }],
    [[{ status: 'duplicate' }], { status: 'duplicate' }],
  ]
  it.each(table)('%j: %j', (receipts, combined) => {
    expect(combinedReceipt(receipts)).toEqual(combined)
  })
})
