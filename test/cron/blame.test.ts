/** G7: one update's trouble is its own, whatever Target answers to it. Whole relays in a process, hours of a fake clock. */
import { describe, expect, it } from 'vitest'
import type { Ledger } from '../../src/core/ledger/port.ts'
import { defaultLimits } from '../../src/core/limits.ts'
import { createWorld, type TargetAnswer, type World } from '../support/world.ts'

const denied: TargetAnswer = { kind: 'misconfigured', status: 403 }
const down: TargetAnswer = { kind: 'unavailable', status: 500 }
const minuteMs = 60_000

async function send(world: World, visitor: string, name: string, value: string, source = 'api') {
  const [receipt] = await world.deliver([await world.update({ visitor: { thirdPartyId: visitor }, attributes: { [name]: value } }, source)])
  await world.settled()
  return receipt
}

describe.each([
  ['403', denied],
  ['500', down],
])('updates that are answered %s each time', (_, answer) => {
  it('defer no other live update and cut no flush for three hours, whose source and attribute are others', async () => {
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
    // What was deferred with the others is still there, and nothing else.
    expect(await world.entries()).toBe(20)
  })

  it('keep no waiting one from going, of their own source and of their own attribute', async () => {
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

  it('keep nothing else of their own visitor from going, though it would be merged with them', async () => {
    const world = await createWorld()
    // The breaker knows what it is about.
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

it('what the breaker holds back is asked about once in a run, however many wait', async () => {
  const world = await createWorld()
  world.target.behave = (call) => ((call.body ?? call.url).includes('poison') ? down : undefined)
  await send(world, 'somebody', 'tier', 'gold', 'till')
  for (let bad = 0; bad < 100; bad++) await send(world, `bad-${bad}`, 'comment', 'poison', 'desk')
  const asked: number[] = []
  const watched: Ledger = Object.create(world.ledger, {
    admit: {
      value: (requests: Parameters<Ledger['admit']>[0], lane: Parameters<Ledger['admit']>[1]) => {
        asked.push(requests.length)
        return world.ledger.admit(requests, lane)
      },
    },
  })
  await world.isolate({ ledger: watched }).flush()
  // The first admission says what is held back, and one that failed before may be the probe; no other is asked about.
  expect(asked).toEqual([defaultLimits.attemptsTogether, 1])
})

describe('an outage of Target', () => {
  it('is found by a few calls, whatever is sent; the run asks the ledger no more than it must, and all is well when it ends', async () => {
    const world = await createWorld()
    world.target.behave = () => down
    for (let n = 0; n < 100; n++) await send(world, `v${n}`, `name-${n % 3}`, 'x', `source-${n % 3}`)
    // Five, and one more for each trait by which updates could be told apart.
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

  it('whose every waiting update has failed before is over with the first that is asked as a last resort', async () => {
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
