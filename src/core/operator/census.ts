/**
 * The census as the ledger keeps it between runs, and what operators read of it. What waits in a KV can only be counted
 * by listing it: part by part, each with the time of its count, so that a figure says its age.
 */
import type { Counts, Tally } from '../backlog/port.ts'
import { sumOf, type TallySoFar } from '../backlog/tally.ts'
import { given } from '../given.ts'
import type { WireMethod } from '../wire/calls.ts'

/** The part of the backlog whose visitor hashes begin with `prefix`. All parts together are the whole ring. */
export interface CensusPart {
  readonly prefix: string
  /** Absent until it was counted. */
  readonly counted?: { readonly atMs: number; readonly tally: Tally }
  /** A count that goes on from `cursor`; `atMs` is when it began. */
  readonly soFar?: { readonly atMs: number; readonly tally: TallySoFar; readonly cursor: string }
}

export interface DeadCensus {
  readonly atMs: number
  readonly byReason: Counts
  readonly bySource: Counts
}

export interface Census {
  readonly parts: readonly CensusPart[]
  readonly dead?: DeadCensus
  /** A count of dead letters that goes on from `cursor`; `atMs` is when it began. */
  readonly deadSoFar?: DeadCensus & { readonly cursor: string }
}

export const censusMemo = 'census'
const memoVersion = 1

export function writeCensus(census: Census): string {
  return JSON.stringify({ v: memoVersion, ...census })
}

/** What another version wrote, or nothing, is a census that has not begun: a figure, not a promise. */
export function readCensus(text: string | undefined): Census {
  try {
    const { v, ...census } = JSON.parse(text ?? '{}') as Census & { v?: unknown }
    if (v === memoVersion) return census
  } catch {
    // As above.
  }
  return { parts: [] }
}

/** What waits, as operators are shown it. */
export interface BacklogFigures {
  readonly waiting: number
  readonly visitors: number
  /** Calls at most once it is merged; exactly as many where `callsExact`. */
  readonly calls: number
  readonly callsExact: boolean
  readonly oldestMs?: number
  readonly bySource: Counts
  readonly byReason: Counts
  /** Of its oldest part, epoch ms; absent where nothing was counted yet. */
  readonly countedAtMs?: number
  /** Whether every part of the backlog was counted. */
  readonly complete: boolean
  /** Units of the quota that the calls take at most. */
  readonly units: number
}

/** @param emptyAtMs when the last run found nothing at all, epoch ms: that is a count, and newer than any other */
export function figuresOf({ parts }: Census, method: WireMethod, emptyAtMs?: number): BacklogFigures {
  const counted = parts.flatMap((part) => part.counted ?? [])
  if (emptyAtMs !== undefined) return figuresOfTally(sumOf([]), method, emptyAtMs, true)
  const atMs = counted.length === 0 ? undefined : Math.min(...counted.map((one) => one.atMs))
  return figuresOfTally(
    sumOf(counted.map(({ tally }) => tally)),
    method,
    atMs,
    counted.length === parts.length && counted.length > 0,
  )
}

export function figuresOfTally(
  { posts, gets, small, ...tally }: Tally,
  method: WireMethod,
  countedAtMs: number | undefined,
  complete: boolean,
): BacklogFigures {
  const calls = method === 'get' ? gets : posts
  return {
    ...tally,
    calls,
    // Each visitor takes a call at least.
    callsExact: calls === tally.visitors,
    ...given({ countedAtMs }),
    complete,
    // A GET takes two; with `auto` who fits one GET gets one.
    units: { post: posts, get: 2 * gets, auto: posts + small }[method],
  }
}
