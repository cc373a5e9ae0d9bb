/** What a fuzz draws: from a seed and the number of the run, so that any run can be had again alone. */
import { seededRandom } from '../support/clock.ts'

export interface Draw {
  /** From 0 up to it. */
  int(below: number): number
  pick<T>(list: readonly T[]): T
  chance(share: number): boolean
}

export function drawOf(seed: number, run: number): Draw {
  const { fraction } = seededRandom(Math.imul(seed, 0x9e3779b1) + Math.imul(run, 0x85ebca6b))
  const int = (below: number) => Math.floor(fraction() * below)
  return { int, pick: (list) => list[int(list.length)] as never, chance: (share) => fraction() < share }
}
