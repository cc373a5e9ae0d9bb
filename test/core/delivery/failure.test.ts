/** How the relay copes with failures of Target, a silent ledger and a crowded quota (G1, G2, G7). */
import { describe, expect, it } from 'vitest'
import { failuresThatOpen, firstProbeMs, lastProbeMs, refusalsThatOpen } from '../../../src/core/ledger/rules/health.ts'
import { createWorld, type TargetAnswer, type World } from '../../support/world.ts'

const down: TargetAnswer = { kind: 'unavailable', status: 503 }
const wrongToken: TargetAnswer = { kind: 'misconfigured', status: 401 }
const bare404: TargetAnswer = { kind: 'refused', message: 'status 404', own: false }
let serial = 0
const send = async (
  world: World,
  visitor = `v${++serial}`,
  from: Pick<World, 'deliver' | 'settled'> = world,
  source?: string,
) => {
  const [receipt] = await from.deliver([
    await world.update(
      { id: `e${++serial}`, visitor: { thirdPartyId: visitor }, attributes: { tier: `x${serial}` } },
      source,
    ),
  ])
  await from.settled()
  return receipt
}
const fail = async (world: World, answer: TargetAnswer, times: number, visitors = times) => {
  world.target.behave = () => answer
  for (let n = 0; n < times; n++) await send(world, `failing-${n % visitors}`)
}

describe('the breaker', () => {
  it('opens after consecutive failures, for every isolate, and defers without a call', async () => {
    const world = await createWorld()
    await fail(world, down, failuresThatOpen)
    const calls = world.target.calls.length
    expect(await send(world, 'v', world.isolate())).toEqual({ status: 'deferred', reason: 'target_unavailable' })
    expect(world.target.calls.length).toBe(calls)
    expect((await world.flush()).stopped).toBe('target_unavailable')
    expect(world.target.calls.length).toBe(calls)
  })

  it('does not open if there is a success in between', async () => {
    const world = await createWorld()
    for (let round = 0; round < 3; round++) {
      await fail(world, down, failuresThatOpen - 1)
      world.target.behave = () => undefined
      expect(await send(world)).toMatchObject({ status: 'submitted' })
    }
  })

  it('lets one probe through once its wait is over; a success closes it, a failure doubles the wait', async () => {
    const world = await createWorld()
    await fail(world, down, failuresThatOpen)
    const calls = () => world.target.calls.length
    let waitMs = firstProbeMs
    for (let probe = 0; probe < 6; probe++) {
      await world.clock.advance(waitMs - 1)
      const before = calls()
      await send(world)
      expect(calls()).toBe(before)
      await world.clock.advance(1)
      await send(world)
      await send(world)
      expect(calls()).toBe(before + 1)
      waitMs = Math.min(lastProbeMs, waitMs * 2)
    }
    world.target.behave = () => undefined
    await world.clock.advance(waitMs)
    expect(await send(world)).toMatchObject({ status: 'submitted' })
    expect(await send(world)).toMatchObject({ status: 'submitted' })
  })

  it('opens at once on a wrong token, loses nothing, and shows the cause', async () => {
    const world = await createWorld({ saidYes: false })
    await fail(world, wrongToken, 1)
    expect((await world.ledger.usage()).health.breaker?.cause).toBe('misconfigured')
    expect(await send(world)).toMatchObject({ status: 'deferred' })
    expect(await world.dead()).toEqual([])
    world.target.behave = () => undefined
    await world.clock.advance(15 * 60_000)
    // The probe of the first run succeeds.
    await world.flush()
    await world.flush()
    expect(await world.entries()).toBe(0)
  })

  it('a probe whose isolate died makes room for the next', async () => {
    const world = await createWorld()
    await fail(world, down, failuresThatOpen)
    await world.clock.advance(firstProbeMs)
    const dying = world.isolate({ target: { send: () => new Promise(() => {}) } })
    const update = await world.update({ id: 'dying', attributes: { tier: 'gold' } })
    void dying.deliver([update])
    await world.clock.advance(0)
    await world.clock.advance(29_000)
    expect(await send(world)).toMatchObject({ status: 'deferred' })
    world.target.behave = () => undefined
    await world.clock.advance(2_000)
    expect(await send(world)).toMatchObject({ status: 'submitted' })
  })
})

describe('refusals of everything', () => {
  it(`${refusalsThatOpen} consecutive refusals of several visitors are not a verdict on the content: what follows is deferred and delivered later`, async () => {
    const world = await createWorld()
    await fail(world, bare404, refusalsThatOpen)
    expect((await world.ledger.usage()).health.breaker?.cause).toBe('systemic')
    expect(await world.dead()).toHaveLength(refusalsThatOpen)
    expect(await send(world, 'later')).toEqual({ status: 'deferred', reason: 'target_unavailable' })
    await world.clock.advance(lastProbeMs)
    // The probe is refused as well: this is not a verdict on it either.
    expect(await send(world, 'probe')).toEqual({ status: 'deferred', reason: 'target_unavailable' })
    expect(await world.dead()).toHaveLength(refusalsThatOpen)
    world.target.behave = () => undefined
    await world.clock.advance(15 * 60_000)
    await world.flush()
    await world.flush()
    expect(world.profile('later')).not.toEqual({})
    expect(world.profile('probe')).not.toEqual({})
  })

  it('before Target’s first yes a refusal is not a verdict: nothing is set aside, and all is delivered once Target says yes (G2)', async () => {
    const world = await createWorld({ saidYes: false })
    world.target.behave = () => ({ kind: 'refused', message: 'no such client', own: true })
    for (const visitor of ['first', 'second', 'third'])
      expect(await send(world, visitor)).toMatchObject({ status: 'deferred' })
    await world.settled()
    expect((await world.ledger.usage()).health.breaker?.cause).toBe('systemic')
    for (let run = 0; run < 3; run++) {
      await world.clock.advance(15 * 60_000)
      await world.flush()
    }
    expect(await world.dead()).toEqual([])
    world.target.behave = () => undefined
    for (let run = 0; run < 3; run++) {
      await world.clock.advance(30 * 60_000)
      await world.flush()
    }
    for (const visitor of ['first', 'second', 'third']) expect(world.profile(visitor)).not.toEqual({})
    expect(await world.entries()).toBe(0)
    // From now on a refusal is a verdict.
    world.target.behave = () => ({ kind: 'refused', message: 'no', own: true })
    expect(await send(world, 'fourth')).toMatchObject({ status: 'rejected' })
  })

  it('refusals of few visitors are verdicts', async () => {
    const world = await createWorld()
    await fail(world, { kind: 'refused', message: 'no', own: true }, 2 * refusalsThatOpen, 4)
    expect((await world.ledger.usage()).health.breaker).toBeUndefined()
  })

  it('answers that are not trusted count as failures, and nothing is lost', async () => {
    const world = await createWorld()
    await fail(world, { kind: 'disbelieved' }, refusalsThatOpen)
    expect((await world.ledger.usage()).health.breaker?.cause).toBe('systemic')
    expect(await world.dead()).toEqual([])
    expect(await world.entries()).toBe(refusalsThatOpen)
  })
})

describe('a poison update', () => {
  it.each([
    ['oldest', ['b', 'a', 'c']],
    ['second', ['a', 'b', 'c']],
    ['newest', ['a', 'c', 'b']],
  ])('on which Target fails each time does not hold back other updates (G7): the %s', async (_, names) => {
    const world = await createWorld()
    await world.ledger.pause(true)
    for (const name of names) {
      await world.clock.advance(1_000)
      await world.deliver([await world.update({ id: name, attributes: { [name]: name === 'b' ? 'poison' : 'good' } })])
    }
    await send(world, 'other')
    await world.ledger.pause(false)
    world.target.behave = (_, pairs) => ([...pairs.values()].includes('poison') ? down : undefined)
    for (let run = 0; run < 60; run++) {
      await world.clock.advance(60_000)
      // The breaker, which could tell the poison update from the others, stays closed.
      await send(world, `other-${run}`)
      await world.flush()
    }
    expect(world.profile()).toEqual({ a: 'good', c: 'good' })
    expect(world.profile('other')).not.toEqual({})
    expect(await world.entries()).toBe(1)
    await world.clock.advance(72 * 3_600_000)
    await world.flush()
    expect(await world.dead()).toEqual(['expired'])
  })
})

describe('a source with a share of its own (G7)', () => {
  it('can’t take the quota of others: above its share it is sent only while much is free', async () => {
    const world = await createWorld({ settings: { quotaLimit: 100, replayReserve: 0.05 }, shares: { noisy: 30 } })
    const statuses: string[] = []
    for (let n = 0; n < 150; n++) statuses.push((await send(world, undefined, world, 'noisy'))?.status ?? '')
    // Four fifths is the ceiling of the bulk lane.
    expect(statuses.filter((status) => status === 'submitted')).toHaveLength(80)
    await world.flush()
    const quiet: string[] = []
    for (let n = 0; n < 15; n++) quiet.push((await send(world, undefined, world, 'quiet'))?.status ?? '')
    expect(quiet.every((status) => status === 'submitted')).toBe(true)
  })

  it('has the ceiling of its lane while it is within its share', async () => {
    const world = await createWorld({ settings: { quotaLimit: 100, replayReserve: 0.05 }, shares: { small: 30 } })
    for (let n = 0; n < 85; n++) await send(world, undefined, world, 'other')
    expect(await send(world, undefined, world, 'small')).toMatchObject({ status: 'submitted' })
  })
})

describe('a ledger that is silent for an hour', () => {
  it('makes no calls and rejects nothing, and all is delivered in order once it is back (G1, G2, G3)', async () => {
    const world = await createWorld()
    const silent = world.isolate({ ledger: { ...world.ledger, admit: () => Promise.reject(new Error('silent')) } })
    for (let n = 0; n < 240; n++) {
      const [receipt] = await silent.deliver([
        await world.update({
          id: `h${n}`,
          visitor: { thirdPartyId: `v${n % 12}` },
          attributes: { tier: `value-${n}` },
        }),
      ])
      expect(receipt).toEqual({ status: 'deferred', reason: 'ledger_unavailable' })
      await world.clock.advance(15_000)
    }
    expect(world.target.calls).toEqual([])
    await world.clock.advance(120_001)
    for (let run = 0; run < 5; run++) await world.flush()
    expect(await world.entries()).toBe(0)
    for (let visitor = 0; visitor < 12; visitor++)
      expect(world.profile(`v${visitor}`)).toEqual({ tier: `value-${228 + visitor}` })
    expect(world.target.calls.length).toBe(12)
  })
})

describe('twice the demand for 24 hours', () => {
  it('never exceeds the quota, starves neither live nor replay, and ends with everything delivered (G1, G7)', {
    timeout: 60_000,
  }, async () => {
    const limit = 240
    const hourMs = 3_600_000
    const world = await createWorld({ settings: { quotaLimit: limit, replayReserve: 0.1 } })
    const waiting = new Map<string, number>()
    let longestMs = 0
    let live = 0
    const step = 2 * limit
    const noteDelivered = () => {
      for (const [value, atMs] of waiting) {
        const visitor = `v${Number(value.slice(1)) % 97}`
        const held = Number(world.profile(visitor)['tier']?.slice(1) ?? -1)
        if (held < Number(value.slice(1))) continue
        longestMs = Math.max(longestMs, world.clock.now() - atMs)
        waiting.delete(value)
      }
    }
    for (let n = 0; n < 2 * step; n++) {
      const value = `x${n}`
      waiting.set(value, world.clock.now())
      const [receipt] = await world.deliver([
        await world.update({ id: value, visitor: { thirdPartyId: `v${n % 97}` }, attributes: { tier: value } }),
      ])
      if (receipt?.status === 'submitted') live++
      await world.settled()
      await world.clock.advance((24 * hourMs) / step)
      await world.flush()
      noteDelivered()
    }
    const replayed = world.target.calls.length - live
    expect(live).toBeGreaterThanOrEqual(0.1 * limit)
    expect(replayed).toBeGreaterThanOrEqual(0.1 * limit)
    for (let hour = 0; hour < 48 && waiting.size > 0; hour++) {
      await world.clock.advance(hourMs)
      await world.flush()
      noteDelivered()
    }
    expect([...waiting]).toEqual([])
    expect(await world.entries()).toBe(0)
    // No update waited longer than the window and its slack.
    expect(longestMs).toBeLessThanOrEqual(25 * hourMs)
    const times = world.target.calls.map(({ atMs }) => atMs)
    for (const [index, atMs] of times.entries())
      expect(times.slice(0, index + 1).filter((other) => other > atMs - 24 * hourMs).length).toBeLessThanOrEqual(limit)
  })
})

describe('several Retry-After headers in one attempt', () => {
  it('the longest is honoured', async () => {
    const world = await createWorld()
    const note = 'x'.repeat(7_000)
    const silent = { ...world.ledger, admit: () => Promise.reject(new Error('silent')) }
    const byGet = (ledger = world.ledger) => world.isolate({ method: 'get', ledger })
    await byGet(silent).deliver([await world.update({ id: 'evt', attributes: { a: note, b: note, c: note } })])
    await world.clock.advance(120_001)
    world.target.behave = (_, pairs) => ({
      kind: 'unavailable',
      status: 503,
      retryAfterMs: pairs.has('b') ? 600_000 : 60_000,
    })
    expect(await byGet().flush()).toMatchObject({ calls: 3 })
    world.target.behave = () => undefined
    await world.clock.advance(590_000)
    expect(await byGet().flush()).toMatchObject({ calls: 0 })
    await world.clock.advance(20_000)
    expect(await byGet().flush()).toMatchObject({ calls: 3 })
  })
})
