/** Where to look next for the highest rate that is held. Pure. */

export interface Step {
  readonly rate: number
  readonly held: boolean
}

export interface Search {
  /** Events a second of the first step. */
  readonly from: number
  /** By which each step is higher than the last while all were held. */
  readonly factor: number
  /** The search ends once the lowest rate that was not held is at most this factor above the highest that was. */
  readonly precision: number
  readonly most: number
}

/** The rate of the next step; undefined once the search is over. */
export function nextRate(steps: readonly Step[], { from, factor, precision, most }: Search): number | undefined {
  const high = highestHeld(steps)
  const failed = steps.filter(({ held }) => !held).map(({ rate }) => rate)
  // Nothing held: down, but not for ever.
  if (high === undefined)
    return failed.length === 0 ? from : failed.length > 4 ? undefined : Math.min(...failed) / factor
  if (failed.length === 0) return high >= most ? undefined : Math.min(most, high * factor)
  const low = Math.min(...failed)
  return low / high <= precision ? undefined : Math.sqrt(low * high)
}

/** The highest rate that was held, below any that was not; undefined if there is none. */
export function highestHeld(steps: readonly Step[]): number | undefined {
  const failed = Math.min(...steps.filter(({ held }) => !held).map(({ rate }) => rate))
  const held = steps.filter((step) => step.held && step.rate < failed).map(({ rate }) => rate)
  return held.length === 0 ? undefined : Math.max(...held)
}
