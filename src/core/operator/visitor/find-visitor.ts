/**
 * Where one visitor's attributes are, what waits and what is dead, and what happened last. Names and times only; no value
 * leaves the backlog this way.
 *
 * Guarantee: an answer is bounded in time, operations and size, and says where it is not complete.
 * Known hole: if more waits than it may read, it knows only the oldest.
 */

import type { Backlog } from '../../backlog/port.ts'
import type { Clock } from '../../clock.ts'
import { given } from '../../given.ts'
import type { Ledger } from '../../ledger/port.ts'
import { defaultLimits, type Limits } from '../../limits.ts'
import { pagesOf } from '../../pages.ts'
import { isoTime } from '../../time.ts'
import type { Hasher } from '../../update/hash.ts'
import type { WaitReason } from '../../update/reasons.ts'
import { stampTimeMs } from '../../update/stamp.ts'
import type { Stamp, Visitor } from '../../update/update.ts'
import { createLetters, type ListedLetter } from '../dead/letters.ts'
import { type TimeLineItem, timeLineOf } from './history.ts'

export interface Whereabouts {
  readonly attributes: readonly {
    readonly name: string
    /** The time of the newest value that Target accepted, and of the newest whose fate is open, ISO 8601. */
    readonly deliveredAt?: string
    readonly openAt?: string
    /** The times of values that wait in the backlog, oldest first. */
    readonly waitingAt: readonly string[]
  }[]
  /** There are more attributes than are listed here. */
  readonly more?: true
  /** Entries in the backlog, and until when at least the last of them waits (ISO 8601) where one is held back. */
  readonly entries: number
  /** Those of them that cannot be read: what they change is not in the list above. */
  readonly unreadable: number
  /** False where more waits than was read: only the oldest was. */
  readonly complete: boolean
  readonly heldUntil?: string
  /** What waits, oldest first, at most `shownOfEach`. `at`: its place in time; ISO 8601. */
  readonly waiting: readonly {
    readonly at: string
    readonly firstSeenAt: string
    readonly source: string
    readonly names: readonly string[]
    readonly reason?: WaitReason
  }[]
  /** Its dead letters, newest first, at most `shownOfEach`; `deadMore`: there may be more. */
  readonly dead: readonly ListedLetter[]
  readonly deadMore?: true
  /** The last happenings, oldest first. */
  readonly history: readonly TimeLineItem[]
}

export type FindVisitor = (visitor: Visitor) => Promise<Whereabouts>

export interface FindVisitorParts {
  readonly hasher: Hasher
  readonly ledger: Pick<Ledger, 'visitor' | 'history'>
  readonly backlog: Pick<Backlog, 'list' | 'deadHeads' | 'readDead' | 'operations'>
  readonly clock: Pick<Clock, 'now'>
  /** Operations on the store that one question may ask for. */
  readonly maxOperations: number
  readonly limits?: Limits
}

/** What was read of the entries of one visitor. */
interface Waiting {
  readonly entries: number
  readonly unreadable: number
  readonly complete: boolean
  readonly heldUntilMs: number
  /** ISO 8601, by the name of the attribute. */
  readonly times: ReadonlyMap<string, readonly string[]>
  readonly waiting: Whereabouts['waiting']
}

/** Entries and dead letters in one answer. */
const shownOfEach = 100

/** Rejects where the ledger or the store does not answer. */
export function createFind(parts: FindVisitorParts): FindVisitor {
  const { hasher, ledger, limits = defaultLimits } = parts
  const deadLetters = createLetters({ ...parts, limits })
  return async (visitor) => {
    const visitorHash = await hasher.visitor(visitor)
    const known = await ledger.visitor(visitorHash)
    const history = timeLineOf(await ledger.history(visitorHash))
    const { entries, unreadable, complete, heldUntilMs, times, waiting } = await readWaiting(parts, visitorHash, limits)
    const { letters, cursor } = await deadLetters.list({ visitorHash }, shownOfEach)
    const registers = new Map(known.map((one) => [one.name, one]))
    const names = [...new Set([...registers.keys(), ...times.keys()])].sort()
    return {
      attributes: names.map((name) => {
        const { done, open } = registers.get(name) ?? {}
        return {
          name,
          ...given({ deliveredAt: stampIso(done), openAt: stampIso(open) }),
          waitingAt: times.get(name) ?? [],
        }
      }),
      ...given({ more: known.length >= limits.attributesListed || undefined }),
      entries,
      unreadable,
      complete,
      ...given({ heldUntil: heldUntilMs === 0 ? undefined : isoTime(heldUntilMs) }),
      waiting,
      // What has no readable head may be anybody's.
      dead: letters.filter((letter) => letter.visitor === visitorHash),
      ...given({ deadMore: cursor === undefined ? undefined : (true as const) }),
      history,
    }
  }
}

/** Reads oldest first, until all is read or a bound is met. */
async function readWaiting(
  { backlog, clock, maxOperations }: Pick<FindVisitorParts, 'backlog' | 'clock' | 'maxOperations'>,
  visitorHash: string,
  { timesPerAnswer, requestMs }: Pick<Limits, 'timesPerAnswer' | 'requestMs'>,
): Promise<Waiting> {
  const times = new Map<string, string[]>()
  const waiting: Whereabouts['waiting'][number][] = []
  const [operationsBefore, startedMs] = [backlog.operations, clock.now()]
  let [entries, unreadable, timesRead, heldUntilMs] = [0, 0, 0, 0]
  let complete = false
  for await (const page of pagesOf((cursor) => backlog.list({ prefix: `${visitorHash}/`, ...given({ cursor }) }))) {
    for (const item of page.items) {
      entries++
      if (!('entry' in item)) {
        unreadable++
        continue
      }
      heldUntilMs = Math.max(heldUntilMs, item.entry.notBeforeMs ?? 0)
      const { attributes, stamp, source, firstSeenMs, reason } = item.entry
      const names = attributes.slice(0, timesPerAnswer - timesRead).map(({ name }) => name)
      const entryAt = isoTime(stampTimeMs(stamp))
      for (const name of names) {
        const at = times.get(name) ?? []
        at.push(entryAt)
        times.set(name, at)
      }
      if (waiting.length < shownOfEach)
        waiting.push({ at: entryAt, firstSeenAt: isoTime(firstSeenMs), source, names, ...given({ reason }) })
      timesRead += attributes.length
      if (timesRead > timesPerAnswer) break
    }
    complete = page.cursor === undefined && timesRead <= timesPerAnswer
    const spent = backlog.operations - operationsBefore >= maxOperations || clock.now() - startedMs >= requestMs
    if (spent || timesRead >= timesPerAnswer) break
  }
  return { entries, unreadable, complete, heldUntilMs, times, waiting }
}

function stampIso(stamp: Stamp | undefined): string | undefined {
  return stamp === undefined ? undefined : isoTime(stampTimeMs(stamp))
}
