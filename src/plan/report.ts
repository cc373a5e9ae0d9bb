/** What a plan says: from what ran, its verdict and its figures. */
import { type Bill, billsOf } from './bill.ts'
import type { Compared, Hour, Ran } from './engine.ts'
import type { Prices } from './prices.ts'

export interface Report {
  readonly fits: boolean
  /** Why it does not fit, or what it would do. */
  readonly reasons: readonly Reason[]
  readonly days: number
  readonly updates: number
  readonly quota: {
    readonly limit: number
    readonly windowMs: number
    readonly mostUsed: number
    /** The most updates in one window: what a call for each of them would take. */
    readonly mostDemanded: number
  }
  readonly outcome: Outcome
  readonly waiting: { readonly mostEntries: number; readonly mostVisitors: number; readonly atEnd: number }
  /** The same traffic run otherwise, and as set, over its first days. */
  readonly compared: { readonly days: number; readonly ways: readonly Compared[] }
  readonly bulk: Bulk
  readonly bills: readonly Bill[]
  readonly hours: readonly Hour[]
  /** What was assumed, or could not be known. */
  readonly notes: readonly string[]
}

export type Reason =
  | { readonly kind: 'late'; readonly longestMs: number; readonly withinMs: number }
  | { readonly kind: 'expired'; readonly updates: number }
  | { readonly kind: 'left'; readonly entries: number }

/** Shares of one: `sentAtOnce` of the updates. Delays are those of profiles that were behind. */
export interface Outcome {
  readonly calls: number
  readonly liveCalls: number
  readonly replayCalls: number
  readonly sentAtOnce: number
  readonly deferred: number
  readonly unchanged: number
  readonly expired: number
  /** Calls that a call for each update would have taken more, for merging and for newer values that overtook. */
  readonly savedByMerging: number
  readonly savedBySkipping: number
  readonly profilesBehind: number
  readonly delayMs: { readonly half: number; readonly p95: number; readonly p99: number; readonly longest: number }
}

/** What Adobe's bulk API would carry, if what waits for long went there: an estimate. */
export interface Bulk {
  readonly afterMs: number
  readonly rows: number
  readonly files: number
}

export interface ReportParts {
  readonly ran: Ran
  readonly compared: Report['compared']
  readonly days: number
  readonly withinMs: number
  readonly prices: Prices
  readonly bytesARow: number
  readonly notes: readonly string[]
}

const hourMs = 3_600_000
/** Adobe's bulk API, version 1: rows and bytes of a file. */
const bulkFile = { rows: 500_000, bytes: 50_000_000 } as const

export function reportOf(parts: ReportParts): Report {
  const { ran, days, withinMs, prices } = parts
  const { model, way, hours } = ran
  const { totals, delays } = model
  const reasons: Reason[] = []
  if (delays.longestMs > withinMs) reasons.push({ kind: 'late', longestMs: delays.longestMs, withinMs })
  if (totals.expired > 0) reasons.push({ kind: 'expired', updates: totals.expired })
  if (model.entriesWaiting > 0) reasons.push({ kind: 'left', entries: model.entriesWaiting })
  return {
    fits: reasons.length === 0,
    reasons,
    days,
    updates: totals.updates,
    quota: {
      limit: way.quota.quotaLimit,
      windowMs: way.quota.quotaWindowMs,
      mostUsed: ran.mostUsed,
      mostDemanded: ran.mostDemanded,
    },
    outcome: outcomeOf(ran),
    waiting: {
      mostEntries: most(hours, ({ entriesWaiting }) => entriesWaiting),
      mostVisitors: most(hours, ({ visitorsWaiting }) => visitorsWaiting),
      atEnd: model.entriesWaiting,
    },
    compared: parts.compared,
    bulk: bulkOf(ran, parts.bytesARow),
    bills: billsOf(
      {
        ...{ days, updates: totals.updates, deferred: totals.deferred, unchanged: totals.unchanged },
        replayed: totals.replayed,
        entriesLeft: totals.entriesReplayed + totals.superseded + totals.expired,
        ...{ busyRuns: totals.busyRuns, lists: totals.lists },
      },
      prices,
    ),
    hours,
    notes: parts.notes,
  }
}

function outcomeOf({ model, liveCalls, replayCalls }: Ran): Outcome {
  const { totals, delays } = model
  const calls = liveCalls + replayCalls
  return {
    ...{ calls, liveCalls, replayCalls },
    sentAtOnce: totals.updates === 0 ? 1 : (totals.updates - totals.deferred) / totals.updates,
    ...{ deferred: totals.deferred, unchanged: totals.unchanged, expired: totals.expired },
    savedByMerging: Math.max(0, totals.updates - totals.unchanged - totals.expired - model.entriesWaiting - calls),
    savedBySkipping: totals.unchanged,
    profilesBehind: delays.count,
    delayMs: {
      half: delays.quantileMs(0.5),
      p95: delays.quantileMs(0.95),
      p99: delays.quantileMs(0.99),
      longest: delays.longestMs,
    },
  }
}

function bulkOf({ model, hours }: Ran, bytesARow: number): Bulk {
  const rows = model.delays.longerThan(hourMs)
  const rowsAFile = Math.min(bulkFile.rows, Math.floor(bulkFile.bytes / bytesARow))
  const hoursLate = hours.filter(({ longestMs }) => longestMs > hourMs).length
  return { afterMs: hourMs, rows, files: rows === 0 ? 0 : Math.max(Math.ceil(rows / rowsAFile), hoursLate) }
}

function most(hours: readonly Hour[], of: (hour: Hour) => number): number {
  return hours.reduce((largest, hour) => Math.max(largest, of(hour)), 0)
}
