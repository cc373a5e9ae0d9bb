/** An event is identified by its id and content (G2, G4): a repeat differs from another event with the same id. */
import { describe, expect, it } from 'vitest'
import { stampName } from '../../../src/core/update/stamp.ts'
import type { Update } from '../../../src/core/update/update.ts'
import { createWorld, type World } from '../../support/world.ts'

const one = { id: 'case-7', visitor: { thirdPartyId: 'visitor-1' }, attributes: { stage: 'open', owner: 'desk' } }
const timeMs = 1_790_000_000_000 - 60_000

async function prepared(world: World, draft: object, idsNameOneUpdate = false): Promise<Update> {
  const context = { source: idsNameOneUpdate ? 'api' : 'desk', arrivalMs: world.clock.now(), idsNameOneUpdate }
  const result = await world.prepare({ ...one, ...draft }, context)
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result.update
}

const changed: readonly (readonly [string, object])[] = [
  ['another value', { attributes: { ...one.attributes, stage: 'closed' } }],
  ['one attribute more', { attributes: { ...one.attributes, note: '' } }],
  ['one attribute less', { attributes: { stage: 'open' } }],
  ['values that run into each other', { attributes: { stage: 'opendesk', owner: '' } }],
  ['another visitor', { visitor: { thirdPartyId: 'visitor-2' } }],
  ['the same text as another kind of id', { visitor: { pcId: 'visitor-1' } }],
  ['another event time', { occurredAt: timeMs }],
]

describe('the same id', () => {
  it('with the same content is the same event, whenever it arrives and however it is written', async () => {
    const world = await createWorld()
    for (const onApi of [false, true]) {
      const first = await prepared(world, { occurredAt: timeMs }, onApi)
      await world.clock.advance(5_000)
      const again = await prepared(
        world,
        { attributes: { owner: 'desk', stage: 'open' }, occurredAt: new Date(timeMs).toISOString() },
        onApi,
      )
      expect(again.event).toBe(first.event)
      expect(stampName(again.stamp)).toBe(stampName(first.stamp))
    }
  })

  it.each(changed)('with %s is another event on a hook, and has another stamp on /v1', async (_, draft) => {
    const world = await createWorld()
    expect((await prepared(world, draft)).event).not.toBe((await prepared(world, {})).event)
    const [first, other] = [await prepared(world, {}, true), await prepared(world, draft, true)]
    expect(other.event).toBe(first.event)
    expect(stampName(other.stamp)).not.toBe(stampName(first.stamp))
  })
})

describe('a case whose id names each of its events', () => {
  it('ends with the values of its last event, and a repeat of an earlier one changes nothing', async () => {
    const world = await createWorld()
    const stages = ['open', 'pending', 'closed']
    const event = (stage: string) => prepared(world, { attributes: { stage } })
    const statuses: string[] = []
    const send = async (stage: string) => {
      const receipts = await world.deliver([await event(stage)])
      await world.settled()
      await world.clock.advance(1_000)
      statuses.push(...receipts.map(({ status }) => status))
    }
    for (const stage of [...stages, 'open', 'closed']) await send(stage)
    expect(statuses).toEqual(['submitted', 'submitted', 'submitted', 'duplicate', 'duplicate'])
    expect(world.profile()).toEqual({ stage: 'closed' })
  })

  it('on /v1 the second content is refused and leaves no trace, even of an update in parts', async () => {
    const world = await createWorld()
    const many = (text: string, count: number) => ({
      attributes: Object.fromEntries(Array.from({ length: count }, (_, n) => [`name${n}`, text])),
    })
    for (const [id, first, other] of [
      ['small', many('a', 1), many('b', 1)],
      ['parts', many('a', 450), many('b', 450)],
      ['other parts', many('a', 450), many('b', 700)],
    ] as const) {
      expect(await world.deliver([await prepared(world, { id, ...first }, true)])).toMatchObject([
        { status: 'submitted' },
      ])
      await world.settled()
      const { used } = await world.ledger.usage()
      await world.clock.advance(1_000)
      expect(await world.deliver([await prepared(world, { id, ...other }, true)])).toEqual([{ status: 'id_reused' }])
      expect(await world.deliver([await prepared(world, { id, ...first }, true)])).toEqual([{ status: 'duplicate' }])
      expect((await world.ledger.usage()).used).toBe(used)
      expect(Object.values(world.profile())).not.toContain('b')
    }
    expect(await world.entries()).toBe(0)
  })
})
