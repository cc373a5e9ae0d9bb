/**
 * The bounds that are not settings, in one place (docs/bounds.md says what happens at each and which test holds it).
 *
 * Code that works within a bound takes it as a parameter whose default is here, so that tests and the simulator can use
 * small ones: what happens at a bound is then tested all the time, and not first in production.
 */
export interface Limits {
  /** Attributes in one attempt at the door. An update of more travels as several. */
  readonly attributesPerAttempt: number
  /** Attempts that one admission decides on: what a run's connections can start well within START. */
  readonly attemptsTogether: number
  /** Connections of one run. Workers: 6 that wait for an answer, KV's among them. */
  readonly connections: number
  /** Chunks of a run that are under way beside each other: one is admitted, one has its calls, one is cleaned up. */
  readonly chunksAtOnce: number
  /** Attributes of all the attempts in one admission, so that one step of the ledger stays short. */
  readonly attributesTogether: number
  /** Registers in one row or hash of a visitor. A visitor with more has several of them. */
  readonly registersPerPage: number
  /** Registers in one part of a ledger's state that is exported, and in one step that imports it. */
  readonly registersPerPart: number
  /** Attributes of one visitor that the ledger lists at most. */
  readonly attributesListed: number
  /** Denials of one visitor in a row, and how long they must go on, until one more is a verdict. */
  readonly denialsThatJudge: number
  readonly denialsLastMs: number
  /** Keys in one list page of the backlog. KV: 1,000 at most. */
  readonly keysPerPage: number
  /** Entries of several pages that a run reads before it works on them, the oldest first. */
  readonly entriesTogether: number
  /** Bytes of values that one page of the backlog, or a run, holds in memory. A Worker has 128 MB. */
  readonly bytesPerPage: number
  /** Keys in one bulk read of KV, which counts as one operation. KV: 100 at most. */
  readonly keysPerRead: number
  /** Bytes in one bulk read of KV. KV refuses more than 25 MB. */
  readonly bytesPerRead: number
  /** The assumed size of a value of KV whose size was not recorded, until some were read. */
  readonly bytesOfUnknown: number
  /** Unreadable values after which a page of the backlog ends, so that its reader can check its budget. */
  readonly unreadablePerPage: number
  /** Pages of dead letters that one run counts. */
  readonly deadPagesPerRun: number
  /** Operations and time that the duties of a run have at least, beside its flush. KV: 1,000 operations a run. */
  readonly dutyOperations: number
  readonly dutyMs: number
  /** Keys of letters in one text of a plan. */
  readonly keysPerPlanPage: number
  /** Letters that a plan's run reads and moves before it keeps its place. KV: 100 at most. */
  readonly lettersPerStep: number
  /** How long an operator's request works through the backlog before it answers that there is more. */
  readonly requestMs: number
  /** Acts of operators that the ledger keeps. */
  readonly actsKept: number
  /** Times of waiting values in one answer about a visitor. */
  readonly timesPerAnswer: number
  /** Bytes of bodies that a process reads at once from senders that have not authenticated yet. */
  readonly bytesUnauthenticated: number
  /** Requests of senders that a process or an isolate handles at once. */
  readonly requestsAtOnce: number
  /**
   * Nesting of JSON, from anybody: deeper than any event, and shallow enough for every recursive function that reads
   * it.
   */
  readonly jsonDepth: number
}

export const defaultLimits: Limits = {
  attributesPerAttempt: 200,
  attemptsTogether: 16,
  connections: 6,
  chunksAtOnce: 3,
  attributesTogether: 1_000,
  registersPerPage: 256,
  registersPerPart: 1_000,
  attributesListed: 10_000,
  denialsThatJudge: 8,
  denialsLastMs: 3_600_000,
  keysPerPage: 1_000,
  entriesTogether: 10_000,
  bytesPerPage: 16_000_000,
  keysPerRead: 100,
  bytesPerRead: 16_000_000,
  bytesOfUnknown: 1_000_000,
  unreadablePerPage: 3,
  deadPagesPerRun: 20,
  dutyOperations: 90,
  dutyMs: 10_000,
  keysPerPlanPage: 5_000,
  lettersPerStep: 25,
  requestMs: 20_000,
  actsKept: 1_000,
  timesPerAnswer: 10_000,
  bytesUnauthenticated: 64_000_000,
  requestsAtOnce: 256,
  jsonDepth: 32,
}
