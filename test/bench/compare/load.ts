/** The messages between the benchmark and its senders. */

export interface LoadOrder {
  readonly port: number
  readonly senders: number
  readonly ms: number
  /** A part of each update's id, so that none is known already. */
  readonly name: string
}

export interface LoadResult {
  readonly updates: number
  /** Answers other than 200. */
  readonly refused: number
  readonly tookMs: number
  readonly p50Ms: number
  readonly p99Ms: number
}
