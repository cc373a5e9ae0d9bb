/**
 * Clocks that go wrong: a rate of their own, and jumps of minutes to a day, forward and back, for a while or for good.
 *
 * What may still be demanded then (the oracle holds it): quota (G1), nothing lost (G2) and once (G4) always, by real
 * time. Order (G3) for events with a time of their own that the relay could keep: one that arrives at a clock that is
 * behind its own time is clamped to that clock, and one without a time is ordered by the clock that took it in; where
 * that clock is off by more than the gap between two such events, their attributes' order is not checked (known holes,
 * docs/architecture.md). But an event that a fast clock put more than the tolerance ahead must not be sent before its
 * time, or it would hold back everybody else's.
 */
import type { Random } from '../../src/core/clock.ts'
import { between, magnitude, pick } from './draws.ts'
import type { VirtualTime } from './time.ts'

const minuteMs = 60_000
const dayMs = 86_400_000

interface Jump {
  readonly atMs: number
  readonly backAtMs: number
  readonly byMs: number
}

export interface WrongClock {
  /** By how much it is ahead of real time, ms. */
  errorMs(): number
  /** How fast it runs; 1 is right. */
  readonly rate: number
  readonly jumpsAtMs: readonly number[]
  /** Real time again, for good. */
  heal(): void
}

/** @param worst the largest jump */
export function wrongClock(random: Random, time: VirtualTime, untilMs: number, worst = dayMs): WrongClock {
  const sinceMs = time.nowMs
  const rate = 1 + (random.fraction() < 0.5 ? 0 : (magnitude(random, 1, 10_000) / 1_000_000) * pick(random, [-1, 1]))
  const jumps = Array.from({ length: between(random, 0, 2) }, (): Jump => {
    const atMs = sinceMs + random.fraction() * Math.max(1, untilMs - sinceMs)
    const lastsMs = random.fraction() < 0.4 ? Number.POSITIVE_INFINITY : random.fraction() * 5 * minuteMs
    return { atMs, backAtMs: atMs + lastsMs, byMs: magnitude(random, Math.min(minuteMs, worst / 2), worst) * pick(random, [-1, 1]) }
  })
  let healed = false
  return {
    rate,
    jumpsAtMs: jumps.flatMap(({ atMs, backAtMs }) => (backAtMs < untilMs ? [atMs, backAtMs] : [atMs])),
    errorMs: () =>
      healed
        ? 0
        : (time.nowMs - sinceMs) * (rate - 1) +
          jumps.reduce((sum, { atMs, backAtMs, byMs }) => sum + (time.nowMs >= atMs && time.nowMs < backAtMs ? byMs : 0), 0),
    heal: () => {
      healed = true
    },
  }
}
