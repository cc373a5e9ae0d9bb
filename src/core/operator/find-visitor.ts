/**
 * Where one visitor's attributes are: what Target was given, whose fate is open, what waits. Names and times only; no
 * value leaves the backlog by this way.
 *
 * Guarantee: an answer is bounded in time, operations and size, and says where it is not whole.
 * Known hole: of more than it may read it knows the oldest only.
 */

import type { Backlog } from '../backlog/port.ts'
import type { Clock } from '../clock.ts'
import { given } from '../given.ts'
import type { Ledger } from '../ledger/port.ts'
import { defaultLimits, type Limits } from '../limits.ts'
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
  /** Those of them that can't be read: what they change is not told above. */
  readonly unreadable: number
  /** False where more waits than was read: the oldest were. */
  readonly complete: boolean
  readonly heldUntil?: string
}

export type Find = (visitor: Visitor) => Promise<Whereabouts>

/** Rejects where the ledger or the store does not answer. */
export function createFind(parts: {
  readonly hasher: Hasher
  readonly ledger: Pick<Ledger, 'visitor'>
  readonly backlog: Pick<Backlog, 'list' | 'operations'>
  readonly clock: Pick<Clock, 'now'>
  /** Operations on the store that one question may ask for. */
  readonly maxOperations: number
  readonly limits?: Limits
}): Find {
  const { hasher, ledger, backlog, clock, maxOperations, limits = defaultLimits } = parts
  return async (visitor) => {
    const visitorHash = await hasher.visitor(visitor)
    const known = await ledger.visitor(visitorHash)
    const waiting = new Map<string, string[]>()
    const [operationsBefore, startedMs] = [backlog.operations, clock.now()]
    let [entries, unreadable, times, heldUntilMs] = [0, 0, 0, 0]
    let cursor: string | undefined
    let complete = false
    const goesOn = () =>
      times < limits.timesPerAnswer &&
      backlog.operations - operationsBefore < maxOperations &&
      clock.now() - startedMs < limits.requestMs
    do {
      const page = await backlog.list({ prefix: `${visitorHash}/`, ...given({ cursor }) })
      for (const item of page.items) {
        entries++
        if (!('entry' in item)) {
          unreadable++
          continue
        }
        heldUntilMs = Math.max(heldUntilMs, item.entry.notBeforeMs ?? 0)
        for (const { name } of item.entry.attributes.slice(0, limits.timesPerAnswer - times)) {
          const at = waiting.get(name) ?? []
          at.push(isoTime(stampTimeMs(item.entry.stamp)))
          waiting.set(name, at)
        }
        times += item.entry.attributes.length
        if (times > limits.timesPerAnswer) break
      }
      cursor = page.cursor
      complete = cursor === undefined && times <= limits.timesPerAnswer
    } while (cursor !== undefined && goesOn())
    const registers = new Map(known.map((one) => [one.name, one]))
    const names = [...new Set([...registers.keys(), ...waiting.keys()])].sort()
    return {
      attributes: names.map((name) => {
        const { done, open } = registers.get(name) ?? {}
        return {
          name,
          ...given({ deliveredAt: stampIso(done), openAt: stampIso(open) }),
          waitingAt: waiting.get(name) ?? [],
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

function stampIso(stamp: Stamp | undefined): string | undefined {
  return stamp === undefined ? undefined : isoTime(stampTimeMs(stamp))
}
