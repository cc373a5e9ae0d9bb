/** Virtual time: all waiting happens here and nothing in parallel, so that the same seed gives the same run. */
import { settled } from './settled.ts'

interface Timer {
  readonly dueMs: number
  readonly serial: number
  readonly ring: () => void
  cancelled: boolean
}

export class VirtualTime {
  nowMs: number
  #timers: Timer[] = []
  #serial = 0

  constructor(startMs: number) {
    this.nowMs = startMs
  }

  at(dueMs: number, ring: () => void): () => void {
    const timer: Timer = { dueMs: Math.max(dueMs, this.nowMs), serial: this.#serial++, ring, cancelled: false }
    // Sorted by insertion: the queue is short.
    let index = this.#timers.length
    while (index > 0 && before(timer, this.#timers[index - 1])) index--
    this.#timers.splice(index, 0, timer)
    return () => {
      timer.cancelled = true
    }
  }

  after(ms: number): { readonly elapsed: Promise<void>; cancel(): void } {
    let cancel = () => {}
    const elapsed = new Promise<void>((resolve) => {
      cancel = this.at(this.nowMs + ms, resolve)
    })
    return { elapsed, cancel }
  }

  sleep(ms: number): Promise<void> {
    return this.after(ms).elapsed
  }

  /** Runs everything that is due until then. */
  async run(untilMs: number): Promise<void> {
    for (;;) {
      await settled()
      let next = this.#timers[0]
      while (next?.cancelled === true) {
        this.#timers.shift()
        next = this.#timers[0]
      }
      if (next === undefined || next.dueMs > untilMs) break
      this.#timers.shift()
      this.nowMs = next.dueMs
      next.ring()
    }
    this.nowMs = Math.max(this.nowMs, untilMs)
  }
}

function before(one: Timer, other: Timer | undefined): boolean {
  return other !== undefined && (one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.serial < other.serial))
}
