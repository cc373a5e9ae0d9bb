/**
 * Where one visitor's attributes are: what Target was given, whose fate is open, what waits. Names and times only; no
 * value leaves the backlog this way.
 *
 * Guarantee: an answer is bounded in time, operations and size, and says where it is not complete.
 * Known hole: if more waits than it may read, it knows only the oldest.
 */

import type { Backlog } from '../backlog/port.ts'
import type { Clock } from '../clock.ts'
import { given } from '../given.ts'
import type { Ledger } from '../ledger/port.ts'
import { defaultLimits, type Limits } from '../limits.ts'
import { pagesOf } from '../pages.ts'
import { isoTime } from '../time.ts'
import type { Hasher } from '../update/hash.ts'
import { stampTimeMs } from '../update/stamp.ts'
import type { Stamp, Visitor } from '../update/update.ts'

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
}

export type FindVisitor = (visitor: Visitor) => Promise<Whereabouts>

export interface FindVisitorParts {
  readonly hasher: Hasher
  readonly ledger: Pick<Ledger, 'visitor'>
  readonly backlog: Pick<Backlog, 'list' | 'operations'>
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
}

/** Rejects where the ledger or the store does not answer. */
export function createFind(parts: FindVisitorParts): FindVisitor {
  const { hasher, ledger, limits = defaultLimits } = parts
  return async (visitor) => {
    const visitorHash = await hasher.visitor(visitor)
    const known = await ledger.visitor(visitorHash)
    const { entries, unreadable, complete, heldUntilMs, times } = await readWaiting(parts, visitorHash, limits)
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
    }
  }
}

/** Reads oldest first, until all is read or a bound is met. */
async function readWaiting(
  { backlog, clock, maxOperations }: Pick<FindVisitorParts, 'backlog' | 'clock' | 'maxOperations'>,
  visitorHash: string,
  { timesPerAnswer, requestMs }: Pick<Limits, 'timesPerAnswer' | 'requestMs'>,
): Promise<Waiting> {
  const waiting = new Map<string, string[]>()
  const [operationsBefore, startedMs] = [backlog.operations, clock.now()]
  let [entries, unreadable, times, heldUntilMs] = [0, 0, 0, 0]
  let complete = false
  for await (const page of pagesOf((cursor) => backlog.list({ prefix: `${visitorHash}/`, ...given({ cursor }) }))) {
    for (const item of page.items) {
      entries++
      if (!('entry' in item)) {
        unreadable++
        continue
      }
      heldUntilMs = Math.max(heldUntilMs, item.entry.notBeforeMs ?? 0)
      for (const { name } of item.entry.attributes.slice(0, timesPerAnswer - times)) {
        const at = waiting.get(name) ?? []
        at.push(isoTime(stampTimeMs(item.entry.stamp)))
        waiting.set(name, at)
      }
      times += item.entry.attributes.length
      if (times > timesPerAnswer) break
    }
    complete = page.cursor === undefined && times <= timesPerAnswer
    const spent = backlog.operations - operationsBefore >= maxOperations || clock.now() - startedMs >= requestMs
    if (spent || times >= timesPerAnswer) break
  }
  return { entries, unreadable, complete, heldUntilMs, times: waiting }
}

function stampIso(stamp: Stamp | undefined): string | undefined {
  return stamp === undefined ? undefined : isoTime(stampTimeMs(stamp))
}
