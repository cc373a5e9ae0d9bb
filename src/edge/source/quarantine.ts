/** Events of authenticated senders that cannot be read or mapped: kept whole as dead letters, and counted. */
import type { Backlog } from '../../core/backlog/port.ts'
import { type Counters, figure, noLane } from '../../core/ledger/rules/figures.ts'

export interface QuarantineParts {
  readonly backlog: Pick<Backlog, 'bury'>
  readonly count: (counters: Counters) => void
}

/** @returns resolves to the dead letter's key once it is kept; rejects where it is not, and then nothing is counted */
export function createQuarantine({ backlog, count }: QuarantineParts): Backlog['bury'] {
  return async (dead) => {
    const key = await backlog.bury(dead)
    count({ [figure(dead.source, noLane, 'received')]: 1, [figure(dead.source, noLane, 'quarantined')]: 1 })
    return key
  }
}
