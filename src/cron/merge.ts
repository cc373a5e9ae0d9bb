/** Many updates of one visitor become one: per attribute the newest. This is how a flush saves calls. */
import type { Attribute, Stamp, StampedAttribute } from '../core/update/update.ts'

export interface Mergeable {
  readonly stamp: Stamp
  readonly attributes: readonly Attribute[]
}

/**
 * Folds updates of one visitor, per attribute the newest stamp. The losers are not forgotten: the caller still holds
 * `updates`, and a loser may only leave with a winner that was delivered.
 *
 * @returns the winners, in the order of their stamps and then of their update's attributes
 */
export function mergeNewest(updates: readonly Mergeable[]): readonly StampedAttribute[] {
  const newest = new Map<string, StampedAttribute>()
  for (const { stamp, attributes } of updates)
    for (const { name, value } of attributes) {
      const held = newest.get(name)
      if (held === undefined || stamp > held.stamp) newest.set(name, { name, value, stamp })
    }
  return [...newest.values()].sort((a, b) => Number(a.stamp > b.stamp) - Number(a.stamp < b.stamp))
}
