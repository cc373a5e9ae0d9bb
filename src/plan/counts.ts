/**
 * What updates and runs cost in operations that are billed: rows of docs/costs.md, which the tests of the bill count
 * (`test/plan/counts.test.ts` compares them).
 */

export interface Operations {
  readonly commands: number
  readonly objectRequests: number
  readonly rowsWritten: number
  readonly kvWrites: number
  readonly kvDeletes: number
  readonly kvLists: number
}

export interface Counted {
  readonly live: Operations
  readonly superseded: Operations
  readonly deferred: Operations
  readonly replayOfOne: Operations
  readonly replayOfFiveMerged: Operations
  readonly replayOf16Visitors: Operations
  readonly idleRun: Operations
}

const none: Operations = { commands: 0, objectRequests: 0, rowsWritten: 0, kvWrites: 0, kvDeletes: 0, kvLists: 0 }
const upstashUpdate = { ...none, commands: 3 }
const upstashRun = { ...none, commands: 16, objectRequests: 3, rowsWritten: 2, kvLists: 1 }
const objectUpdate = { ...none, objectRequests: 2 }
const objectRun = { ...none, objectRequests: 13, rowsWritten: 12, kvLists: 1 }

/** By the heading of their table: ledger, and where deferred updates wait. */
export const counted = {
  'Upstash, Workers KV': {
    live: upstashUpdate,
    superseded: upstashUpdate,
    deferred: { ...upstashUpdate, kvWrites: 1 },
    replayOfOne: { ...upstashRun, kvDeletes: 1 },
    replayOfFiveMerged: { ...upstashRun, kvDeletes: 5 },
    replayOf16Visitors: { ...upstashRun, kvDeletes: 16 },
    idleRun: { ...none, commands: 4, objectRequests: 3, rowsWritten: 2, kvLists: 1 },
  },
  'Durable Object, Workers KV': {
    live: { ...objectUpdate, rowsWritten: 8 },
    superseded: { ...objectUpdate, rowsWritten: 5 },
    deferred: { ...objectUpdate, rowsWritten: 6, kvWrites: 1 },
    replayOfOne: { ...objectRun, kvDeletes: 1 },
    replayOfFiveMerged: { ...objectRun, kvDeletes: 5 },
    replayOf16Visitors: { ...objectRun, rowsWritten: 57, kvDeletes: 16 },
    idleRun: { ...none, objectRequests: 4, rowsWritten: 4, kvLists: 1 },
  },
  'Durable Object, `BACKLOG_STORE=object`': {
    live: { ...objectUpdate, rowsWritten: 8 },
    superseded: { ...objectUpdate, rowsWritten: 5 },
    deferred: { ...objectUpdate, objectRequests: 3, rowsWritten: 7 },
    replayOfOne: { ...none, objectRequests: 15, rowsWritten: 13 },
    replayOfFiveMerged: { ...none, objectRequests: 15, rowsWritten: 17 },
    replayOf16Visitors: { ...none, objectRequests: 21, rowsWritten: 73 },
    idleRun: { ...none, objectRequests: 5, rowsWritten: 4 },
  },
} as const satisfies Readonly<Record<string, Counted>>
export type Stores = keyof typeof counted

/** Visitors that a run admits and settles together. `aChunkMore` is what each chunk after the first costs the ledger. */
export const chunkVisitors = 16
export const aChunkMore = {
  upstash: { ...none, commands: 3 },
  object: { ...none, objectRequests: 2 },
} as const satisfies Readonly<Record<string, Operations>>

/** One a minute. */
export const runsADay = 1_440

/** CPU of a Worker for one update, in ms (docs/benchmarks.md, on workerd, 8 senders). */
export const cpuMsAnUpdate = { upstash: 2, object: 3.1 } as const
