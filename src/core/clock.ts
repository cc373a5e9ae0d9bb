/** Time and randomness as ports, so that core has neither of its own. */

export interface Clock {
  /** Epoch milliseconds. */
  now(): number
  /** Milliseconds since some moment, by a monotonic clock; absent where a runtime has none. */
  elapsed?(): number
  /** A timer: `elapsed` resolves after `ms`, unless it was cancelled first (then it never does). */
  after(ms: number): { readonly elapsed: Promise<void>; cancel(): void }
}

export interface Random {
  /** `bytes` random bytes as lower-case hex. */
  hex(bytes: number): string
  /** Uniform in [0, 1). */
  fraction(): number
}
