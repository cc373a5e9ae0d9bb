/** A fast generator for traffic that is made up: the same seed gives the same traffic. Not for secrets. */

/** Uniform in [0, 1), from 32 bits. */
export type Draw = () => number

const step = 0x6d2b79f5
const whole = 2 ** 32

/** Mulberry32. @param seed any whole number */
export function seededDraw(seed: number): Draw {
  let state = seed | 0
  return () => {
    state = (state + step) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / whole
  }
}

/**
 * Draws 0 .. count - 1 in constant time (Vose's alias method), with the weights of Zipf's law: the one of rank r, from 1,
 * has 1 / r^exponent; exponent 0 is uniform. Ranks are spread over the numbers, so that neighbours have nothing in common.
 */
export function zipfDraw(count: number, exponent: number, draw: Draw): () => number {
  if (exponent === 0) return () => Math.floor(draw() * count)
  const weights = new Float64Array(count)
  const step = spreadStep(count)
  let sum = 0
  for (let rank = 0, at = 0; rank < count; rank++, at = (at + step) % count) {
    weights[at] = (rank + 1) ** -exponent
    sum += weights[at] ?? 0
  }
  // Two numbers each: the share that is its own, of 2^32, and who has the rest.
  const table = new Uint32Array(2 * count)
  const small: number[] = []
  const large: number[] = []
  for (let at = 0; at < count; at++) {
    weights[at] = ((weights[at] ?? 0) * count) / sum
    table[2 * at] = whole - 1
    ;((weights[at] ?? 0) < 1 ? small : large).push(at)
  }
  while (small.length > 0 && large.length > 0) {
    const [less = 0, more = 0] = [small.pop(), large.pop()]
    table[2 * less] = (weights[less] ?? 0) * whole
    table[2 * less + 1] = more
    weights[more] = (weights[more] ?? 0) + (weights[less] ?? 0) - 1
    ;((weights[more] ?? 0) < 1 ? small : large).push(more)
  }
  return () => {
    const at = Math.floor(draw() * count)
    return draw() * whole < (table[2 * at] ?? 0) ? at : (table[2 * at + 1] ?? 0)
  }
}

/** Steps of this length visit each of 0 .. count - 1 once, and no neighbours after each other. */
function spreadStep(count: number): number {
  let step = Math.max(1, Math.floor(count * 0.618_034))
  while (divisor(step, count) !== 1) step++
  return step
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b)
}
