/** What the scripts answer about the ledger, as the port has it. */
import type { Admission, Summary } from '../port.ts'
import { added, addedLines, type Counters, type Lines } from '../rules/figures.ts'
import type { BreakerCause, Health } from '../rules/health.ts'

/** Lua knows no empty list: it comes as an empty object. */
export type Maybe<T> = readonly T[] | Record<string, never>

export function listOf<T>(list: Maybe<T>): readonly T[] {
  return Array.isArray(list) ? list : []
}

/** Of memos: false where there is none. */
export function textsOf(texts: Maybe<string | false>): readonly (string | undefined)[] {
  return listOf(texts).map((text) => (text === false ? undefined : text))
}

export interface KeptSummary {
  total: number
  health: KeptHealth
  lost: number
  leads: Maybe<[string, number]>
  jumpedBy?: number
}

export interface KeptUsage extends KeptSummary {
  buckets: Maybe<[number, number]>
  totals: Maybe<[string, Counters]>
  counters: Maybe<[string, number]>
  freeAt?: number
}

interface KeptHealth {
  paused: boolean
  failures: number
  failedTraits: Maybe<string>
  refusals: number
  refused: Maybe<string>
  refusedTraits: Maybe<string>
  denied: Maybe<string>
  deniedTraits: Maybe<string>
  saidYes: boolean
  breaker?: { cause: BreakerCause; since: number; untilMs: number; probes: number; traits: Maybe<string> }
}

/** What an older version counted is under the line ``. */
export function totalsOf({ totals, counters }: Pick<KeptUsage, 'totals' | 'counters'>): {
  readonly totals: Lines
  readonly counters: Counters
} {
  const older: Lines = listOf(counters).length === 0 ? {} : { '': Object.fromEntries(listOf(counters)) }
  const all = addedLines(Object.fromEntries(listOf(totals)), older)
  return { totals: all, counters: added(...Object.values(all)) }
}

/** @param limit `quotaLimit` */
export function summaryOf({ total, health, lost, leads, jumpedBy }: KeptSummary, limit: number): Summary {
  return {
    limit,
    used: total,
    remaining: Math.max(0, limit - total),
    health: readHealth(health),
    ...(lost === 0 ? {} : { lostAtMs: lost }),
    ...(jumpedBy === undefined ? {} : { clock: { jumpedByMs: jumpedBy } }),
    leads: Object.fromEntries(listOf(leads)),
  }
}

function readHealth({ breaker, ...kept }: KeptHealth): Health {
  return {
    paused: kept.paused,
    failures: kept.failures,
    failedTraits: listOf(kept.failedTraits),
    refusals: kept.refusals,
    refused: listOf(kept.refused),
    refusedTraits: listOf(kept.refusedTraits),
    denied: listOf(kept.denied),
    deniedTraits: listOf(kept.deniedTraits),
    saidYes: kept.saidYes,
    ...(breaker === undefined
      ? {}
      : {
          breaker: {
            cause: breaker.cause,
            sinceMs: breaker.since,
            untilMs: breaker.untilMs,
            probes: breaker.probes,
            traits: listOf(breaker.traits),
          },
        }),
  }
}

export type KeptAdmission = Admission & { readonly shutTraits?: Maybe<string> }

export function readAdmission({ shutTraits, ...admission }: KeptAdmission): Admission {
  return { ...admission, ...(shutTraits === undefined ? {} : { shutTraits: listOf(shutTraits) }) }
}
