/** The messages between the bench and its senders, and between it and Target. */
import type { SentEvent } from '../../load/senders.ts'

/** Senders that do not wait for answers: events arrive at random times, at a mean rate. */
export interface LoadOrder {
  readonly port: number
  /** Events a second. */
  readonly rate: number
  readonly ms: number
}

/** What was answered to the events of one order, once each was answered or given up. */
export interface LoadResult {
  readonly sent: number
  /** Answers by status; `0` where there was none in time, or the connection broke. */
  readonly statuses: Readonly<Record<number, number>>
  /** Answers of 503 that did not say when to come back. */
  readonly bare: number
  /** From the moment an event was due, so that a queue before the relay counts too. */
  readonly p50Ms: number
  readonly p99Ms: number
}

/** The events of all orders so far, by value; they are forgotten then. */
export type SentEvents = readonly (readonly [value: string, event: SentEvent])[]
