/**
 * Live: an update that just came in goes through the door, what can't go lies in the backlog, and its sender is told.
 *
 * Guarantee (G2): `submitted`, `superseded`, `duplicate`, `deferred`, `rejected` and `set_aside` are said only once each attribute was
 * accepted by Target, is superseded, or lies durably in the backlog or the dead letters. A put that fails says
 * `unavailable`, and marks no event id. Nothing else holds the answer back once Target has replied: the settle runs
 * behind it.
 * Known hole: a process that dies between answer and settle loses the settle (PROTOCOL.md, "What no rule can give").
 */
import type { Backlog, DeadReason, Entry } from './backlog/port.ts'
import type { Clock } from './clock.ts'
import { type Admitted, type Attempt, type Door, type Fate, type Passage, standing } from './door.ts'
import type { Counters, Ledger, Settlement } from './ledger/port.ts'
import type { DeferReason, Deliver, Receipt, SetAsideReason } from './receipt.ts'
import { stampArrivalMs } from './stamp.ts'
import type { Attribute, Lane, Stamp, Update } from './update.ts'

export interface LiveParts {
  readonly door: Door
  readonly ledger: Pick<Ledger, 'settle'>
  readonly backlog: Pick<Backlog, 'put' | 'bury'>
  readonly clock: Clock
  /** If Target has not answered by then, the update is deferred and the call goes on behind the answer. */
  readonly answerDeadlineMs: number
  /** Keeps work alive behind the answer (`waitUntil`); the promise never rejects. */
  readonly background: (work: Promise<unknown>) => void
  /** A line for the log, without ids or values. */
  readonly log: (event: string, details?: Readonly<Record<string, string | number>>) => void
}

/** Updates of one batch that are admitted together: what four sends at a time can start well within START. */
const admittedTogether = 16

export function createDeliver(parts: LiveParts): Deliver {
  const { door, ledger, backlog, clock, log } = parts

  return async (updates, lane) => {
    const deadlineMs = clock.now() + parts.answerDeadlineMs
    const receipts: Receipt[] = []
    for (let start = 0; start < updates.length; start += admittedTogether) {
      const together = updates.slice(start, start + admittedTogether)
      receipts.push(...(clock.now() >= deadlineMs ? await keepBlind(together, 'slow') : await deliverTogether(together, lane, deadlineMs)))
    }
    return receipts
  }

  async function deliverTogether(updates: readonly Update[], lane: Lane, deadlineMs: number): Promise<readonly Receipt[]> {
    let admitted: readonly Admitted[]
    try {
      const nowMs = clock.now()
      admitted = await door.admit(
        updates.map((update) => attemptOf(update, nowMs)),
        lane,
      )
    } catch (error) {
      // The admission may have happened all the same; nothing is sent (G1).
      log('ledger_unavailable', { updates: updates.length, error: error instanceof Error ? error.name : typeof error })
      return keepBlind(updates, 'ledger_unavailable')
    }
    const sending = door.send(admitted)
    const timer = clock.after(Math.max(0, deadlineMs - clock.now()))
    const passages = await Promise.race([sending, timer.elapsed.then(() => undefined)])
    timer.cancel()
    return passages === undefined ? leaveRunning(updates, admitted, sending) : finish(updates, passages)
  }

  /** Target has answered: keep what must be kept, say so, and settle behind the answer. */
  async function finish(updates: readonly Update[], passages: readonly Passage[]): Promise<readonly Receipt[]> {
    const kept = await Promise.all(passages.map((passage, index) => keepRest(at(updates, index), passage)))
    const receipts = passages.map((passage, index) => receiptOf(passage, kept[index] === true))
    const settlements = passages.flatMap((passage, index) => settlementsOf(at(updates, index), passage, kept[index] === true))
    parts.background(settleOrKeep(updates, passages, settlements, countsOf(passages, receipts)))
    return receipts
  }

  /** Target is slow: the update waits in the backlog while the call goes on; what it delivers, the flush will find done. */
  async function leaveRunning(updates: readonly Update[], admitted: readonly Admitted[], sending: Promise<readonly Passage[]>) {
    const kept = await Promise.all(
      admitted.map(({ admission }, index) => {
        if (admission.event !== 'open') return true
        const update = at(updates, index)
        const open = update.attributes.filter((_, position) => !isSettledVerdict(admission.verdicts[position]))
        return open.length === 0 || put(update, open, admission.firstStamp ?? update.stamp)
      }),
    )
    const receipts = admitted.map(({ admission }, index): Receipt => {
      if (admission.event !== 'open') return { status: admission.event }
      if (kept[index] !== true) return { status: 'unavailable' }
      if (admission.verdicts.every(isSettledVerdict))
        return { status: admission.verdicts.includes('superseded') ? 'superseded' : 'duplicate' }
      return { status: 'deferred', reason: 'slow' }
    })
    parts.background(
      sending.then((passages) =>
        settleOrKeep(
          updates,
          passages,
          passages.flatMap((passage, index) => {
            // Kept whole already: a refusal is left to the flush, which sets it aside.
            const delivered = passage.attributes.every(({ fate }) => standing(fate) === 'done')
            return settlementsOf(at(updates, index), passage, kept[index] === true || delivered)
          }),
          countsOf(passages, receipts),
        ),
      ),
    )
    return receipts
  }

  /** Puts what was not delivered where it survives. True once every put resolved. */
  async function keepRest(update: Update, passage: Passage): Promise<boolean> {
    const stamp = passage.attributes[0]?.stamp ?? update.stamp
    const dead = passage.attributes.filter(({ fate }) => standing(fate) === 'dead')
    const open = passage.attributes.filter(({ fate }) => standing(fate) === 'open')
    return (dead.length === 0 || (await bury(update, passage, dead, stamp))) && (open.length === 0 || (await put(update, open, stamp)))
  }

  /** Deferred without an answer of the ledger: under the own stamp, to be asked about later. */
  async function keepBlind(updates: readonly Update[], reason: DeferReason): Promise<readonly Receipt[]> {
    return Promise.all(
      updates.map(async (update): Promise<Receipt> => {
        const kept = await put(update, update.attributes, update.stamp, true)
        return kept ? { status: 'deferred', reason } : { status: 'unavailable' }
      }),
    )
  }

  async function put(update: Update, attributes: readonly Attribute[], stamp: Stamp, blind = false): Promise<boolean> {
    try {
      await backlog.put({ ...entryOf(update, attributes, stamp), ...(blind ? { blind } : {}) })
      return true
    } catch {
      log('backlog_put_failed', { source: update.source })
      return false
    }
  }

  async function bury(
    update: Update,
    passage: Passage,
    attributes: readonly (Attribute & { fate: Fate })[],
    stamp: Stamp,
  ): Promise<boolean> {
    try {
      await backlog.bury({
        reason: deadReason(attributes.map(({ fate }) => fate)),
        source: update.source,
        ...(passage.refusal === undefined ? {} : { detail: passage.refusal }),
        atMs: clock.now(),
        firstSeenMs: stampArrivalMs(update.stamp),
        attempts: passage.attempts + passage.calls,
        entry: entryOf(update, attributes, stamp),
      })
      return true
    } catch {
      log('dead_letter_put_failed', { source: update.source })
      return false
    }
  }

  /** A settle that fails is tried once more; then the updates go into the backlog, and the flush settles them. */
  async function settleOrKeep(
    updates: readonly Update[],
    passages: readonly Passage[],
    settlements: readonly Settlement[],
    counts: Counters,
  ): Promise<void> {
    if (settlements.length === 0) return
    for (let tries = 0; tries < 2; tries++) {
      try {
        await ledger.settle(settlements, counts)
        return
      } catch {
        log('settle_failed', { tries: tries + 1 })
      }
    }
    await Promise.all(
      passages.map((passage, index) => {
        const update = at(updates, index)
        const delivered = passage.attributes.filter(({ fate }) => fate === 'sent_delivered')
        return delivered.length === 0 ? undefined : put(update, delivered, passage.attributes[0]?.stamp ?? update.stamp)
      }),
    )
  }
}

function attemptOf(update: Update, nowMs: number): Attempt {
  return {
    visitor: update.visitor,
    visitorHash: update.visitorHash,
    attributes: update.attributes.map((attribute) => ({ ...attribute, stamp: update.stamp })),
    source: update.source,
    ...(update.event === undefined ? {} : { event: update.event }),
    hold: (update.notBeforeMs ?? 0) > nowMs,
  }
}

function entryOf(update: Update, attributes: readonly Attribute[], stamp: Stamp): Entry {
  return {
    visitor: update.visitor,
    visitorHash: update.visitorHash,
    attributes: attributes.map(({ name, value }) => ({ name, value })),
    stamp,
    source: update.source,
    firstSeenMs: stampArrivalMs(update.stamp),
    ...(update.event === undefined ? {} : { event: update.event }),
    ...(update.notBeforeMs === undefined ? {} : { notBeforeMs: update.notBeforeMs }),
  }
}

/** The event id is done once nothing of it can be lost any more: delivered, refused and set aside, or durably put. */
function settlementsOf(update: Update, passage: Passage, kept: boolean): readonly Settlement[] {
  if (passage.event !== 'open') return []
  const eventDone = kept && update.event !== undefined ? { eventDone: update.event } : undefined
  if (passage.settlement !== undefined) return [{ ...passage.settlement, ...eventDone }]
  return eventDone === undefined ? [] : [{ visitorHash: update.visitorHash, token: '', attributes: [], ...eventDone }]
}

function receiptOf(passage: Passage, kept: boolean): Receipt {
  if (passage.event !== 'open') return { status: passage.event }
  if (!kept) return { status: 'unavailable' }
  const fates = passage.attributes.map(({ fate }) => fate)
  const open = fates.find((fate) => standing(fate) === 'open')
  if (open !== undefined) return { status: 'deferred', reason: deferReason(open) }
  if (fates.some(isRefused)) return { status: 'rejected', ...(passage.refusal === undefined ? {} : { detail: passage.refusal }) }
  if (fates.some((fate) => standing(fate) === 'dead')) return { status: 'set_aside', reason: setAsideReason(fates) }
  if (fates.includes('sent_delivered')) return { status: 'submitted', calls: passage.calls }
  return { status: fates.includes('superseded') ? 'superseded' : 'duplicate' }
}

function deferReason(fate: Fate): DeferReason {
  switch (fate) {
    case 'quota':
      return 'quota'
    case 'waits':
    case 'contended':
      return 'contended'
    case 'unsent':
      return 'slow'
    case 'paused':
      return 'paused'
    case 'held':
      return 'delayed'
    case 'ahead':
      return 'clock'
    default:
      return 'target_unavailable'
  }
}

/** Why a dead letter is one, from the fates of its attributes. */
export function deadReason(fates: readonly Fate[]): DeadReason {
  if (fates.some(isRefused)) return 'rejected'
  const reason = setAsideReason(fates)
  // With what is wrong as its detail.
  return reason === 'unfit' ? 'rejected' : reason
}

function setAsideReason(fates: readonly Fate[]): SetAsideReason {
  if (fates.includes('unfit')) return 'unfit'
  if (fates.includes('lost')) return 'ledger_lost'
  return fates.includes('overtaken') ? 'overtaken_unconfirmed' : 'expired'
}

/** Whether Target itself, or what stands before it, said no to it. */
function isRefused(fate: Fate): boolean {
  return fate === 'sent_refused' || fate === 'sent_turned_away'
}

function isSettledVerdict(verdict: string | undefined): boolean {
  return verdict === 'delivered' || verdict === 'superseded' || verdict === 'erased'
}

function countsOf(passages: readonly Passage[], receipts: readonly Receipt[]): Counters {
  const counts: Record<string, number> = { received: receipts.length, calls: passages.reduce((sum, { calls }) => sum + calls, 0) }
  for (const { status } of receipts) counts[status] = (counts[status] ?? 0) + 1
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0))
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index]
  if (item === undefined) throw new RangeError('no such item')
  return item
}
