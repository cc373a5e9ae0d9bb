/**
 * Counts that wait for the next settle, since none is made for them alone: what was counted while the ledger was silent,
 * or between two tries of a flush.
 *
 * Guarantee: they cost no round trip; what a settle that failed had taken along waits again. Every source that is not
 * configured counts as one, so that nobody can make figures grow.
 * Known hole: they are in memory. A process that ends before its next settle loses them; a settle that was given up
 * and took effect all the same counts them twice.
 */
import type { Counters, Ledger } from './port.ts'
import { added, otherSource } from './rules/figures.ts'

/** Plain data, which may outlive a request. */
export interface UntoldMemory {
  untold: Counters
}

export const newUntoldMemory = (): UntoldMemory => ({ untold: {} })

export interface Untold {
  /** Counts under names that `figure` makes. */
  add(counts: Counters): void
  /** Whether anything waits. */
  any(): boolean
}

/** @param sources the names that have figures of their own; default: all */
export function withUntold<Part extends Pick<Ledger, 'settle'>>(
  ledger: Part,
  memory: UntoldMemory,
  sources?: ReadonlySet<string>,
): { readonly ledger: Part; readonly untold: Untold } {
  const bounded = (counts: Counters): Counters =>
    added(...Object.entries(counts).map(([key, count]) => Object.fromEntries([[keyOf(key), count]])))
  const keyOf = (key: string): string => {
    const [source = '', ...rest] = key.split('/')
    return sources === undefined || sources.has(source) ? key : [otherSource, ...rest].join('/')
  }
  return {
    untold: {
      add(counts) {
        memory.untold = added(memory.untold, counts)
      },
      any: () => Object.keys(memory.untold).length > 0,
    },
    ledger: {
      ...ledger,
      async settle(settlements, counts = {}, leads = {}) {
        const along = memory.untold
        memory.untold = {}
        try {
          await ledger.settle(settlements, bounded(added(along, counts)), leads)
        } catch (error) {
          memory.untold = added(memory.untold, along)
          throw error
        }
      },
    },
  }
}
