/**
 * Failed authentications, by source and reason: for the log and the counters, never for the sender.
 *
 * The first is logged and counted at once, later ones are logged at most once a minute with their number, and their
 * counts wait for a settle that is made anyway, or for that minute: a flood fills neither the log nor the ledger.
 */
import type { Clock } from '../../core/clock.ts'
import { type Counters, figure, noLane } from '../../core/ledger/rules/figures.ts'
import type { Log } from '../../core/log.ts'
import { dueCount, type OnceAMinuteMemory } from '../once-a-minute.ts'
import type { AuthFailure } from './scheme.ts'

export interface AuthFailedParts {
  readonly clock: Pick<Clock, 'now'>
  readonly memory: OnceAMinuteMemory
  readonly log: Log
  /** Counts with the next settle; with one of its own. */
  readonly add: (counters: Counters) => void
  readonly count: (counters: Counters) => void
}

export type AuthFailed = (source: string, why: AuthFailure) => void

export function createAuthFailed({ clock, memory, log, add, count }: AuthFailedParts): AuthFailed {
  return (source, why) => {
    const counted = { [figure(source, noLane, `unauthenticated_${why}`)]: 1 }
    const failed = dueCount(memory, `${source} ${why}`, clock)
    if (failed === undefined) {
      add(counted)
      return
    }
    log('unauthenticated', { source, why, count: failed })
    count(counted)
  }
}
