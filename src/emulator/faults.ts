/** Faults that can be injected, by count or share of calls, for all calls or those of one visitor or attribute. */

export type FaultKind =
  /** Answers with `status`, `headers` and `body`, without applying the update. */
  | 'status'
  /** Answers 200 with `<success>false</success>` and `message`. */
  | 'refuse'
  /** Applies the update and answers 200 with `body`. */
  | 'body'
  /** Waits `delayMs`, then goes on as usual. */
  | 'delay'
  /** Never answers; `take` says whether it applies the update first. */
  | 'hang'
  /** Resets the connection without applying the update, or after applying it. */
  | 'reset-before'
  | 'reset-after'
  /** Only on a reused connection: applies the update and closes without an answer. */
  | 'close-kept-alive'
  /** Sabotage: answers success but does nothing; swaps the values of two visitors; applies the previous update again. */
  | 'drop'
  | 'swap'
  | 'repeat'

export interface Fault {
  readonly kind: FaultKind
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly message?: string
  readonly delayMs?: number
  readonly take?: boolean
  /** The number of calls it affects; without it, all. */
  readonly count?: number
  /** The share of calls it affects, 0..1, chosen by a seeded random; without it, all. */
  readonly share?: number
  readonly seed?: number
  /** Only calls of this visitor (`pc:…`, `3p:…`), or that carry this attribute. */
  readonly visitor?: string
  readonly attribute?: string
}

export class Faults {
  #armed: { fault: Fault; left: number; random: () => number }[] = []

  add(fault: Fault): void {
    this.#armed.push({ fault, left: fault.count ?? Number.POSITIVE_INFINITY, random: seeded(fault.seed ?? 1) })
  }

  clear(): void {
    this.#armed = []
  }

  /** The first fault that affects this call. */
  strike(call: { visitor?: string; names: ReadonlySet<string>; reusedConnection: boolean }): Fault | undefined {
    for (const armed of this.#armed) {
      const { fault } = armed
      if (armed.left <= 0) continue
      if (fault.visitor !== undefined && fault.visitor !== call.visitor) continue
      if (fault.attribute !== undefined && !call.names.has(fault.attribute)) continue
      if (fault.kind === 'close-kept-alive' && !call.reusedConnection) continue
      if (fault.share !== undefined && armed.random() >= fault.share) continue
      armed.left--
      return fault
    }
    return undefined
  }
}

function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 4_294_967_296
  }
}
