/**
 * Whether calls to Target may go at all: the operator's pause, and a breaker that all isolates share.
 *
 * The breaker is a small state machine on plain data (docs/rules.md, "Who is blamed for a failure", has its
 * table). What an attempt ended with is evidence, and evidence is about what all the attempts behind it had in common:
 * their visitor, their source, their attributes. The breaker holds back what shares all of that, and nothing else, so
 * that no single visitor, source or attribute can keep another's update from going; and whatever else fails widens it,
 * until an outage of Target itself holds back everybody.
 *
 * The SQL ledger runs these rules as they stand here; the Redis scripts say the same in Lua, and a differential test
 * holds both alike.
 */

/** What one settled attempt says of Target: `refused` counts a rejection or a 2xx that is not believed. */
export const signals = ['up', 'refused', 'down', 'wrong'] as const
export type Signal = (typeof signals)[number]

/**
 * `unavailable`: it fails. `misconfigured`: it says our address or token is wrong. `systemic`: it refuses everybody.
 */
export const breakerCauses = ['unavailable', 'misconfigured', 'systemic'] as const
export type BreakerCause = (typeof breakerCauses)[number]

/** What an attempt is about, as texts that can be compared: its visitor, its sources, its attributes' names. */
export type Traits = readonly string[]

export interface Breaker {
  readonly cause: BreakerCause
  /** Since when, and when the next probe may go, epoch ms. */
  readonly sinceMs: number
  readonly untilMs: number
  /** Probes that failed. */
  readonly probes: number
  /** What is held back: whatever has all of these. Empty: everything. */
  readonly traits: Traits
}

export interface Health {
  readonly paused: boolean
  /** Failures in a row, first tries only, and what they had in common. */
  readonly failures: number
  readonly failedTraits: Traits
  /** Refusals in a row, the visitors they concerned (at most `visitorsThatOpen`), and what they had in common. */
  readonly refusals: number
  readonly refused: readonly string[]
  readonly refusedTraits: Traits
  /** Whose attempts were denied (401, 403, 3xx) in a row, and what they had in common. */
  readonly denied: readonly string[]
  readonly deniedTraits: Traits
  /**
   * Whether Target ever said yes to this relay: before, one denial or refusal is enough to doubt our address and token.
   */
  readonly saidYes: boolean
  /** Present while open. */
  readonly breaker?: Breaker
}

export const healthy: Health = {
  paused: false,
  failures: 0,
  failedTraits: [],
  refusals: 0,
  refused: [],
  refusedTraits: [],
  denied: [],
  deniedTraits: [],
  saidYes: false,
}

/** Consecutive failures that open the breaker. */
export const failuresThatOpen = 5
/** Consecutive refusals, of at least this many visitors, that are no verdict on their content. */
export const refusalsThatOpen = 20
export const visitorsThatOpen = 5
/**
 * Visitors denied (401, 403, 3xx) in a row that say our address or token is wrong; fewer say that their updates are.
 */
export const deniedThatOpen = 3
/** The wait before the first probe; it doubles up to the longest. */
export const firstProbeMs = 5_000
export const lastProbeMs = 60_000
/** After this long a probe that was never settled (its isolate died) makes room for the next. */
export const probeLivesMs = 30_000

/** What decides at the gate about one attempt, besides the health. */
export interface AtGate {
  readonly traits: Traits
  /** Whether a try of this visitor failed since its last delivery. */
  readonly failedBefore: boolean
  /** Whether it may be the probe although it failed before: the flush has found nothing else. */
  readonly lastResort: boolean
}

export type Gate = 'go' | 'probe' | 'shut' | 'paused'

/**
 * What an admission finds. What the breaker is not about goes. Of the rest exactly one goes as the `probe`, and never
 * one that failed before while another waits.
 */
export function gateOf({ paused, breaker }: Health, { traits, failedBefore, lastResort }: AtGate, nowMs: number): Gate {
  if (paused) return 'paused'
  if (breaker === undefined || !hasAll(traits, breaker.traits)) return 'go'
  return nowMs >= breaker.untilMs && (!failedBefore || lastResort) ? 'probe' : 'shut'
}

/** Whether a refusal is no verdict: while Target refuses everybody, and before it ever said yes to this relay. */
export function isDoubtful({ breaker, saidYes }: Health): boolean {
  return breaker?.cause === 'systemic' || !saidYes
}

/** The health once a probe was let through. */
export function probed(health: Health, nowMs: number): Health {
  return health.breaker === undefined
    ? health
    : { ...health, breaker: { ...health.breaker, untilMs: nowMs + probeLivesMs } }
}

/** What one settled attempt tells. */
export interface Told {
  readonly signal: Signal
  readonly visitorHash: string
  readonly traits: Traits
  readonly failedBefore: boolean
  /** Whether it was let through as a probe. */
  readonly probe: boolean
}

/** The health after an attempt. */
export function afterSignal(health: Health, told: Told, nowMs: number): Health {
  const { signal, visitorHash, traits, failedBefore, probe } = told
  const { breaker } = health
  if (signal === 'up') return { ...healthy, paused: health.paused, saidYes: true }
  // That Target is down is said by first tries: what failed before may be what makes it fail.
  if (signal === 'down' && failedBefore && !probe) return health
  const next = withEvidence(health, signal, visitorHash, traits)
  const evidence = evidenceOf(next, signal)
  if (breaker === undefined) return evidence.opens ? { ...next, breaker: opened(evidence, nowMs) } : next
  if (probe) {
    // Target answers, and only some are refused: a verdict on this one.
    if (signal === 'refused' && breaker.cause !== 'systemic' && !evidence.opens) return withoutBreaker(next)
    const probes = breaker.probes + 1
    const cause = signal !== 'down' && evidence.opens ? evidence.cause : breaker.cause
    return {
      ...next,
      breaker: {
        ...breaker,
        cause,
        untilMs: nowMs + waitMs(cause, probes),
        probes,
        traits: shared(breaker.traits, traits),
      },
    }
  }
  // What failed in the same way beside the breaker widens it; so does evidence of another kind that it does not cover.
  if (evidence.cause === breaker.cause || (evidence.opens && !hasAll(evidence.traits, breaker.traits)))
    return {
      ...next,
      breaker: {
        ...breaker,
        traits: shared(breaker.traits, evidence.cause === breaker.cause ? traits : evidence.traits),
      },
    }
  return next
}

/** The health once an operator has said that calls may go again. What Target ever said to this relay stays known. */
export function closedByOperator({ paused, saidYes }: Health): Health {
  return { ...healthy, paused, saidYes }
}

/** What an attempt is about. */
export function traitsOf(visitorHash: string, sources: readonly string[], names: readonly string[]): Traits {
  return [`v:${visitorHash}`, ...sources.map((source) => `s:${source}`), ...names.map((name) => `a:${name}`)]
}

function withEvidence(health: Health, signal: Exclude<Signal, 'up'>, visitorHash: string, traits: Traits): Health {
  switch (signal) {
    case 'down':
      return {
        ...health,
        failures: health.failures + 1,
        failedTraits: common(health.failures > 0, health.failedTraits, traits),
      }
    case 'wrong':
      return {
        ...health,
        failures: 0,
        failedTraits: [],
        denied: withOne(health.denied, visitorHash, deniedThatOpen),
        deniedTraits: common(health.denied.length > 0, health.deniedTraits, traits),
      }
    case 'refused':
      return {
        ...health,
        failures: 0,
        failedTraits: [],
        refusals: health.refusals + 1,
        refused: withOne(health.refused, visitorHash, visitorsThatOpen),
        refusedTraits: common(health.refusals > 0, health.refusedTraits, traits),
      }
  }
}

interface Evidence {
  readonly cause: BreakerCause
  readonly traits: Traits
  /** Whether it is enough to open the breaker. */
  readonly opens: boolean
}

function evidenceOf(health: Health, signal: Exclude<Signal, 'up'>): Evidence {
  switch (signal) {
    case 'down':
      return { cause: 'unavailable', traits: health.failedTraits, opens: health.failures >= failuresThatOpen }
    case 'wrong':
      return {
        cause: 'misconfigured',
        traits: health.deniedTraits,
        opens: health.denied.length >= (health.saidYes ? deniedThatOpen : 1),
      }
    case 'refused': {
      const opens =
        !health.saidYes || (health.refusals >= refusalsThatOpen && health.refused.length >= visitorsThatOpen)
      return { cause: 'systemic', traits: health.refusedTraits, opens }
    }
  }
}

function opened({ cause, traits }: Evidence, nowMs: number): Breaker {
  return { cause, sinceMs: nowMs, untilMs: nowMs + waitMs(cause, 0), probes: 0, traits }
}

/** A Target that is down recovers by itself; a wrong token does not, so it is probed rarely. */
function waitMs(cause: BreakerCause, probes: number): number {
  return cause === 'unavailable' ? Math.min(lastProbeMs, firstProbeMs * 2 ** Math.min(probes, 10)) : lastProbeMs
}

function withoutBreaker({ breaker: _closed, ...rest }: Health): Health {
  return { ...rest, denied: [], deniedTraits: [] }
}

function withOne(known: readonly string[], one: string, most: number): readonly string[] {
  return known.length >= most || known.includes(one) ? known : [...known, one]
}

function common(any: boolean, known: Traits, traits: Traits): Traits {
  return any ? shared(known, traits) : traits
}

function shared(some: Traits, others: Traits): Traits {
  const known = new Set(others)
  return some.filter((trait) => known.has(trait))
}

function hasAll(traits: Traits, wanted: Traits): boolean {
  const known = new Set(traits)
  return wanted.every((trait) => known.has(trait))
}
