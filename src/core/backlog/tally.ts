/**
 * What waits, counted from the heads of entries: how many, of how many visitors, and how many calls that is once it is
 * merged.
 *
 * Guarantee: never fewer calls than the merge makes, and exactly as many where what waits of each visitor fits one
 * call, whatever of it a newer value makes needless. Rules on plain data; `sqlite-counts.ts` says the same in SQL.
 */
import { given } from '../given.ts'
import { defaultLimits } from '../limits.ts'
import { maxPostBodyBytes } from '../wire/calls.ts'
import type { Counts, EntryHead, Tally } from './port.ts'

/** What was written by an older version says neither source nor reason. */
export const unknownName = 'unknown'
/** What is sure to fit one call (`fits`), and what each of several has room for beside the longest id (`room`). */
export const postBytes = { fits: maxPostBodyBytes, room: 50_000 }
/** Beside an address of up to 200 bytes. */
export const getBytes = { fits: 7_800, room: 4_000 }
export const attributesACall = defaultLimits.attributesPerAttempt
/** Percent-encoding makes three bytes of one; what else stands in an entry is longer than what a call has around it. */
export const encodedBytesAByte = 3

/** @returns calls at most for one visitor, of whom so much waits */
export function callsAtMost(bytes: number, attributes: number, { fits, room }: typeof postBytes): number {
  const more = Math.max(0, Math.ceil(attributes / attributesACall) - 1)
  // Any two calls in a row carry together more than one has room for.
  return (bytes <= fits ? 1 : 1 + Math.floor((2 * bytes) / room)) + more
}

/** A count that is not at its end, as plain data. */
export interface TallySoFar extends Tally {
  /** Whose entries came last; counted in `waiting`, and in nothing else before theirs are at an end. */
  readonly visitor: { readonly hash: string; readonly bytes: number; readonly attributes: number }
}

const nobody = { hash: '', bytes: 0, attributes: 0 }
const nothing = { waiting: 0, visitors: 0, posts: 0, gets: 0, small: 0, bySource: {}, byReason: {}, visitor: nobody }

/**
 * Counts heads that are given in the order of their keys, so that the entries of one visitor are neighbours.
 *
 * @param before to go on with
 */
export function createTally({ bySource, byReason, visitor: last, ...before }: TallySoFar = nothing) {
  const tally = { ...before, bySource: { ...bySource }, byReason: { ...byReason } }
  let oldestMs = before.oldestMs
  let visitor = last

  const close = () => {
    if (visitor.hash === '') return
    const { bytes, attributes } = visitor
    const gets = callsAtMost(bytes, attributes, getBytes)
    tally.visitors++
    tally.posts += callsAtMost(bytes, attributes, postBytes)
    tally.gets += gets
    if (gets === 1) tally.small++
    visitor = nobody
  }
  return {
    add({ visitorHash, bytes, attributes, firstSeenMs, source, reason }: EntryHead): void {
      if (visitor.hash !== visitorHash) close()
      visitor = { hash: visitorHash, bytes: visitor.bytes + bytes, attributes: visitor.attributes + attributes }
      tally.waiting++
      oldestMs = Math.min(oldestMs ?? firstSeenMs, firstSeenMs)
      countOne(tally.bySource, source)
      countOne(tally.byReason, reason)
    },
    soFar: (): TallySoFar => ({ ...tally, ...given({ oldestMs }), visitor }),
    /** Ends the count. */
    done(): Tally {
      close()
      return { ...tally, ...given({ oldestMs }) }
    },
  }
}

/** The count of several parts of the backlog that no visitor has entries in two of. */
export function sumOf(tallies: readonly Tally[]): Tally {
  const sum = (of: (tally: Tally) => number) => tallies.reduce((all, one) => all + of(one), 0)
  const oldest = tallies.flatMap(({ oldestMs }) => oldestMs ?? [])
  return {
    waiting: sum(({ waiting }) => waiting),
    visitors: sum(({ visitors }) => visitors),
    posts: sum(({ posts }) => posts),
    gets: sum(({ gets }) => gets),
    small: sum(({ small }) => small),
    ...given({ oldestMs: oldest.length === 0 ? undefined : Math.min(...oldest) }),
    bySource: sumCounts(tallies.map(({ bySource }) => bySource)),
    byReason: sumCounts(tallies.map(({ byReason }) => byReason)),
  }
}

export function sumCounts(all: readonly Counts[]): Counts {
  const sums: Record<string, number> = {}
  for (const counts of all) for (const [name, count] of Object.entries(counts)) countOne(sums, name, count)
  return sums
}

export function countOne(counts: Record<string, number>, name: string = unknownName, count = 1): void {
  counts[name] = (counts[name] ?? 0) + count
}
