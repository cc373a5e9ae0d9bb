/** The fuzz's random choices, made from a seed and the run's number, so that each run can be repeated alone. */
import { seededRandom } from '../support/clock.ts'

export interface Draw {
  /** An integer from 0 to below the bound. */
  int(below: number): number
  pick<T>(list: readonly T[]): T
  chance(share: number): boolean
}

export function drawOf(seed: number, run: number): Draw {
  const { fraction } = seededRandom(Math.imul(seed, 0x9e3779b1) + Math.imul(run, 0x85ebca6b))
  const int = (below: number) => Math.floor(fraction() * below)
  return { int, pick: (list) => list[int(list.length)] as never, chance: (share) => fraction() < share }
}
