/**
 * Whether calls to Target may go at all: the operator's pause, and a breaker that all isolates share (DESIGN.md §7).
 *
 * Rules on plain data, as in `register.ts`: the SQL ledger runs them as they stand here, the Redis scripts say the same
 * in Lua, and a differential test holds both alike.
 */

/** What one settled attempt says of Target: `refused` counts a rejection or a 2xx that is not believed. */
export const signals = ['up', 'refused', 'down', 'wrong'] as const
export type Signal = (typeof signals)[number]

/** `unavailable`: it fails. `misconfigured`: it says our address or token is wrong. `systemic`: it refuses everybody. */
export type BreakerCause = 'unavailable' | 'misconfigured' | 'systemic'

export interface Health {
  readonly paused: boolean
  /** Failures in a row. */
  readonly failures: number
  /** Refusals in a row, and whose they were, as far as it takes to tell a pattern. */
  readonly refusals: number
  readonly refused: readonly string[]
  /** Present while open. */
  readonly breaker?: {
    readonly cause: BreakerCause
    /** Since when, and when the next probe may go, epoch ms. */
    readonly sinceMs: number
    readonly untilMs: number
    /** Probes that failed. */
    readonly probes: number
  }
}

export const healthy: Health = { paused: false, failures: 0, refusals: 0, refused: [] }

/** So many failures in a row open the breaker. */
export const failuresThatOpen = 5
/** DESIGN.md §7: so many refusals in a row, of so many visitors, are no verdict on their content. */
export const refusalsThatOpen = 20
export const visitorsThatOpen = 5
/** The wait before the first probe; it doubles up to the longest. */
export const firstProbeMs = 5_000
export const lastProbeMs = 60_000
/** A probe that nobody settled (its isolate died) makes room for the next after this long. */
export const probeLivesMs = 30_000

export type Gate = 'go' | 'probe' | 'shut' | 'paused'

/** What an admission finds; `probe` lets exactly one attempt through. */
export function gateOf({ paused, breaker }: Health, nowMs: number): Gate {
  if (paused) return 'paused'
  if (breaker === undefined) return 'go'
  return nowMs >= breaker.untilMs ? 'probe' : 'shut'
}

/** The health once a probe was let through. */
export function probed(health: Health, nowMs: number): Health {
  return health.breaker === undefined ? health : { ...health, breaker: { ...health.breaker, untilMs: nowMs + probeLivesMs } }
}

/**
 * The health after an attempt.
 *
 * @param probe whether this attempt was let through as a probe: what others report of before the breaker opened changes
 * nothing, except that a yes is always a yes
 */
export function afterSignal(health: Health, signal: Signal, visitorHash: string, probe: boolean, nowMs: number): Health {
  const { paused, breaker } = health
  if (signal === 'up') return { ...healthy, paused }
  if (breaker !== undefined && !probe) return health
  if (signal === 'wrong') return open({ ...health, failures: 0 }, 'misconfigured', lastProbeMs, nowMs)
  if (signal === 'down') {
    const failures = health.failures + 1
    if (breaker === undefined && failures < failuresThatOpen) return { ...health, failures }
    const probes = breaker === undefined ? 0 : breaker.probes + 1
    return open(
      { ...health, failures },
      breaker?.cause ?? 'unavailable',
      Math.min(lastProbeMs, firstProbeMs * 2 ** Math.min(probes, 10)),
      nowMs,
    )
  }
  const refusals = health.refusals + 1
  const refused =
    health.refused.length < visitorsThatOpen && !health.refused.includes(visitorHash) ? [...health.refused, visitorHash] : health.refused
  const next = { ...health, failures: 0, refusals, refused }
  if (breaker?.cause === 'systemic' || (refusals >= refusalsThatOpen && refused.length >= visitorsThatOpen))
    return open(next, 'systemic', lastProbeMs, nowMs)
  // Target answers: what it refuses is a verdict on this one.
  return { paused, failures: 0, refusals, refused }
}

function open(health: Health, cause: BreakerCause, waitMs: number, nowMs: number): Health {
  const probes = health.breaker === undefined ? 0 : health.breaker.probes + 1
  return { ...health, breaker: { cause, sinceMs: health.breaker?.sinceMs ?? nowMs, untilMs: nowMs + waitMs, probes } }
}
