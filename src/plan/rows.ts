/**
 * Rows of whole numbers below 2^32 that are 0 at first. What is looked at together lies together, and takes little room,
 * since a plan mostly waits for memory.
 */
export class Rows {
  readonly #shift: number
  #values: Uint32Array = new Uint32Array(0)

  /** @param width numbers in a row: a power of two, so that no row lies across two lines of a cache */
  constructor(width: 1 | 2 | 4 | 8) {
    this.#shift = Math.log2(width)
  }

  get(row: number, column = 0): number {
    return this.#values[(row << this.#shift) + column] ?? 0
  }

  set(row: number, column: number, value: number): void {
    const at = (row << this.#shift) + column
    if (at >= this.#values.length) this.#grow(at)
    this.#values[at] = value
  }

  add(row: number, column: number, more: number): number {
    const sum = this.get(row, column) + more
    this.set(row, column, sum)
    return sum
  }

  /** Rows that may hold something. */
  get count(): number {
    return this.#values.length >>> this.#shift
  }

  #grow(at: number): void {
    const larger = new Uint32Array(Math.max(8_192, (at | ((1 << this.#shift) - 1)) + 1, this.#values.length * 2))
    larger.set(this.#values)
    this.#values = larger
  }
}
