/**
 * A process that dies at any point: each test runs once for every port call it makes, and dies before or after that call
 * took effect. Then another isolate goes on. Nothing acknowledged may be lost (G2), and no older value may win (G3).
 */
import { describe, expect, it } from 'vitest'
import { createWorld, type World } from '../support/world.ts'

type When = 'before' | 'after'

/** Ports that die at the given call: from then on nothing answers, as in a process that has ended. */
function mortal(world: World, diesAt: number, when: When) {
  let calls = 0
  let dead = false
  const gone = new Promise<never>(() => {})
  const wrap = <T extends object>(port: T): T =>
    new Proxy(port, {
      get: (target, property) => {
        const method: unknown = Reflect.get(target, property)
        if (typeof method !== 'function') return method
        return async (...args: unknown[]) => {
          if (dead) return gone
          calls++
          if (calls !== diesAt) return method.apply(target, args)
          dead = true
          if (when === 'after') await method.apply(target, args)
          return gone
        }
      },
    })
  return {
    ports: { ledger: wrap(world.ledger), backlog: wrap(world.backlog), target: { send: wrap(world.target).send } },
    died: () => dead,
  }
}

/** Runs `work` in a mortal isolate until it ends or the isolate is dead. */
async function untilDeath(
  world: World,
  work: (isolate: ReturnType<World['isolate']>) => Promise<unknown>,
  diesAt: number,
  when: When,
) {
  const { ports, died } = mortal(world, diesAt, when)
  let over = false
  const result = work(world.isolate(ports)).finally(() => {
    over = true
  })
  for (let turn = 0; turn < 5_000 && !over && !died(); turn++) await world.clock.advance(0)
  await world.clock.advance(0)
  return { died: died(), result: over ? await result : undefined }
}

const someSteps = 40

/** Whole, like most updates, and in parts of one attribute each, like an update with very many attributes. */
const cuts = [['whole', {}] as const, ['in parts', { attributesPerAttempt: 1, attemptsTogether: 2 }] as const]

describe.each(['before', 'after'] as const)('a flush that dies %s any of its steps', (when) => {
  it.each(cuts)('loses nothing and lets no older value win: %s', async (_name, limits) => {
    let deaths = 0
    for (let diesAt = 1; diesAt <= someSteps; diesAt++) {
      const world = await createWorld({ seed: diesAt, limits })
      const silent = world.isolate({ ledger: { ...world.ledger, admit: () => Promise.reject(new Error('silent')) } })
      world.target.behave = (_, pairs) =>
        pairs.get('tier') === 'poison' ? { kind: 'refused', message: 'no', own: true } : undefined
      await silent.deliver([await world.update({ id: '1', attributes: { tier: 'old', city: 'Oslo' } })])
      await world.clock.advance(10)
      await silent.deliver([await world.update({ id: '2', attributes: { tier: 'new' } })])
      await silent.deliver([
        await world.update({ id: '3', visitor: { pcId: '1-2.3_4' }, attributes: { tier: 'poison' } }),
      ])
      await world.clock.advance(120_001)

      const { died } = await untilDeath(world, (isolate) => isolate.flush(), diesAt, when)
      if (died) deaths++
      for (let run = 0; run < 4; run++) {
        await world.clock.advance(90_001)
        await world.flush()
      }
      expect(world.profile(), `died ${when} step ${diesAt}`).toEqual({ tier: 'new', city: 'Oslo' })
      expect(await world.entries(), `died ${when} step ${diesAt}`).toBe(0)
      expect(await world.dead(), `died ${when} step ${diesAt}`).toContain('rejected')
      const tiers = world.target.calls
        .filter(({ visitor }) => visitor === 'visitor-1')
        .flatMap(({ pairs }) => pairs.get('tier') ?? [])
      expect(tiers.lastIndexOf('old'), `died ${when} step ${diesAt}`).toBeLessThan(tiers.indexOf('new'))
    }
    expect(deaths).toBeGreaterThan(8)
  })
})

describe.each(['before', 'after'] as const)('a live delivery that dies %s any of its steps', (when) => {
  const answers = ['yes', 'no answer', 'no quota'] as const
  it.each(answers.flatMap((target) => cuts.map(([cut, limits]) => [target, cut, limits] as const)))(
    'is completed by the sender’s retry, under its first stamp: Target says %s, %s',
    async (target, _cut, limits) => {
      let deaths = 0
      for (let diesAt = 1; diesAt <= 8; diesAt++) {
        const world = await createWorld({
          seed: diesAt,
          limits,
          settings: target === 'no quota' ? { quotaLimit: 0 } : {},
        })
        if (target === 'no answer') world.target.behave = () => ({ kind: 'unavailable', status: 503 })
        const startMs = world.clock.now()
        const old = { id: 'evt', attributes: { city: 'Oslo', tier: 'old' }, occurredAt: startMs }
        const first = await world.update(old)
        const { died, result } = await untilDeath(
          world,
          async (isolate) => {
            const receipts = await isolate.deliver([first])
            await isolate.settled()
            return receipts
          },
          diesAt,
          when,
        )
        if (died) deaths++
        await world.clock.advance(10_001)
        // Another event is delivered meanwhile; the one that died must not overtake it.
        world.target.behave = () => undefined
        await world.deliver([await world.update({ id: 'later', attributes: { tier: 'new' }, occurredAt: startMs + 1 })])
        await world.settled()
        await world.clock.advance(10_001)
        if (result === undefined) await world.deliver([await world.update(old)])
        await world.settled()
        for (let run = 0; run < 4; run++) {
          await world.clock.advance(120_001)
          await world.flush()
        }
        if (target === 'no quota') expect(await world.entries()).toBeGreaterThan(0)
        else expect(world.profile(), `died ${when} step ${diesAt}`).toEqual({ tier: 'new', city: 'Oslo' })
      }
      expect(deaths).toBeGreaterThan(1)
    },
  )
})
