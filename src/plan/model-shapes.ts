/** What a model of a relay is given, and what it counts. */

export interface ModelSettings {
  readonly retentionMs: number
  /** How long a call is in flight: from its admission to its settle. */
  readonly callMs: number
  /** Whether an attribute whose value is the one last delivered makes no call. */
  readonly skipUnchanged: boolean
  readonly run: RunSettings
}

/** What one run of the flush may do. */
export interface RunSettings {
  readonly maxMs: number
  readonly maxCalls: number
  readonly maxOperations: number
  /** Time of a run that a call takes, and an entry that is deleted. */
  readonly msPerCall: number
  readonly msPerEntry: number
  /** Entries that are read before any is worked on, the oldest first. */
  readonly entriesTogether: number
}

/** What happened, counted. */
export interface Totals {
  updates: number
  /** Updates that went to Target at once, whole or in part; and that were deferred, alike. */
  live: number
  deferred: number
  /** Of the deferred: those that another call was in flight for. */
  contended: number
  /** Updates with nothing in them that had changed. */
  unchanged: number
  /** Visitors that a run sent, and their entries. */
  replayed: number
  entriesReplayed: number
  /** Entries that left without a call, since newer values had been delivered. */
  superseded: number
  /** Entries that got too old, and are dead letters. */
  expired: number
  /** Runs that found something, and lists of 1,000 keys. */
  busyRuns: number
  lists: number
}
