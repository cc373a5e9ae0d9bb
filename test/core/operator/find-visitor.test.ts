/** Where a visitor's attributes are, in registers and backlog: all names and times, but no values (G8). */
import { describe, expect, it } from 'vitest'
import type { Entry, KeptEntry, Unreadable } from '../../../src/core/backlog/port.ts'
import type { KnownAttribute } from '../../../src/core/ledger/port.ts'
import { createFind } from '../../../src/core/operator/visitor/find-visitor.ts'
import { createHasher } from '../../../src/core/update/hash.ts'
import { makeStamp } from '../../../src/core/update/stamp.ts'
import { fakeClock } from '../../support/clock.ts'
import { createWorld } from '../../support/world.ts'

const visitor = { thirdPartyId: '42' }
const hasher = await createHasher('a-hash-key-of-32-bytes-for-tests-only')
const visitorHash = await hasher.visitor(visitor)
const at = (second: number) => makeStamp(1_000 * second, 1_000 * second, '0123456789abcdef')
const iso = (second: number) => new Date(1_000 * second).toISOString()
const entry = (second: number, names: readonly string[], more: Partial<Entry> = {}): KeptEntry => ({
  key: `b1/${second}`,
  entry: {
    visitor,
    visitorHash,
    attributes: names.map((name) => ({ name, value: 'a value' })),
    stamp: at(second),
    source: 'api',
    firstSeenMs: 1_000 * second,
    ...more,
  },
})

function find(known: readonly KnownAttribute[], pages: readonly (readonly (KeptEntry | Unreadable)[])[]) {
  const asked: unknown[] = []
  const where = createFind({
    hasher,
    ledger: { visitor: async (hash) => (hash === visitorHash ? known : []), history: async () => undefined },
    backlog: {
      operations: 0,
      list: async ({ prefix = '', cursor } = {}) => {
        asked.push([prefix, cursor])
        const page = Number(cursor ?? 0)
        return { items: pages[page] ?? [], ...(page + 1 < pages.length ? { cursor: String(page + 1) } : {}) }
      },
      deadHeads: async () => ({ items: [] }),
      readDead: async () => undefined,
    },
    clock: fakeClock(),
    maxOperations: 900,
  })
  return { asked, where: () => where(visitor) }
}

describe('finding a visitor', () => {
  it('shows nothing of an unknown visitor', async () => {
    expect(await find([], []).where()).toEqual({
      attributes: [],
      entries: 0,
      unreadable: 0,
      complete: true,
      waiting: [],
      dead: [],
      history: [],
    })
  })

  it('shows for each attribute what was delivered, what is open and what waits, by name', async () => {
    const known = [
      { name: 'tier', done: at(10), open: at(20) },
      { name: 'city', done: at(5) },
      { name: 'loan', open: at(7) },
    ]
    expect(await find(known, [[entry(30, ['tier', 'new'])]]).where()).toMatchObject({
      attributes: [
        { name: 'city', deliveredAt: iso(5), waitingAt: [] },
        { name: 'loan', openAt: iso(7), waitingAt: [] },
        { name: 'new', waitingAt: [iso(30)] },
        { name: 'tier', deliveredAt: iso(10), openAt: iso(20), waitingAt: [iso(30)] },
      ],
      entries: 1,
      unreadable: 0,
      complete: true,
    })
  })

  it('counts every page, including empty and unreadable ones', async () => {
    const { asked, where } = find(
      [],
      [[entry(1, ['tier'])], [], [{ key: 'b1/x', unreadable: 'x' }, entry(2, ['tier'])]],
    )
    expect(await where()).toMatchObject({
      attributes: [{ name: 'tier', waitingAt: [iso(1), iso(2)] }],
      entries: 3,
      unreadable: 1,
      complete: true,
    })
    expect(asked).toEqual([
      [`${visitorHash}/`, undefined],
      [`${visitorHash}/`, '1'],
      [`${visitorHash}/`, '2'],
    ])
  })

  it('shows until when the last of them is held back', async () => {
    const held = (seconds: number) => ({ notBeforeMs: 1_000 * seconds })
    const pages = [[entry(1, ['a'], held(60)), entry(2, ['a'], held(90)), entry(3, ['a'], held(70)), entry(4, ['a'])]]
    expect(await find([], pages).where()).toMatchObject({ heldUntil: iso(90) })
  })
})

/** A whole relay: whatever became of an update, some store knows the visitor. */
describe('a visitor that any store knows', () => {
  async function worldWith() {
    const world = await createWorld()
    const { ledger, backlog, clock } = world
    const find = createFind({ hasher, ledger, backlog, clock, maxOperations: 900 })
    const send = async (source: string, attributes: Record<string, string>) => {
      await world.deliver([await world.update({ visitor, attributes }, source)])
      await world.settled()
      await clock.advance(60_000)
    }
    return { world, send, find: () => find(visitor) }
  }
  const brief = (found: Awaited<ReturnType<ReturnType<typeof createFind>>>) =>
    found.history.map(({ what, source, names, reason }) =>
      [what, source, names?.join(','), reason].filter(Boolean).join(' '),
    )

  it('is shown with what was sent, deferred and why, replayed and merged', async () => {
    const { world, send, find } = await worldWith()
    const startIso = new Date(world.clock.now()).toISOString()
    await send('crm', { tier: 'gold' })
    await world.ledger.pause(true)
    await send('desk', { tier: 'silver', city: 'Oslo' })
    await send('desk', { tier: 'gold' })
    const { waiting, history } = await find()
    expect(waiting).toMatchObject([
      { source: 'desk', names: ['tier', 'city'], reason: 'paused' },
      { source: 'desk', names: ['tier'], reason: 'paused' },
    ])
    expect(history[0]).toEqual({
      at: startIso.replace(/\.\d+Z/, '.000Z'),
      what: 'sent',
      source: 'crm',
      names: ['tier'],
    })
    await world.ledger.pause(false)
    await world.flush()
    const after = await find()
    expect(brief(after)).toEqual([
      'sent crm tier',
      'deferred desk tier,city paused',
      'deferred desk tier paused',
      'replayed desk city,tier',
    ])
    expect(after.history.at(-1)).toMatchObject({ merged: 1 })
    expect(after).toMatchObject({ waiting: [], entries: 0, dead: [] })
  })

  it('is shown where Target rejected the only update, with Target’s words', async () => {
    const { world, send, find } = await worldWith()
    world.target.behave = () => ({ kind: 'refused', message: 'no such profile', own: true })
    await send('crm', { tier: 'gold' })
    const found = await find()
    expect(brief(found)).toEqual(['rejected crm tier'])
    expect(found.dead).toMatchObject([{ reason: 'rejected', source: 'crm', detail: 'no such profile', attempts: 1 }])
  })

  it('is shown where the flush set its update aside, found it superseded, or failed', async () => {
    const { world, send, find } = await worldWith()
    await world.ledger.pause(true)
    await send('crm', { tier: 'gold' })
    await world.ledger.pause(false)
    world.target.behave = () => ({ kind: 'unavailable', status: 503 }) as never
    await world.flush()
    expect(brief(await find())).toEqual(['deferred crm tier paused', 'deferred crm tier target_unavailable'])
    world.target.behave = () => undefined
    await world.clock.advance(3_600_000)
    await send('crm', { tier: 'platinum' })
    await world.flush()
    expect(brief(await find()).slice(2)).toEqual(['sent crm tier', 'superseded crm tier'])
    await world.ledger.pause(true)
    await send('desk', { city: 'Oslo' })
    await world.clock.advance(73 * 3_600_000)
    await world.flush()
    const found = await find()
    expect(brief(found).at(-1)).toEqual('set_aside desk city expired')
    expect(found.dead).toMatchObject([{ reason: 'expired', source: 'desk' }])
  })

  it('is not shown the letters of others, nor those of which nobody can tell whose they are', async () => {
    const { world, find } = await worldWith()
    await world.backlog.bury({ reason: 'unmappable', source: 'crm', atMs: 1, firstSeenMs: 1, attempts: 0, raw: '{}' })
    expect((await find()).dead).toEqual([])
  })
})
