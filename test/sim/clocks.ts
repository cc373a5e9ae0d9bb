/**
 * Wrong clocks: they drift, and jump by minutes to a day, forward and back, for a while or for good.
 *
 * What must still hold then, and is checked by the oracle: the quota (G1), nothing lost (G2) and nothing sent again (G4),
 * always and by real time. Order (G3) holds for events with a time of their own that the relay could keep. An event from
 * the future of the relay's clock is clamped to that clock, and one without a time is ordered by the clock that took it
 * in; if that clock is off by more than the gap between two such events, the order of their attributes is not checked
 * (docs/rules.md, "What no rule can give"). But an event that a fast clock dated more than the tolerance ahead must not
 * be sent before its time, or it would hold back all others.
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
  /** How far it is ahead of real time, ms. */
  errorMs(): number
  /** How fast it runs; 1 is right. */
  readonly rate: number
  readonly jumpsAtMs: readonly number[]
  /** From now on it shows real time. */
  heal(): void
}

export interface ClockErrors {
  /** The size of its jumps, ms. */
  readonly jumpsMs: readonly [least: number, most: number]
  /** The largest drift, parts per million. */
  readonly driftPpm: number
  readonly directions: readonly (1 | -1)[]
  /** Whether a jump may last until the clock is healed. */
  readonly forGood: boolean
}

/** The errors of an isolate's clock. */
export const anyErrors: ClockErrors = {
  jumpsMs: [minuteMs, dayMs],
  driftPpm: 10_000,
  directions: [1, -1],
  forGood: true,
}

export function wrongClock(random: Random, time: VirtualTime, untilMs: number, errors: ClockErrors): WrongClock {
  const sinceMs = time.nowMs
  const rate =
    1 + (random.fraction() < 0.5 ? 0 : (magnitude(random, 1, errors.driftPpm) / 1_000_000) * pick(random, [-1, 1]))
  const jumps = Array.from({ length: between(random, 0, 2) }, (): Jump => {
    const atMs = sinceMs + random.fraction() * Math.max(1, untilMs - sinceMs)
    const lastsMs =
      errors.forGood && random.fraction() < 0.4 ? Number.POSITIVE_INFINITY : random.fraction() * 5 * minuteMs
    return {
      atMs,
      backAtMs: atMs + lastsMs,
      byMs: magnitude(random, ...errors.jumpsMs) * pick(random, errors.directions),
    }
  })
  let healed = false
  return {
    rate,
    jumpsAtMs: jumps.flatMap(({ atMs, backAtMs }) => (backAtMs < untilMs ? [atMs, backAtMs] : [atMs])),
    errorMs: () =>
      healed
        ? 0
        : (time.nowMs - sinceMs) * (rate - 1) +
          jumps.reduce(
            (sum, { atMs, backAtMs, byMs }) => sum + (time.nowMs >= atMs && time.nowMs < backAtMs ? byMs : 0),
            0,
          ),
    heal: () => {
      healed = true
    },
  }
}

/** The ledger's clock, and who shares it. */
export interface LedgerClocks {
  readonly clock: WrongClock
  /** Whether it has a monotonic companion that shows its jumps. */
  readonly watched: boolean
  /** One machine: all isolates share this clock. It jumps once, an operator confirms that, and it stays so. */
  readonly machine: boolean
  readonly confirmedAtMs?: number
}

/** The ledger does not notice smaller jumps (`core/ledger/rules/clock-watch.ts`). */
const noticedMs = 6 * minuteMs

/**
 * Jumps that the ledger can notice. Those that it can't are known holes: forward without a monotonic companion, or while
 * a process starts. (Steps of less than five minutes are tolerated and free units too early by as much: none larger than
 * the slack are drawn.)
 */
export function ledgerClocks(random: Random, time: VirtualTime, untilMs: number, restarts: boolean): LedgerClocks {
  const watched = random.fraction() < 0.7
  const directions = watched && !restarts ? ([1, -1] as const) : ([-1] as const)
  if (random.fraction() < 0.3) {
    const atMs = time.nowMs + random.fraction() * (untilMs - time.nowMs)
    const byMs = magnitude(random, noticedMs, 45 * minuteMs) * pick(random, directions)
    const clock = { rate: 1, jumpsAtMs: [atMs], errorMs: () => (time.nowMs >= atMs ? byMs : 0), heal: () => {} }
    return { clock, watched, machine: true, confirmedAtMs: atMs + minuteMs + random.fraction() * 15 * minuteMs }
  }
  // Setting it right again is a jump forward, which only a companion shows.
  const both = restarts ? ([-1] as const) : ([1, -1] as const)
  const clock = wrongClock(random, time, untilMs, {
    jumpsMs: [noticedMs, dayMs],
    driftPpm: 1_000,
    directions: both,
    forGood: true,
  })
  return { clock, watched: true, machine: false }
}
