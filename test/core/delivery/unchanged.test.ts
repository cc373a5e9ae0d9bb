/** A source that skips what is unchanged: what is sent, what its sender is told, and what the flush makes of it. */
import { describe, expect, it } from 'vitest'
import type { AdmitRequest } from '../../../src/core/ledger/port.ts'
import { createWorld, type World, worldSettings } from '../../support/world.ts'

const hourMs = 3_600_000
const sent = async (world: World, attributes: Record<string, string>, source = 'crm', more = {}) => {
  await world.clock.advance(1_000)
  const [receipt] = await world.deliver([await world.update({ attributes, ...more }, source)])
  await world.settled()
  return receipt?.status
}
const world = (more: Parameters<typeof createWorld>[0] = {}) => createWorld({ skipping: ['crm'], ...more })

describe('an update of which Target has every value', () => {
  it('is answered `unchanged`, makes no call and costs no unit; its event is done', async () => {
    const relay = await world()
    expect(await sent(relay, { tier: 'gold', city: 'oslo' })).toBe('submitted')
    const again = { id: 'event-2' }
    expect(await sent(relay, { city: 'oslo', tier: 'gold' }, 'crm', again)).toBe('unchanged')
    expect(await sent(relay, { city: 'oslo', tier: 'gold' }, 'crm', again)).toBe('duplicate')
    expect(relay.target.calls).toHaveLength(1)
    const { used, totals } = await relay.ledger.usage()
    expect(used).toBe(1)
    expect(totals['crm/live']).toMatchObject({ received: 3, submitted: 1, unchanged: 1, duplicate: 1, calls: 1 })
  })

  it('is on its visitor’s time line', async () => {
    const relay = await world()
    await sent(relay, { tier: 'gold' })
    await relay.clock.advance(1_000)
    const update = await relay.update({ attributes: { tier: 'gold' } }, 'crm')
    await relay.deliver([update])
    await relay.settled()
    expect(await relay.ledger.history(update.visitorHash)).toMatch(/\bs\S+ u\S+$/)
  })

  it('is sent, where its source does not skip, and then the next one of a source that does, too', async () => {
    const relay = await world()
    await sent(relay, { tier: 'gold' })
    expect(await sent(relay, { tier: 'gold' }, 'shop')).toBe('submitted')
    expect(await sent(relay, { tier: 'gold' })).toBe('submitted')
    expect(await sent(relay, { tier: 'gold' })).toBe('unchanged')
  })

  it('is sent once in each retention, however often it came', async () => {
    const relay = await world()
    const hours = worldSettings.retentionMs / hourMs
    for (let hour = 0; hour <= 2 * hours + 2; hour++) {
      await sent(relay, { tier: 'gold' })
      await relay.clock.advance(hourMs - 1_000)
    }
    expect(relay.target.calls).toHaveLength(3)
  })

  it('of one that fits no single call as well', async () => {
    const relay = await world()
    const large = { first: 'x'.repeat(40_000), second: 'y'.repeat(40_000) }
    expect(await sent(relay, large)).toBe('submitted')
    expect(await sent(relay, { ...large, second: 'z'.repeat(40_000) })).toBe('submitted')
    expect(relay.target.calls.map(({ pairs }) => [...pairs.keys()])).toEqual([['first'], ['second'], ['second']])
    expect(await sent(relay, large)).toBe('submitted')
  })
})

it('of several values only those go that Target does not have', async () => {
  const relay = await world()
  await sent(relay, { tier: 'gold', city: 'oslo' })
  expect(await sent(relay, { tier: 'gold', city: 'rome' })).toBe('submitted')
  expect([...(relay.target.calls[1]?.pairs ?? [])]).toEqual([['city', 'rome']])
  expect((await relay.ledger.usage()).used).toBe(2)
})

it('an older value that waits is superseded by it, and what merged with it leaves with it (G2, G3)', async () => {
  const relay = await world({ settings: { quotaLimit: 2, replayReserve: 0 } })
  await sent(relay, { tier: 'gold' })
  await sent(relay, { tier: 'other' }, 'crm', { visitor: { pcId: 'somebody-else' } })
  expect(await sent(relay, { tier: 'silver' })).toBe('deferred')
  expect(await sent(relay, { tier: 'gold' })).toBe('unchanged')
  await relay.flush()
  expect((await relay.backlog.list()).items).toEqual([])
  expect(relay.target.calls).toHaveLength(2)
})

it('the flush skips too, and goes by the source of each value', async () => {
  const relay = await world()
  await sent(relay, { tier: 'gold', city: 'oslo' })
  await relay.ledger.pause(true)
  // Of a source that does not skip, deferred; then of one that does.
  expect(await sent(relay, { city: 'oslo' }, 'shop')).toBe('deferred')
  expect(await sent(relay, { tier: 'silver' })).toBe('deferred')
  expect(await sent(relay, { tier: 'gold' })).toBe('unchanged')
  await relay.ledger.pause(false)
  await relay.flush()
  expect(relay.target.calls.slice(1).map(({ pairs }) => [...pairs])).toEqual([[['city', 'oslo']]])
  expect((await relay.backlog.list()).items).toEqual([])
  expect((await relay.ledger.usage()).totals['shop/replay']).toMatchObject({ replayed: 1 })
})

it('a merged call tells the ledger the hashes of those values alone whose source skips', async () => {
  const relay = await world()
  await relay.ledger.pause(true)
  await sent(relay, { tier: 'gold' })
  await sent(relay, { city: 'oslo' }, 'shop')
  await relay.ledger.pause(false)
  await relay.flush()
  expect(relay.target.calls).toHaveLength(1)
  expect(await sent(relay, { tier: 'gold' })).toBe('unchanged')
  expect(await sent(relay, { city: 'oslo' })).toBe('submitted')
})

it('an entry whose values Target has by now leaves without a call, counted as unchanged', async () => {
  const relay = await world()
  await sent(relay, { tier: 'silver' })
  await relay.ledger.pause(true)
  expect(await sent(relay, { tier: 'gold' })).toBe('deferred')
  await relay.ledger.pause(false)
  // Another relay of the same ledger delivers it meanwhile.
  expect(await sent(relay, { tier: 'bronze' }, 'crm', { occurredAt: relay.clock.now() - 600_000 })).toBe('superseded')
  await relay.flush()
  await relay.ledger.pause(true)
  const update = await relay.update({ attributes: { tier: 'gold' } }, 'crm')
  await relay.backlog.put({ ...update, firstSeenMs: relay.clock.now() })
  await relay.ledger.pause(false)
  const { replayed, superseded } = await relay.flush()
  expect([replayed, superseded]).toEqual([0, 1])
  expect(relay.target.calls).toHaveLength(2)
  expect((await relay.ledger.usage()).totals['crm/replay']).toMatchObject({ unchanged: 1 })
})

it('no value stands in a request to the ledger, and a source that does not skip sends no hash', async () => {
  const asked: AdmitRequest[] = []
  const relay = await world()
  const ledger = {
    ...relay.ledger,
    admit: (requests: readonly AdmitRequest[], lane: 'live') => {
      asked.push(...requests)
      return relay.ledger.admit(requests, lane)
    },
  }
  const isolate = relay.isolate({ ledger: ledger as typeof relay.ledger })
  await isolate.deliver([await relay.update({ attributes: { tier: 'gold-plated' } }, 'crm')])
  await isolate.deliver([await relay.update({ attributes: { tier: 'gold-plated' } }, 'shop')])
  await isolate.settled()
  expect(JSON.stringify(asked)).not.toContain('gold')
  expect(asked.map(({ attributes }) => attributes[0]?.hash)).toEqual([
    expect.stringMatching(/^[0-9a-f]{16}$/),
    undefined,
  ])
})
