/** Counts calls by the emulator's own clock, and keeps the most in any rolling window. */
export class RollingCounter {
  readonly #windowMs: number
  readonly #times: number[] = []
  #oldest = 0
  #most = 0

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  /** Counts a call, and returns the number in the window that ends now. */
  add(nowMs: number): number {
    this.#times.push(nowMs)
    // A window of W holds what arrived in (now - W, now].
    while ((this.#times[this.#oldest] ?? nowMs) <= nowMs - this.#windowMs) this.#oldest++
    const held = this.#times.length - this.#oldest
    this.#most = Math.max(this.#most, held)
    return held
  }

  get total(): number {
    return this.#times.length
  }

  get mostInWindow(): number {
    return this.#most
  }
}
