/**
 * Where in the backlog a run reads: everything where one page holds it, else the ring of visitor hashes, from where the
 * last run stopped, so that nobody at the end of the alphabet starves.
 *
 * Guarantee: the position moves on with every page that was read, also where a run ends inside of it, and never past a
 * visitor that was not read; only of one visitor with more than a page the rest waits for the next turn. So whoever
 * waits is read within as many runs as the backlog has pages.
 */

import { entryPrefix } from '../core/backlog/entry-format.ts'
import type { Backlog, KeptEntry, Unreadable } from '../core/backlog/port.ts'
import { given } from '../core/given.ts'
import { pagesOf } from '../core/pages.ts'
import { type Learnt, readLearnt, writeLearnt } from './learnt.ts'
import { firstDigit, hexDigits, holds, type Segment } from './segments.ts'

/** Kept between runs, in the ledger. */
export interface Place {
  /** Leading hex digits of a visitor hash, at most `maxDigits`; empty for the beginning. */
  readonly position: string
  /** Visitors that go last and alone: what the ledger was asked together with them it rejected. */
  readonly suspects: readonly string[]
  readonly learnt: Learnt
}

export const placeMemo = 'flush-place'

/** Where a run reads that shares the ring with others. */
export interface Part {
  readonly segment: Segment
  /** Where in it. */
  readonly position: string
}

/** 32 bits: two visitors share that many digits only in a backlog of billions. */
const maxDigits = 8
/** A memo stays short. */
const maxSuspects = 100

type Items = readonly (KeptEntry | Unreadable)[]
type Moved = (position: string) => void

/**
 * Reads pages; an empty one where there is nothing to do with what was read.
 *
 * @param position where to begin
 * @param limit keys in the next page
 * @param moved told where the next run is to begin, before a page is given
 * @param share asked where more than a page waits: the part to read in place of the whole ring, if others read the rest
 */
export async function* walkBacklog(
  backlog: Pick<Backlog, 'list'>,
  position: string,
  limit: () => number,
  moved: Moved,
  share: () => Promise<Part | undefined> = async () => undefined,
): AsyncGenerator<Items> {
  const first = await backlog.list({ limit: limit() })
  if (first.cursor === undefined) {
    yield first.items
    return
  }
  const part = await share()
  /** The first page of the first prefix, where that is the whole ring. */
  const known = position === '' && part === undefined ? first : undefined
  if (known === undefined) yield []
  if (part === undefined) yield* walkPrefixes(backlog, prefixesFrom(position), limit, moved, known)
  else yield* walkPart(backlog, part, limit, moved)
}

/** The pages of one part of the ring. */
export function walkPart(
  backlog: Pick<Backlog, 'list'>,
  { segment, position }: Part,
  limit: () => number,
  moved: Moved,
): AsyncGenerator<Items> {
  const from = holds(segment, position) ? position : firstDigit(segment)
  const prefixes = prefixesFrom(from).filter((prefix) => holds(segment, prefix))
  return walkPrefixes(backlog, prefixes, limit, moved)
}

async function* walkPrefixes(
  backlog: Pick<Backlog, 'list'>,
  prefixes: readonly string[],
  limit: () => number,
  moved: Moved,
  known?: Awaited<ReturnType<Backlog['list']>>,
): AsyncGenerator<Items> {
  for (const [index, prefix] of prefixes.entries()) {
    const ask = async (cursor: string | undefined) => {
      const page = known ?? (await backlog.list({ prefix, limit: limit(), ...given({ cursor }) }))
      known = undefined
      return page
    }
    for await (const { items, cursor } of pagesOf(ask)) {
      moved(cursor === undefined ? (prefixes[index + 1] ?? prefixes[0] ?? '') : behind(items, prefix))
      yield items
    }
  }
}

/**
 * The prefix, then all others once round the ring, as long as they may be: 'a7' .. 'af', 'b' .. 'f', '0' .. '9', 'a0'
 * .. 'a6'.
 */
export function prefixesFrom(position: string): readonly string[] {
  const before = [...position].flatMap((digit, at) =>
    [...hexDigits].filter((other) => other < digit).map((other) => position.slice(0, at) + other),
  )
  const after = [...position]
    .map((digit, at) => [...hexDigits].filter((other) => other > digit).map((other) => position.slice(0, at) + other))
    .reverse()
    .flat()
  return [position, ...after, ...before]
}

/**
 * The position after a page that is not the last of its prefix: that of its last visitor, in as few digits as
 * distinguish it from the first; where these share all digits, the next position. A page without items only shows that
 * the prefix holds too much: it is narrowed.
 */
function behind(items: readonly { readonly key: string }[], prefix: string): string {
  const [first, last] = [hashOf(items[0]), hashOf(items.at(-1))]
  if (first === undefined || last === undefined) return prefix.length < maxDigits ? `${prefix}0` : successor(prefix)
  let common = 0
  while (common < maxDigits && first[common] === last[common]) common++
  return common < maxDigits ? last.slice(0, common + 1) : successor(last)
}

/** The next position with natural carry: 'a7' before 'a8', 'af' before 'b', 'f' before the beginning. */
function successor(position: string): string {
  const [next] = prefixesFrom(position).slice(1)
  return next !== undefined && next > position ? next : ''
}

function hashOf(item: { readonly key: string } | undefined): string | undefined {
  const hash = item?.key.slice(entryPrefix.length, entryPrefix.length + maxDigits) ?? ''
  return /^[0-9a-f]{8}$/.test(hash) ? hash : undefined
}

/** Anything unreadable starts at the beginning: a place is fairness, not correctness. */
export function readPlace(text: string | undefined): Place {
  const match = /^([0-9a-f]{0,8});([0-9a-f,]*)(?:;(.*))?$/.exec(text ?? '')
  return {
    position: match?.[1] ?? '',
    suspects: (match?.[2] ?? '').split(',').filter((hash) => hash !== ''),
    learnt: readLearnt(match?.[3] ?? ''),
  }
}

export function writePlace({ position, suspects, learnt }: Place): string {
  return `${position};${suspects.slice(-maxSuspects).join(',')}${writeLearnt(learnt)}`
}
