/**
 * What each key of `BACKLOG_KEYS` still seals, and sealing it anew under the first: an old key's way to its end.
 *
 * Guarantee: each call ends within its bounds and says where the next one goes on. What no key of the ring opens is
 * left as it is, and counted under the name of its key.
 * Known hole: what is put under an old key meanwhile, by an instance whose settings are older, is not found: ask once
 * more when all instances have the new ring.
 */
import type { Backlog } from '../backlog/port.ts'
import type { Clock } from '../clock.ts'
import { given } from '../given.ts'
import { defaultLimits, type Limits } from '../limits.ts'

/** Keys of the store: by the name of what seals them. */
export type SealCounts = Readonly<Record<string, { readonly entries: number; readonly dead: number }>>

export interface Seals {
  /** What this call met, afterwards. */
  readonly byKey: SealCounts
  /** The key that seals what is kept from now on; absent where nothing is sealed. */
  readonly first?: string
  readonly resealed: number
  /** What the store did not give, or did not take: ask again. */
  readonly failed: number
  readonly complete: boolean
  /** Where the bounds of one call ended it: ask again, with it. */
  readonly cursor?: string
}

export interface SealsParts {
  readonly backlog: Pick<Backlog, 'reseal' | 'operations'>
  readonly first: string | undefined
  readonly clock: Pick<Clock, 'now'>
  /** Operations on the store that one call may ask for. */
  readonly maxOperations: number
  readonly limits?: Pick<Limits, 'requestMs' | 'keysPerRead'>
}

/**
 * @param anew seals anew, else it only counts
 * @returns `unknown_cursor` where it is none; then nothing was done
 */
export type AskSeals = (asked: {
  readonly anew: boolean
  readonly cursor?: string
}) => Promise<Seals | 'unknown_cursor'>

/** A list, and for each key a read and a write. */
const operationsAKey = 3
const cursorShape = /^(entries|dead)\.(.*)$/s

/** Rejects where the store does not answer; what was sealed anew by then stays so. */
export function createSeals({ backlog, first, clock, maxOperations, limits = defaultLimits }: SealsParts): AskSeals {
  return async ({ anew, cursor: from }) => {
    const place = from === undefined ? ['', 'entries', ''] : cursorShape.exec(from)
    if (place === null) return 'unknown_cursor'
    const [, begin, after] = place
    const byKey: Record<string, { entries: number; dead: number }> = {}
    const sum = { resealed: 0, failed: 0 }
    const [operationsBefore, startedMs] = [backlog.operations, clock.now()]
    let cursor = after === '' ? undefined : after
    for (const part of begin === 'dead' ? (['dead'] as const) : (['entries', 'dead'] as const)) {
      do {
        const left = Math.floor((maxOperations - (backlog.operations - operationsBefore)) / operationsAKey)
        if (left < 1 || clock.now() - startedMs >= limits.requestMs)
          return { byKey, ...given({ first }), ...sum, complete: false, cursor: `${part}.${cursor ?? ''}` }
        const page = await backlog.reseal({
          part,
          anew,
          limit: Math.min(left, limits.keysPerRead),
          ...given({ cursor }),
        })
        for (const [name, count] of Object.entries(page.byKey)) {
          const known = byKey[name] ?? { entries: 0, dead: 0 }
          byKey[name] = { ...known, [part]: known[part] + count }
        }
        sum.resealed += page.resealed
        sum.failed += page.failed
        cursor = page.cursor
      } while (cursor !== undefined)
    }
    return { byKey, ...given({ first }), ...sum, complete: true }
  }
}
