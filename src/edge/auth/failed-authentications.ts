/**
 * Failed authentications, by source and reason: for the log and the counters, never for the sender.
 *
 * The first is logged at once, later ones at most once a minute with their number: a flood fills neither the log nor
 * the ledger.
 */
import type { Clock } from '../../core/clock.ts'
import type { Counters } from '../../core/ledger/port.ts'
import type { Log } from '../../core/log.ts'
import { dueCount, type OnceAMinuteMemory } from '../once-a-minute.ts'
import type { AuthFailure } from './scheme.ts'

export interface AuthFailedParts {
  readonly clock: Pick<Clock, 'now'>
  readonly memory: OnceAMinuteMemory
  readonly log: Log
  readonly count: (counters: Counters) => void
}

export type AuthFailed = (source: string, why: AuthFailure) => void

export function createAuthFailed({ clock, memory, log, count }: AuthFailedParts): AuthFailed {
  return (source, why) => {
    const failed = dueCount(memory, `${source} ${why}`, clock)
    if (failed === undefined) return
    log('unauthenticated', { source, why, count: failed })
    count({ unauthenticated: failed, [`unauthenticated.${source}`]: failed })
  }
}
