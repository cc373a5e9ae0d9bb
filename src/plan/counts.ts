/**
 * What updates and runs cost in operations (docs/costs.md; `test/plan/counts.test.ts` ties these figures to that page,
 * whose own are counted by the tests that it names).
 */

/** Of one update that went to Target at once, and of one that was deferred: before its entry is replayed. */
export const anUpdate = {
  workerRequests: 1,
  upstash: { requests: 2, commands: 3 },
  object: { requests: 2, liveRows: 7, deferredRows: 5 },
} as const

/** Of one deferred update in its store: when it is put, and when it leaves. */
export const anEntry = {
  kv: { puts: 1, deletes: 1 },
  object: { requests: 2, rows: 2 },
} as const

/** Of up to 16 visitors that a run admits and settles together; rows are of each visitor. */
export const aChunk = {
  visitors: 16,
  upstash: { requests: 2, commands: 3 },
  object: { requests: 2, rowsAVisitor: 5 },
} as const

/** Of a run that finds nothing. */
export const anIdleRun = {
  kv: { lists: 1 },
  upstash: { requests: 6, commands: 6 },
  object: { requests: 2, rows: 1 },
} as const

/** One a minute. */
export const runsADay = 1_440

/** CPU of a Worker for one update, in ms (docs/benchmarks.md, on workerd, 8 senders): with Upstash, with the object. */
export const cpuMsAnUpdate = { upstash: 2, object: 3.1 } as const

/** Bytes of one line of Workers Logs with the platform's own fields: an estimate (docs/costs.md). */
export const bytesALogLine = 600
