/** Confirmations that a person must act on: kept as dead letters, and few of them, since nobody is authenticated yet. */
import type { Backlog, DeadLetter } from '../../core/backlog/port.ts'
import type { Random } from '../../core/clock.ts'
import type { Counters, Ledger } from '../../core/ledger/port.ts'
import { figure, noLane } from '../../core/ledger/rules/figures.ts'

export interface ConfirmationParts {
  readonly backlog: Pick<Backlog, 'bury'>
  readonly ledger: Pick<Ledger, 'lease'>
  readonly random: Pick<Random, 'hex'>
  readonly count: (counters: Counters) => void
}

/** For each source one is kept in this time, on all machines together. */
const onceInMs = 600_000

/** @returns false where its source had one within the last ten minutes; rejects where it is not kept */
export function createKeepConfirmation({ backlog, ledger, random, count }: ConfirmationParts) {
  return async (dead: DeadLetter): Promise<boolean> => {
    if (!(await ledger.lease(`confirmation:${dead.source}`, random.hex(8), onceInMs))) return false
    await backlog.bury(dead)
    count({ [figure(dead.source, noLane, 'confirmation')]: 1 })
    return true
  }
}
