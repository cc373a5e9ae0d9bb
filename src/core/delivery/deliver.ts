/**
 * Delivers an update that just came in: it goes through the door, what cannot be sent is kept, and its sender is answered.
 *
 * Guarantee (G2): `submitted`, `superseded`, `duplicate`, `deferred`, `rejected` and `set_aside` are said only once
 * each attribute was accepted by Target, is superseded, or lies durably in the backlog or the dead letters. If a put
 * fails the answer is `unavailable`, and no event id is marked as done. Nothing else delays the answer once Target has
 * replied: the settle runs behind it.
 * Known hole: a process that dies between answer and settle loses the settle.
 */

import type { Backlog } from '../backlog/port.ts'
import type { Clock } from '../clock.ts'
import { errorName } from '../errors.ts'
import { given } from '../given.ts'
import type { Ledger } from '../ledger/port.ts'
import type { Untold } from '../ledger/untold.ts'
import { defaultLimits, type Limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Hasher } from '../update/hash.ts'
import type { DeferReason } from '../update/reasons.ts'
import type { Lane } from '../update/update.ts'
import { zip } from '../zip.ts'
import type { Admitted, Attempt } from './attempt.ts'
import type { Door } from './door.ts'
import type { EncodedUpdate } from './encoded-update.ts'
import { standing } from './fate.ts'
import { createKeep, type Keep } from './keep.ts'
import { leadsOf, logLeads } from './leads.ts'
import { inAdmissions, type Part, partsOf, underFirstStamps } from './parts.ts'
import type { Passage } from './passage.ts'
import {
  combinedReceipt,
  countsOf,
  type Deliver,
  doneStatus,
  type EndedUpdate,
  type Receipt,
  receiptOf,
} from './receipt.ts'
import { createSettle, settlementOf } from './settle.ts'

export interface DeliverParts {
  readonly door: Door
  readonly ledger: Pick<Ledger, 'settle' | 'firstStamps'>
  readonly untold: Pick<Untold, 'add'>
  readonly backlog: Pick<Backlog, 'put' | 'bury'>
  /** Names the parts of an update that is cut. */
  readonly hasher: Pick<Hasher, 'part'>
  readonly clock: Clock
  /** If Target has not answered by then, the update is deferred and the call goes on behind the answer. */
  readonly answerDeadlineMs: number
  /** Keeps work alive behind the answer (`waitUntil`); the promise never rejects. */
  readonly background: (work: Promise<unknown>) => void
  /** A line for the log, without ids or values. */
  readonly log: Log
  /** When each source's fast clock was last logged, epoch ms; may outlive this. */
  readonly leadsLoggedMs?: Map<string, number>
  readonly limits?: Limits
}

/** From the receipts of an admission's parts to those of the updates that end with it: each update counts once. */
type Ended = (receipts: readonly Receipt[]) => readonly EndedUpdate[]

export function createDeliver(parts: DeliverParts): Deliver {
  const { door, ledger, untold, clock, log, limits = defaultLimits, leadsLoggedMs = new Map<string, number>() } = parts
  const keep = createKeep(parts)
  const settle = createSettle({ ledger, untold, keep, log })

  return async (updates, lane) => {
    const deadlineMs = clock.now() + parts.answerDeadlineMs
    logLeads(leadsOf(updates), leadsLoggedMs, clock.now(), log)
    const { cut, unasked } = await cutUpdates(updates)
    const receipts: Receipt[] = []
    for (const together of inAdmissions(cut.flat(), limits)) {
      const ended: Ended = (these) => endedUpdates(cut, [...receipts, ...these], receipts.length)
      if (unasked) receipts.push(...(await keepBlind(together, 'ledger_unavailable', lane, ended)))
      else if (clock.now() >= deadlineMs) receipts.push(...(await keepBlind(together, 'slow', lane, ended)))
      else receipts.push(...(await deliverTogether(together, lane, deadlineMs, ended)))
    }
    return endedUpdates(cut, receipts, 0).map(({ receipt }) => receipt)
  }

  /** `unasked`: the ledger is silent, so that nothing may go. */
  async function cutUpdates(updates: readonly EncodedUpdate[]) {
    const cut: readonly (readonly Part[])[] = await Promise.all(
      updates.map((update) => partsOf(update, parts.hasher, limits)),
    )
    try {
      return { cut: await underFirstStamps(cut, (asked) => ledger.firstStamps(asked)), unasked: false }
    } catch (error) {
      log('ledger_unavailable', { updates: cut.length, error: errorName(error) })
      return { cut, unasked: true }
    }
  }

  async function deliverTogether(
    together: readonly Part[],
    lane: Lane,
    deadlineMs: number,
    ended: Ended,
  ): Promise<readonly Receipt[]> {
    let admitted: readonly Admitted[]
    try {
      const nowMs = clock.now()
      admitted = await door.admit(
        together.map((part) => liveAttempt(part, nowMs)),
        lane,
      )
    } catch (error) {
      // The admission may have happened all the same; nothing is sent (G1).
      log('ledger_unavailable', { updates: together.length, error: errorName(error) })
      return keepBlind(together, 'ledger_unavailable', lane, ended)
    }
    const sending = door.send(admitted)
    const timer = clock.after(Math.max(0, deadlineMs - clock.now()))
    const passages = await Promise.race([sending, timer.elapsed.then(() => undefined)])
    timer.cancel()
    return passages === undefined
      ? leaveRunning(zip(together, admitted), sending, lane, ended)
      : finish(zip(together, passages), lane, ended)
  }

  /** Target has answered: keep what must be kept, answer, and settle behind the answer. */
  async function finish(
    passed: readonly (readonly [Part, Passage])[],
    lane: Lane,
    ended: Ended,
  ): Promise<readonly Receipt[]> {
    const finished = await Promise.all(
      passed.map(async ([part, passage]) => {
        const kept = await keep.rest(part, passage)
        const receipt = receiptOf(passage, kept)
        const settlement = settlementOf(part, passage, kept, receipt)
        return { part, passage, receipt, settlement }
      }),
    )
    const receipts = finished.map(({ receipt }) => receipt)
    parts.background(settle(finished, countsOf(lane, ended(receipts), callsOf(finished))))
    return receipts
  }

  /** Target is slow: the update waits in the backlog while the call goes on. The flush finds done what it delivers. */
  async function leaveRunning(
    running: readonly (readonly [Part, Admitted])[],
    sending: Promise<readonly Passage[]>,
    lane: Lane,
    ended: Ended,
  ): Promise<readonly Receipt[]> {
    const left = await Promise.all(
      running.map(async ([part, admitted]) => {
        const kept = await keepUnsettled(keep, part, admitted)
        return { part, kept, receipt: receiptOfRunning(admitted, kept) }
      }),
    )
    const receipts = left.map(({ receipt }) => receipt)
    const settleOnceSent = async () => {
      const passages = await sending
      const passed = zip(left, passages).map(([{ part, kept, receipt }, passage]) => {
        // Kept whole already: a refusal is left to the flush, which sets it aside.
        const delivered = passage.attributes.every(({ fate }) => standing(fate) === 'done')
        const become = delivered ? receiptOf(passage, true) : receipt
        return { part, passage, settlement: settlementOf(part, passage, kept || delivered, become) }
      })
      await settle(passed, countsOf(lane, ended(receipts), callsOf(passed)))
    }
    parts.background(settleOnceSent())
    return receipts
  }

  /** Deferred without an answer of the ledger. */
  async function keepBlind(
    together: readonly Part[],
    reason: DeferReason,
    lane: Lane,
    ended: Ended,
  ): Promise<readonly Receipt[]> {
    const receipts = await Promise.all(
      together.map(
        async (part): Promise<Receipt> =>
          (await keep.blind(part, reason)) ? { status: 'deferred', reason } : { status: 'unavailable' },
      ),
    )
    untold.add(countsOf(lane, ended(receipts), []))
    return receipts
  }
}

function callsOf(passed: readonly { readonly part: Part; readonly passage: Passage }[]) {
  return passed.map(({ part: { source }, passage: { calls } }) => ({ source, calls }))
}

/** Puts all that is not known to be settled under the stamp that the ledger knows. */
async function keepUnsettled(keep: Pick<Keep, 'put'>, part: Part, { admission }: Admitted): Promise<boolean> {
  if (admission.event !== 'open') return true
  const open = part.attributes.filter((_, index) => !isSettledVerdict(admission.verdicts[index]))
  return open.length === 0 || keep.put(part, open, admission.firstStamp ?? part.stamp, 'slow')
}

/** Those updates whose last part comes after the first `from` receipts. */
function endedUpdates(
  cut: readonly (readonly Part[])[],
  receipts: readonly Receipt[],
  from: number,
): readonly EndedUpdate[] {
  let end = 0
  return cut.flatMap((parts) => {
    const start = end
    end += parts.length
    const [part] = parts
    return part !== undefined && end > from && end <= receipts.length
      ? [{ source: part.source, receipt: combinedReceipt(receipts.slice(start, end)) }]
      : []
  })
}

function liveAttempt(part: Part, nowMs: number): Attempt {
  return {
    visitor: part.visitor,
    visitorHash: part.visitorHash,
    attributes: part.attributes.map(({ name, value }) => ({ name, value, stamp: part.stamp })),
    sources: [part.source],
    hold: (part.notBeforeMs ?? 0) > nowMs,
    ...given({ event: part.event, encoding: part.encoding }),
  }
}

function receiptOfRunning({ admission }: Admitted, kept: boolean): Receipt {
  if (admission.event !== 'open') return { status: admission.event }
  if (!kept) return { status: 'unavailable' }
  if (admission.verdicts.every(isSettledVerdict))
    return { status: doneStatus(admission.verdicts.filter((verdict) => verdict !== 'send')) }
  return { status: 'deferred', reason: 'slow' }
}

function isSettledVerdict(verdict: string | undefined): boolean {
  return verdict === 'delivered' || verdict === 'superseded' || verdict === 'unchanged' || verdict === 'erased'
}
