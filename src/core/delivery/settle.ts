/**
 * Settles behind the answer.
 *
 * Guarantee: a settle that fails is tried once more, each update alone, so that one which the ledger refuses costs the
 * others nothing. What fails again is put into the backlog, and the flush settles it; its counts wait for the next
 * settle.
 */

import { errorName } from '../errors.ts'
import { given } from '../given.ts'
import type { Counters, Leads, Ledger, Settlement } from '../ledger/port.ts'
import type { Untold } from '../ledger/untold.ts'
import type { Log } from '../log.ts'
import type { Keep } from './keep.ts'
import { leadsOf } from './leads.ts'
import { liveNote } from './notes.ts'
import type { Part } from './parts.ts'
import type { Passage } from './passage.ts'
import type { Receipt } from './receipt.ts'

export interface SettleParts {
  readonly ledger: Pick<Ledger, 'settle'>
  readonly untold: Pick<Untold, 'add'>
  readonly keep: Pick<Keep, 'delivered'>
  readonly log: Log
}

/** A part that passed the door, and what the ledger is to be told of it; undefined where that is nothing. */
export interface ToSettle {
  readonly part: Part
  readonly passage: Passage
  readonly settlement: Settlement | undefined
}

/** Never rejects. */
export type Settle = (passed: readonly ToSettle[], counts: Counters) => Promise<void>

export function createSettle({ ledger, untold, keep, log }: SettleParts): Settle {
  return async (passed, counts) => {
    const all = passed.flatMap(({ settlement }) => settlement ?? [])
    const leads = leadsOf(passed.map(({ part }) => part))
    if (await settle(all, counts, leads, 1)) return
    const alone = all.length === 1
    const isSettled = async ({ settlement }: ToSettle) =>
      settlement === undefined || settle([settlement], alone ? counts : {}, alone ? leads : {}, 2)
    const [settled, counted] = await Promise.all([
      Promise.all(passed.map(isSettled)),
      alone || settle([], counts, leads, 2),
    ])
    if (!counted || (alone && settled.includes(false))) untold.add(counts)
    const unsettled = passed.filter((_, index) => settled[index] !== true)
    await Promise.all(unsettled.map(({ part, passage }) => keep.delivered(part, passage)))
  }

  async function settle(
    settlements: readonly Settlement[],
    counts: Counters,
    leads: Leads,
    tries: number,
  ): Promise<boolean> {
    try {
      await ledger.settle(settlements, counts, leads)
      return true
    } catch (error) {
      log('settle_failed', { tries, error: errorName(error) })
      return false
    }
  }
}

/**
 * The event id is done once nothing of it can be lost: delivered, refused and set aside, or durably kept.
 *
 * @param kept whether everything that was not delivered is durably kept
 * @param receipt for the visitor's time line; where it is `rejected`, a repeat is answered so again
 */
export function settlementOf(part: Part, passage: Passage, kept: boolean, receipt: Receipt): Settlement | undefined {
  if (passage.event !== 'open') return undefined
  const verdict = receipt.status === 'rejected' ? { eventRejected: true as const } : {}
  const eventDone = kept && part.event !== undefined ? { eventDone: part.event, ...verdict } : undefined
  const note = liveNote(part, passage, receipt)
  const told = { ...eventDone, ...given({ note }) }
  if (passage.settlement !== undefined) return { ...passage.settlement, ...told }
  if (eventDone === undefined && note === undefined) return undefined
  return { visitorHash: part.visitorHash, token: '', attributes: [], ...told }
}
