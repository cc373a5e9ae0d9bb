/** Failures of the relay's surroundings: network, KV, ledger, Target. All are drawn from one seeded randomness. */
import type { Random } from '../../src/core/clock.ts'

/** The chance of each failure, 0..1, drawn for each run, so that some runs are gentle and some are rough. */
export interface Weather {
  /** Nothing dies and only the quota refuses; senders still repeat and reorder. */
  readonly gentle: boolean
  readonly death: number
  readonly ledgerSlow: number
  readonly ledgerLost: number
  readonly kvSlow: number
  readonly kvFail: number
  readonly kvStaleMs: number
  readonly target: {
    readonly fail: number
    readonly throttle: number
    readonly hang: number
    readonly reset: number
    readonly late: number
    readonly disbelieve: number
  }
}

export function weatherOf(random: Random): Weather {
  const gentle = random.fraction() < 0.15
  const some = (most: number) => (gentle || random.fraction() < 0.4 ? 0 : random.fraction() * most)
  return {
    gentle,
    death: some(0.02),
    ledgerSlow: some(0.05),
    ledgerLost: some(0.04),
    kvSlow: some(0.05),
    kvFail: some(0.08),
    kvStaleMs: random.fraction() < 0.4 ? 0 : random.fraction() * 60_000,
    target: {
      fail: some(0.15),
      throttle: some(0.1),
      hang: some(0.06),
      reset: some(0.08),
      late: some(0.06),
      disbelieve: some(0.05),
    },
  }
}

/** Spans of virtual time in which something is completely down. */
export interface Outages {
  readonly ledger: readonly Span[]
  readonly kv: readonly Span[]
  readonly target: readonly (Span & { readonly how: 'down' | 'wrong' | 'systemic' })[]
  readonly paused: readonly Span[]
}
export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

export function outagesOf(random: Random, startMs: number, lengthMs: number, gentle: boolean): Outages {
  const span = (): Span => {
    const fromMs = startMs + random.fraction() * lengthMs
    return { fromMs, toMs: fromMs + random.fraction() * Math.min(lengthMs / 2, 120_000) }
  }
  const perhaps = <T>(chance: number, one: () => T): readonly T[] =>
    !gentle && random.fraction() < chance ? [one()] : []
  const how = () => (['down', 'down', 'wrong', 'systemic'] as const)[Math.floor(random.fraction() * 4)] ?? 'down'
  return {
    ledger: perhaps(0.25, span),
    kv: perhaps(0.15, span),
    target: perhaps(0.35, () => ({ ...span(), how: how() })),
    paused: perhaps(0.1, span),
  }
}

export const within = (spans: readonly Span[], nowMs: number): boolean =>
  spans.some(({ fromMs, toMs }) => nowMs >= fromMs && nowMs < toMs)
