/** G7: a failing update affects no other, whatever Target answers. Whole relays in one process, hours of a fake clock. */
import { describe, expect, it } from 'vitest'
import type { Ledger } from '../../src/core/ledger/port.ts'
import { defaultLimits } from '../../src/core/limits.ts'
import { createWorld, type TargetAnswer, type World } from '../support/world.ts'

const denied: TargetAnswer = { kind: 'misconfigured', status: 403 }
const down: TargetAnswer = { kind: 'unavailable', status: 500 }
const minuteMs = 60_000

async function send(world: World, visitor: string, name: string, value: string, source = 'api') {
  const [receipt] = await world.deliver([
    await world.update({ visitor: { thirdPartyId: visitor }, attributes: { [name]: value } }, source),
  ])
  await world.settled()
  return receipt
}

describe.each([
  ['403', denied],
  ['500', down],
])('updates that are answered %s each time', (_, answer) => {
  it('for three hours defer no live update of another source and attribute, and cut no flush short', async () => {
    const world = await createWorld()
    world.target.behave = (call) => ((call.body ?? call.url).includes('poison') ? answer : undefined)
    for (let bad = 0; bad < 20; bad++) await send(world, `bad-${bad}`, 'comment', 'poison', 'desk')
    const receipts: string[] = []
    for (let minute = 0; minute < 180; minute++) {
      const receipt = await send(world, `good-${minute}`, 'tier', 'gold', 'till')
      receipts.push(receipt?.status ?? 'none')
      await world.flush()
      await world.clock.advance(minuteMs)
    }
    expect(receipts.filter((status) => status !== 'submitted')).toEqual([])
    // A failure may be temporary; a denial while others are delivered is not.
    const dead = await world.dead()
    expect(dead.every((reason) => reason === 'refused_repeatedly')).toBe(true)
    expect([await world.entries(), dead.length]).toEqual(answer === denied ? [0, 20] : [20, 0])
  })

  it('do not block waiting updates of the same source and the same attribute', async () => {
    const world = await createWorld()
    await world.ledger.pause(true)
    for (let bad = 0; bad < 200; bad++) await send(world, `bad-${bad}`, 'comment', 'poison', 'desk')
    for (let good = 0; good < 30; good++) {
      await send(world, `good-a-${good}`, 'tier', 'gold', 'desk')
      await send(world, `good-b-${good}`, 'comment', 'fine', 'till')
    }
    await world.ledger.pause(false)
    world.target.behave = (call) => ((call.body ?? call.url).includes('poison') ? answer : undefined)
    for (let minute = 0; minute < 5; minute++) {
      await world.flush()
      await world.clock.advance(minuteMs)
    }
    expect([...world.target.profiles.keys()].filter((visitor) => visitor.startsWith('good')).length).toBe(60)
  })

  it('do not block other updates of the same visitor, although they would be merged', async () => {
    const world = await createWorld()
    // The breaker knows what the failures have in common.
    world.target.behave = (call) => ((call.body ?? call.url).includes('poison') ? answer : undefined)
    await send(world, 'somebody', 'tier', 'gold', 'till')
    for (let bad = 0; bad < 8; bad++) await send(world, `bad-${bad}`, 'comment', 'poison', 'desk')
    expect((await world.ledger.summary()).health.breaker?.traits).toEqual(['s:desk', 'a:comment'])
    await world.ledger.pause(true)
    await send(world, 'both', 'comment', 'poison', 'desk')
    await send(world, 'both', 'tier', 'gold', 'till')
    await world.ledger.pause(false)
    await world.flush()
    expect(world.profile('both')).toEqual({ tier: 'gold' })
  })
})

describe('an update that is answered 403 each time', () => {
  const poisoned = async (world: World) => {
    world.target.behave = (call) => ((call.body ?? call.url).includes('poison') ? denied : undefined)
    await send(world, 'first', 'tier', 'gold', 'till')
    await send(world, 'bad', 'comment', 'poison', 'desk')
  }
  /** A flush each minute; with `others`, another visitor is delivered each time. */
  const hours = async (world: World, count: number, others: boolean) => {
    for (let minute = 0; minute < 60 * count && (await world.entries()) > 0; minute++) {
      if (others) await send(world, `good-${minute}`, 'tier', 'gold', 'till')
      await world.flush()
      await world.clock.advance(minuteMs)
    }
  }

  it('is set aside after eight tries over an hour, with the status, while others are delivered', async () => {
    const world = await createWorld()
    await poisoned(world)
    await hours(world, 1, true)
    expect(await world.dead()).toEqual([])
    await hours(world, 3, true)
    expect(await world.entries()).toBe(0)
    expect(await world.dead()).toEqual(['refused_repeatedly'])
    const { items } = await world.backlog.listDead({ limit: 10 })
    expect(items[0]).toMatchObject({
      dead: { detail: 'was answered 403 each time', entry: { attributes: [{ name: 'comment' }] } },
    })
    expect(world.target.calls.filter(({ visitor }) => visitor === 'bad').length).toBeGreaterThanOrEqual(8)
  })

  it('does not set aside other updates of its visitor', async () => {
    const world = await createWorld()
    await poisoned(world)
    await world.ledger.pause(true)
    await send(world, 'bad', 'tier', 'gold', 'till')
    await world.ledger.pause(false)
    await hours(world, 4, true)
    expect(world.profile('bad')).toEqual({ tier: 'gold' })
    expect(await world.dead()).toEqual(['refused_repeatedly'])
  })

  it('waits until it expires if nobody else is delivered: our token may be wrong', async () => {
    const world = await createWorld()
    await poisoned(world)
    await hours(world, 10, false)
    expect([await world.entries(), await world.dead()]).toEqual([1, []])
  })
})

it('a run asks once about what the breaker holds back, however many updates wait', async () => {
  const world = await createWorld()
  world.target.behave = (call) => ((call.body ?? call.url).includes('poison') ? down : undefined)
  await send(world, 'somebody', 'tier', 'gold', 'till')
  for (let bad = 0; bad < 100; bad++) await send(world, `bad-${bad}`, 'comment', 'poison', 'desk')
  const asked: number[] = []
  const watched: Ledger = {
    ...world.ledger,
    admit: (requests, lane) => {
      asked.push(requests.length)
      return world.ledger.admit(requests, lane)
    },
  }
  await world.isolate({ ledger: watched }).flush()
  // The first admission says what is held back, and one that failed before may be the probe; nothing else is asked about.
  expect(asked).toEqual([defaultLimits.attemptsTogether, 1])
})

describe('an outage of Target', () => {
  it('is noticed after a few calls, whatever is sent; a run asks the ledger no more than it must, and all is delivered afterwards', async () => {
    const world = await createWorld()
    world.target.behave = () => down
    for (let n = 0; n < 100; n++) await send(world, `v${n}`, `name-${n % 3}`, 'x', `source-${n % 3}`)
    // Five, and one more for each trait by which the updates differ.
    expect(world.target.calls.length).toBeLessThanOrEqual(5 + 3)
    expect(await world.entries()).toBe(100)
    const before = world.target.calls.length
    expect((await world.flush()).stopped).toBe('target_unavailable')
    expect(world.target.calls.length - before).toBeLessThanOrEqual(1)
    world.target.behave = () => undefined
    for (let minute = 0; minute < 40 && (await world.entries()) > 0; minute++) {
      await world.clock.advance(minuteMs)
      await world.flush()
    }
    expect(await world.entries()).toBe(0)
    expect((await world.ledger.summary()).health.breaker).toBeUndefined()
  })

  it('during which every waiting update failed ends with the first that is sent as a last resort', async () => {
    const world = await createWorld()
    world.target.behave = () => down
    for (let n = 0; n < 5; n++) await send(world, `v${n}`, 'tier', 'x')
    world.target.behave = () => undefined
    for (let minute = 0; minute < 40 && (await world.entries()) > 0; minute++) {
      await world.clock.advance(minuteMs)
      await world.flush()
    }
    expect(await world.entries()).toBe(0)
  })
})
