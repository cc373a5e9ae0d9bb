/**
 * Failed authentications, by source and reason: for the log and the counters, never for the sender.
 *
 * The first is logged at once, later ones at most once a minute with their number: a flood fills neither the log nor
 * the ledger.
 */

import type { Clock } from '../../core/clock.ts'
import type { Counters } from '../../core/ledger/port.ts'
import type { Log } from '../../core/log.ts'
import type { AuthFailure } from './scheme.ts'

/** By source and reason: when it was last logged (epoch ms), and how many there were since. */
export type AuthFailureMemory = Map<string, { readonly toldMs: number; readonly count: number }>

export interface AuthFailedParts {
  readonly clock: Pick<Clock, 'now'>
  readonly memory: AuthFailureMemory
  readonly log: Log
  readonly count: (counters: Counters) => void
}

const toldEveryMs = 60_000

export type AuthFailed = (source: string, why: AuthFailure) => void

export function createAuthFailed({ clock, memory, log, count }: AuthFailedParts): AuthFailed {
  return (source, why) => {
    const nowMs = clock.now()
    const key = `${source} ${why}`
    const { toldMs, count: before } = memory.get(key) ?? { toldMs: Number.NEGATIVE_INFINITY, count: 0 }
    const failed = before + 1
    // A clock that was set back keeps nothing silent for ever.
    if (Math.abs(nowMs - toldMs) < toldEveryMs) {
      memory.set(key, { toldMs, count: failed })
      return
    }
    memory.set(key, { toldMs: nowMs, count: 0 })
    log('unauthenticated', { source, why, count: failed })
    count({ unauthenticated: failed, [`unauthenticated.${source}`]: failed })
  }
}
