/** The forecast, held against what comes: a relay with its ledger and flush on a virtual clock, a day long. */
import { describe, expect, it } from 'vitest'
import { laneCeiling } from '../../../src/core/ledger/rules/settings.ts'
import { aheadMs, type Forecast, forecast } from '../../../src/core/operator/forecast.ts'
import { seededRandom } from '../../support/clock.ts'
import { createWorld, worldSettings } from '../../support/world.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const nowMs = 1_790_000_000_000
const quiet = {
  nowMs,
  buckets: [],
  bucketMs: minuteMs,
  countsMs: 24 * hourMs,
  ceilings: { live: 950, replay: 1_000 },
  liveUnitsPerHour: 0,
  waitingUnits: 0,
  unitsPerRun: 100,
} as const

describe('the forecast', () => {
  it('of a pace that the quota carries foretells no deferral', () => {
    expect(forecast({ ...quiet, liveUnitsPerHour: 39 })).toEqual({ doneMs: nowMs })
  })

  it('of one that it does not carry: when the ceiling of live traffic is reached', () => {
    const { firstDeferralMs = 0, doneMs } = forecast({ ...quiet, liveUnitsPerHour: 120 })
    expect((firstDeferralMs - nowMs) / minuteMs).toBeCloseTo(475, -1)
    // Nothing waits now.
    expect(doneMs).toBe(nowMs)
  })

  it('what waits goes run by run, and where the quota is used up as its units become free', () => {
    expect(forecast({ ...quiet, waitingUnits: 250 })).toEqual({ doneMs: nowMs + 3 * minuteMs })
    const spent = [[nowMs - 20 * hourMs, 1_000]] as const
    const { doneMs = 0 } = forecast({ ...quiet, buckets: spent, waitingUnits: 250 })
    expect((doneMs - nowMs) / minuteMs).toBeCloseTo(4 * 60 + 4, -1)
  })

  it('with pacing what waits goes span by span: a sixth of what is free, and a 24th of the quota at least', () => {
    const paced = { spanMs: hourMs, limit: 1_000 }
    const { doneMs = 0 } = forecast({ ...quiet, paced, unitsPerRun: 1_000, waitingUnits: 160 })
    expect(doneMs).toBe(nowMs + minuteMs)
    const next = forecast({ ...quiet, paced, unitsPerRun: 1_000, waitingUnits: 300 })
    expect(((next.doneMs ?? 0) - nowMs) / minuteMs).toBeCloseTo(61, -1)
    const spent = [[nowMs - 2 * hourMs, 900]] as const
    const late = forecast({ ...quiet, paced, buckets: spent, unitsPerRun: 1_000, waitingUnits: 80 })
    expect(((late.doneMs ?? 0) - nowMs) / minuteMs).toBeCloseTo(61, -1)
    // What the span holds already counts.
    const recent = [[nowMs - 30 * minuteMs, 160]] as const
    const then = forecast({ ...quiet, paced, buckets: recent, unitsPerRun: 1_000, waitingUnits: 50 })
    expect(((then.doneMs ?? 0) - nowMs) / minuteMs).toBeCloseTo(30, -1)
  })

  it('says nothing of what is not over within its horizon', () => {
    const spent = [[nowMs - minuteMs, 1_000]] as const
    expect(forecast({ ...quiet, buckets: spent, liveUnitsPerHour: 2_000, waitingUnits: 10 }).doneMs).toBeUndefined()
    expect(forecast({ ...quiet, waitingUnits: (aheadMs / minuteMs) * 100 * 2 }).doneMs).toBeUndefined()
  })

  it('is no longer a forecast where live traffic finds no unit now, whatever its pace', () => {
    expect(forecast({ ...quiet, buckets: [[nowMs - hourMs, 950]] }).firstDeferralMs).toBe(nowMs)
  })

  it('units of the past that no longer count take nothing', () => {
    expect(forecast({ ...quiet, buckets: [[nowMs - 25 * hourMs, 1_000]], waitingUnits: 1 })).toEqual({
      doneMs: nowMs + minuteMs,
    })
  })

  // The tolerance: arrivals are drawn at random, so the pace of one hour is off by up to a fifth.
  const within = (foretoldMs: number | undefined, cameMs: number, atMs: number) =>
    foretoldMs !== undefined && Math.abs(foretoldMs - cameMs) <= Math.max(10 * minuteMs, 0.2 * (cameMs - atMs))

  it.each([
    // Updates an hour, at first and nine hours later; the quota is 480 in 24 h.
    [1, 15, 15],
    [2, 40, 40],
    [3, 60, 10],
    [4, 90, 2],
  ])(
    'comes true within its tolerance over a day of traffic (seed %i: %i, then %i updates an hour)',
    async (seed, first, then) => {
      const settings = { ...worldSettings, quotaLimit: 480, quotaWindowMs: 24 * hourMs, quotaBucketMs: minuteMs }
      const world = await createWorld({ seed, settings: { ...settings, retentionMs: 72 * hourMs } })
      const random = seededRandom(seed)
      const startMs = world.clock.now()
      const changeMs = startMs + 9 * hourMs
      const endMs = startMs + 30 * hourMs
      const hours = (ms: number | undefined) => (((ms ?? Number.NaN) - startMs) / hourMs).toFixed(2)
      const runs: { atMs: number; calls: number }[] = []
      const deferralsMs: number[] = []
      const emptyMs: number[] = []
      const foretold: (Forecast & { atMs: number; waits: boolean })[] = []
      let serial = 0

      const lookAhead = async (waitingUnits: number) => {
        const { buckets } = await world.ledger.usage()
        const nowMs = world.clock.now()
        const ofLastHour = ([ms]: readonly [number, unknown]) => ms > nowMs - hourMs
        const spent = buckets.filter(ofLastHour).reduce((sum, [, units]) => sum + units, 0)
        const replayed = runs.filter(({ atMs }) => ofLastHour([atMs, 0])).reduce((sum, { calls }) => sum + calls, 0)
        return forecast({
          nowMs,
          buckets,
          bucketMs: settings.quotaBucketMs,
          countsMs: settings.quotaWindowMs + settings.quotaSlackMs,
          ceilings: { live: laneCeiling(settings, 'live'), replay: laneCeiling(settings, 'replay') },
          liveUnitsPerHour: spent - replayed + deferralsMs.filter((ms) => ofLastHour([ms, 0])).length,
          waitingUnits,
          unitsPerRun: 800,
        })
      }
      for (let minute = 0; world.clock.now() < endMs; minute++) {
        const pace = world.clock.now() < changeMs ? first : then
        for (let more = Math.floor(pace / 60 + random.fraction()); more > 0; more--) {
          const visitor = { thirdPartyId: `v${serial++}` }
          const [receipt] = await world.deliver([await world.update({ visitor, attributes: { tier: 'gold' } })])
          if (receipt?.status === 'deferred') deferralsMs.push(world.clock.now())
        }
        await world.settled()
        await world.clock.advance(minuteMs)
        const { calls } = await world.flush()
        if (calls > 0) runs.push({ atMs: world.clock.now(), calls })
        const waiting = (await world.backlog.tally?.())?.waiting.posts ?? Number.NaN
        if (waiting === 0) emptyMs.push(world.clock.now())
        if (minute >= 120 && minute % 60 === 0)
          foretold.push({ atMs: world.clock.now(), waits: waiting > 0, ...(await lookAhead(waiting)) })
      }

      let checked = 0
      for (const { atMs, waits, firstDeferralMs, doneMs } of foretold) {
        // The pace of the hour before went on, as the forecast assumes.
        const goesOn = (cameMs: number) =>
          first === then || (atMs < changeMs && cameMs <= changeMs) || atMs > changeMs + hourMs
        const deferralMs = deferralsMs.find((ms) => ms >= atMs)
        // Where live traffic finds no unit already, there is nothing to foretell.
        if (goesOn(deferralMs ?? endMs) && firstDeferralMs !== atMs) {
          const said = `at ${hours(atMs)} h the first deferral was foretold at ${hours(firstDeferralMs)}, came at ${hours(deferralMs)}`
          if (deferralMs !== undefined) expect(within(firstDeferralMs, deferralMs, atMs), said).toBe(true)
          else expect((firstDeferralMs ?? Number.POSITIVE_INFINITY) > 0.8 * (endMs - atMs) + atMs, said).toBe(true)
          checked++
        }
        const cameMs = emptyMs.find((ms) => ms >= atMs)
        if (waits && cameMs !== undefined && goesOn(cameMs)) {
          const said = `at ${hours(atMs)} h the end of the backlog was foretold at ${hours(doneMs)}, came at ${hours(cameMs)}`
          expect(within(doneMs, cameMs, atMs), said).toBe(true)
          checked++
        }
      }
      expect(checked).toBeGreaterThan(8)
    },
  )
})
