/** The shipped example sources: nothing that several events of one case say is lost, in whatever order they arrive (G3, G4). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createApp } from '../src/edge/app.ts'
import { mapEvent } from '../src/edge/source/mapping.ts'
import { sources } from '../src/sources.ts'
import { testSecrets } from './support/secrets.ts'
import { kioskHook, signedHook } from './support/sender.ts'
import { createWorld } from './support/world.ts'

const wire = { method: 'post', origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' } as const
const statuses = ['applied', 'approved', 'funded', 'declined'] as const

/** The `step`th event of one case, and the profile after it. */
const samples: Readonly<
  Record<string, (step: number, at: string) => { event: object; visitor: string; profile: Record<string, string> }>
> = {
  'call-centre': (step, at) => ({
    event: { caseId: 'case-1', customer: '123456', outcome: `outcome ${step}`, at },
    visitor: '123456',
    profile: { lastCallOutcome: `outcome ${step}` },
  }),
  // The same status may come again with another amount.
  loan: (step, at) => ({
    event: {
      loan: 9_007_199_254_740_991,
      customer: '123456',
      status: statuses[step >> 1] ?? 'declined',
      amount: 1_000 * step,
      at,
    },
    visitor: '123456',
    profile: { loanStatus: statuses[step >> 1] ?? 'declined', loanAmount: String(1_000 * step) },
  }),
  loyalty: (step, at) => ({
    event: { card: '123456', store: { city: 'Bern', id: 7 }, points: step % 3, at },
    visitor: '123456',
    profile: { loyaltyPoints: String(step % 3), 'lastStore.city': 'Bern', 'lastStore.id': '7' },
  }),
  kiosk: (step, at) => ({
    event: { session: 'session-1', pcId: '1368007744041-575948.01_00', page: `/page/${step % 2}`, at },
    visitor: '1368007744041-575948.01_00',
    profile: { lastKioskPage: `/page/${step % 2}` },
  }),
}

/** The order in which the events of a case arrive: each at least once. */
const coming = (steps: number) =>
  fc
    .array(fc.nat(steps - 1), { maxLength: 2 * steps })
    .chain((again) => fc.shuffledSubarray([...Array(steps).keys(), ...again], { minLength: steps + again.length }))
const isoOf = (timeMs: number, offsetHours = 0) =>
  offsetHours === 0
    ? new Date(timeMs).toISOString()
    : `${new Date(timeMs + offsetHours * 3_600_000).toISOString().slice(0, -1)}+0${offsetHours}:00`

describe.each(Object.keys(samples))('the sample %s', (name) => {
  const { [name]: step = () => ({ event: {}, visitor: '', profile: {} }) } = samples
  const source = sources.find((one) => one.name === name)

  it('maps each event of a case to its content and its own time, in any offset', async () => {
    const world = await createWorld()
    for (const [index, offset] of [0, 1, 2, 3, 4].entries()) {
      const timeMs = world.clock.now() - 3_600_000 + index
      const { event, visitor, profile } = step(index, isoOf(timeMs, offset))
      if (source === undefined) throw new Error(`no source ${name}`)
      const mapped = await mapEvent(
        source,
        event,
        { eventId: `msg-${index}`, arrivalMs: world.clock.now() },
        world.prepare,
      )
      expect(mapped).toMatchObject({ ok: true, updates: [{ stamp: expect.stringContaining(String(timeMs)) }] })
      const [update] = mapped.ok ? mapped.updates : []
      expect(Object.values(update?.visitor ?? {})).toEqual([visitor])
      expect(
        Object.fromEntries((update?.attributes ?? []).map(({ name: attribute, value }) => [attribute, value])),
      ).toEqual(profile)
    }
  })

  it('ends in the state of the last event when the events of a case are repeated and reordered', async () => {
    const steps = 6
    await fc.assert(
      fc.asyncProperty(coming(steps), async (order) => {
        const world = await createWorld()
        const app = createApp({
          settings: {
            targetClientCode: 'demo',
            apiTokens: [],
            hookSecrets: new Map([[name, [testSecrets.hook(name)]]]),
          },
          sources,
          prepare: world.prepare,
          wire,
          deliver: world.deliver,
          bury: (dead) => world.backlog.bury(dead),
          ready: () => Promise.reject(new Error('not here')),
          operator: {} as never,
          clock: world.clock,
        })
        const firstMs = world.clock.now() - 60_000
        for (const index of order) {
          await world.clock.advance(10)
          const { event } = step(index, isoOf(firstMs + 1_000 * index, index % 3))
          const { path, headers, body } =
            name === 'kiosk' ? kioskHook(event) : signedHook(name, `msg-${index}`, event, new Date(world.clock.now()))
          const answer = await app.fetch(new Request(`https://relay.example${path}`, { method: 'POST', headers, body }))
          expect(answer.status).toBeLessThan(300)
          await world.settled()
        }
        expect(await world.dead()).toEqual([])
        const { visitor, profile } = step(steps - 1, isoOf(firstMs))
        expect(world.profile(visitor)).toEqual(profile)
      }),
      { numRuns: 25 },
    )
  })
})
