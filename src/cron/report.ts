/** What one flush did: its one report. */

export type StopReason =
  | 'drained'
  | 'time'
  | 'operations'
  /** `FLUSH_MAX_CALLS`. */
  | 'calls'
  /** The platform's own bound on requests to the outside. */
  | 'subrequests'
  | 'quota'
  | 'target_unavailable'
  | 'paused'
  | 'ledger_unavailable'
  | 'backlog_unavailable'
  /** The ledger is another account's. */
  | 'foreign_store'
  | 'leased'
  /** One of several runs died, or found its part of the ring taken. */
  | 'part_left'
  | 'stopping'

/** Where the ledger keeps it. */
export const lastRunMemo = 'flush-last-run'

/** The last run of the flush that ended, as the ledger remembers it; an older version may have written less. */
export interface LastRun {
  /** When it ended, epoch ms. */
  readonly atMs: number
  readonly report: Partial<FlushReport>
}

export interface FlushReport {
  /** Entries read from the backlog. */
  read: number
  /** Entries that travelled in another entry's call. */
  merged: number
  /** Entries that left because Target already had everything of them, or something newer. */
  superseded: number
  /** Entries that left delivered. */
  replayed: number
  /** Calls to Target. */
  calls: number
  /** Calls that merging made needless. */
  callsSaved: number
  /** Entries that stay, or went back, for a later run. */
  deferredAgain: number
  /** Dead letters written. */
  dead: number
  /** Keys that could not be read; left where they are. */
  unreadable: number
  /** Attempts that the ledger, though it answers, could not admit or settle even alone; their entries stay. */
  skipped: number
  /** Units left for replay when the run ended; absent where the ledger did not say. */
  quotaLeft?: number
  /** When the quota has room again, epoch ms, where it stopped the run. */
  retryAtMs?: number
  /** Operations on the store, and calls, after which the platform refused one more, in a run of the last day. */
  platformOperations?: number
  platformCalls?: number
  /** Runs that took part, where there were several. */
  runsTogether?: number
  durationMs: number
  stopped: StopReason
}

export function emptyReport(): FlushReport {
  return {
    read: 0,
    merged: 0,
    superseded: 0,
    replayed: 0,
    calls: 0,
    callsSaved: 0,
    deferredAgain: 0,
    dead: 0,
    unreadable: 0,
    skipped: 0,
    durationMs: 0,
    stopped: 'drained',
  }
}

export function writeLastRun(run: LastRun): string {
  return JSON.stringify(run)
}

/** Undefined where none is remembered, or nothing that can be read. */
export function readLastRun(text: string | undefined): LastRun | undefined {
  try {
    const run: unknown = JSON.parse(text ?? 'null')
    if (typeof run !== 'object' || run === null || !('atMs' in run) || typeof run.atMs !== 'number') return undefined
    const report = 'report' in run && typeof run.report === 'object' ? run.report : null
    return { atMs: run.atMs, report: report ?? {} }
  } catch {
    return undefined
  }
}
