/**
 * Live: an update that just came in goes through the door, what can't go lies in the backlog, and its sender is told.
 *
 * Guarantee (G2): `submitted`, `superseded`, `duplicate`, `deferred`, `rejected` and `set_aside` are said only once each attribute was
 * accepted by Target, is superseded, or lies durably in the backlog or the dead letters. A put that fails says
 * `unavailable`, and marks no event id. Nothing else holds the answer back once Target has replied: the settle runs
 * behind it.
 * Known hole: a process that dies between answer and settle loses the settle (docs/rules.md, "What no rule can give").
 */
import type { Backlog, Entry } from '../backlog/port.ts'
import type { Clock } from '../clock.ts'
import { errorName } from '../errors.ts'
import { type Counters, type Leads, type Ledger, maxBatch, type Settlement } from '../ledger/port.ts'
import { defaultLimits, type Limits } from '../limits.ts'
import type { Hasher } from '../update/hash.ts'
import { stampArrivalMs } from '../update/stamp.ts'
import type { Attribute, Lane, Stamp, Update } from '../update/update.ts'
import type { Admitted, Attempt, Door, Passage } from './door.ts'
import { deadReason, deferReason, type Fate, isRefused, setAsideReason, standing } from './fate.ts'
import { inAdmissions, type Part, partsOf } from './parts.ts'
import { combinedReceipt, type DeferReason, type Deliver, type Receipt } from './receipt.ts'

export interface LiveParts {
  readonly door: Door
  readonly ledger: Pick<Ledger, 'settle' | 'firstStamps'>
  readonly backlog: Pick<Backlog, 'put' | 'bury'>
  /** Names the parts of an update that is cut. */
  readonly hasher: Pick<Hasher, 'part'>
  readonly clock: Clock
  /** If Target has not answered by then, the update is deferred and the call goes on behind the answer. */
  readonly answerDeadlineMs: number
  /** Keeps work alive behind the answer (`waitUntil`); the promise never rejects. */
  readonly background: (work: Promise<unknown>) => void
  /** A line for the log, without ids or values. */
  readonly log: (event: string, details?: Readonly<Record<string, string | number>>) => void
  /** When each source's fast clock was last logged, epoch ms; may outlive this. */
  readonly leadsLoggedMs?: Map<string, number>
  readonly limits?: Limits
}

/** A source whose clock is ahead says so with each event: one line in so long is enough. */
const leadLoggedEveryMs = 60_000

/** From the receipts of an admission's parts to those of the updates that end with it: each update counts once. */
type Ended = (receipts: readonly Receipt[]) => readonly Receipt[]

export function createDeliver(parts: LiveParts): Deliver {
  const {
    door,
    ledger,
    backlog,
    hasher,
    clock,
    log,
    limits = defaultLimits,
    leadsLoggedMs = new Map<string, number>(),
  } = parts

  return async (updates, lane) => {
    const deadlineMs = clock.now() + parts.answerDeadlineMs
    logLeads(leadsOf(updates))
    const cut = await underFirstStamps(await Promise.all(updates.map((update) => partsOf(update, hasher, limits))))
    const receipts: Receipt[] = []
    for (const together of inAdmissions(cut.parts.flat(), limits)) {
      const ended: Ended = (these) => receiptsOfUpdates(cut.parts, [...receipts, ...these], receipts.length)
      if (cut.unasked) receipts.push(...(await keepBlind(together, 'ledger_unavailable')))
      else if (clock.now() >= deadlineMs) receipts.push(...(await keepBlind(together, 'slow')))
      else receipts.push(...(await deliverTogether(together, lane, deadlineMs, ended)))
    }
    return receiptsOfUpdates(cut.parts, receipts, 0)
  }

  function logLeads(leads: Leads): void {
    const nowMs = clock.now()
    for (const [source, ms] of Object.entries(leads)) {
      if (Math.abs(nowMs - (leadsLoggedMs.get(source) ?? Number.NEGATIVE_INFINITY)) < leadLoggedEveryMs) continue
      leadsLoggedMs.set(source, nowMs)
      log('clock_ahead', { source, ms })
    }
  }

  /**
   * The keys of parts are new wherever the cut is, so what orders an event that was cut is the first stamp of the whole:
   * its register then knows each attribute, whichever part it came in before.
   */
  async function underFirstStamps(
    cut: readonly (readonly Part[])[],
  ): Promise<{ parts: readonly (readonly Part[])[]; unasked: boolean }> {
    const asked = cut.flatMap(([part, ...others]) =>
      part?.whole.event === undefined || others.length === 0
        ? []
        : [{ event: part.whole.event, stamp: part.whole.stamp }],
    )
    const firsts = new Map<string, Stamp | null>()
    try {
      for (let start = 0; start < asked.length; start += maxBatch) {
        const some = asked.slice(start, start + maxBatch)
        const stamps = await ledger.firstStamps(some)
        some.forEach(({ event }, index) => {
          firsts.set(event, at(stamps, index))
        })
      }
    } catch (error) {
      log('ledger_unavailable', { updates: cut.length, error: errorName(error) })
      return { parts: cut, unasked: true }
    }
    const under = (part: Part): Part => {
      const { event } = part.whole
      if (event === undefined) return part
      const stamp = firsts.get(event) ?? null
      // Its id came with other content: the ledger says so to each part that asks by the whole's key.
      return stamp === null ? { ...part, event } : { ...part, stamp }
    }
    return { parts: cut.map((some) => (some.length === 1 ? some : some.map(under))), unasked: false }
  }

  async function deliverTogether(
    updates: readonly Part[],
    lane: Lane,
    deadlineMs: number,
    ended: Ended,
  ): Promise<readonly Receipt[]> {
    let admitted: readonly Admitted[]
    try {
      const nowMs = clock.now()
      admitted = await door.admit(
        updates.map((update) => attemptOf(update, nowMs)),
        lane,
      )
    } catch (error) {
      // The admission may have happened all the same; nothing is sent (G1).
      log('ledger_unavailable', { updates: updates.length, error: errorName(error) })
      return keepBlind(updates, 'ledger_unavailable')
    }
    const sending = door.send(admitted)
    const timer = clock.after(Math.max(0, deadlineMs - clock.now()))
    const passages = await Promise.race([sending, timer.elapsed.then(() => undefined)])
    timer.cancel()
    return passages === undefined ? leaveRunning(updates, admitted, sending, ended) : finish(updates, passages, ended)
  }

  /** Target has answered: keep what must be kept, say so, and settle behind the answer. */
  async function finish(
    updates: readonly Part[],
    passages: readonly Passage[],
    ended: Ended,
  ): Promise<readonly Receipt[]> {
    const kept = await Promise.all(passages.map((passage, index) => keepRest(at(updates, index), passage)))
    const receipts = passages.map((passage, index) => receiptOf(passage, kept[index] === true))
    const settlements = passages.map((passage, index) =>
      settlementsOf(at(updates, index), passage, kept[index] === true, receipts[index]?.status === 'rejected'),
    )
    parts.background(settleOrKeep(updates, passages, settlements, countsOf(passages, ended(receipts))))
    return receipts
  }

  /** Target is slow: the update waits in the backlog while the call goes on; what it delivers, the flush will find done. */
  async function leaveRunning(
    updates: readonly Part[],
    admitted: readonly Admitted[],
    sending: Promise<readonly Passage[]>,
    ended: Ended,
  ): Promise<readonly Receipt[]> {
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
          passages.map((passage, index) => {
            // Kept whole already: a refusal is left to the flush, which sets it aside.
            const delivered = passage.attributes.every(({ fate }) => standing(fate) === 'done')
            return settlementsOf(at(updates, index), passage, kept[index] === true || delivered)
          }),
          countsOf(passages, ended(receipts)),
        ),
      ),
    )
    return receipts
  }

  /** Puts what was not delivered where it survives. True once every put resolved. */
  async function keepRest(update: Part, passage: Passage): Promise<boolean> {
    const stamp = passage.attributes[0]?.stamp ?? update.stamp
    const dead = passage.attributes.filter(({ fate }) => standing(fate) === 'dead')
    const open = passage.attributes.filter(({ fate }) => standing(fate) === 'open')
    return (
      (dead.length === 0 || (await bury(update, passage, dead, stamp))) &&
      (open.length === 0 || (await put(update, open, stamp)))
    )
  }

  /** Deferred without an answer of the ledger: under the own stamp, to be asked about later. */
  async function keepBlind(updates: readonly Part[], reason: DeferReason): Promise<readonly Receipt[]> {
    return Promise.all(
      updates.map(async (update): Promise<Receipt> => {
        const kept = await put(update, update.attributes, update.stamp, true)
        return kept ? { status: 'deferred', reason } : { status: 'unavailable' }
      }),
    )
  }

  async function put(update: Part, attributes: readonly Attribute[], stamp: Stamp, blind = false): Promise<boolean> {
    try {
      await backlog.put({ ...entryOf(update, attributes, stamp), ...(blind ? { blind } : {}) })
      return true
    } catch (error) {
      log('backlog_put_failed', { source: update.source, error: errorName(error) })
      return false
    }
  }

  async function bury(
    update: Part,
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
    } catch (error) {
      log('dead_letter_put_failed', { source: update.source, error: errorName(error) })
      return false
    }
  }

  /**
   * A settle that fails is tried once more, each alone, so that one which the ledger refuses costs the others nothing;
   * what fails again goes into the backlog, and the flush settles it.
   */
  async function settleOrKeep(
    updates: readonly Part[],
    passages: readonly Passage[],
    settlements: readonly (readonly Settlement[])[],
    counts: Counters,
  ): Promise<void> {
    const all = settlements.flat()
    const leads = leadsOf(updates)
    if (all.length === 0 || (await settle(all, counts, leads, 1))) return
    const alone = all.length === 1
    const [settled] = await Promise.all([
      Promise.all(
        settlements.map((own) => own.length === 0 || settle(own, alone ? counts : {}, alone ? leads : {}, 2)),
      ),
      alone || settle([], counts, leads, 2),
    ])
    await Promise.all(
      passages.map((passage, index) => {
        if (settled[index] === true) return undefined
        const update = at(updates, index)
        const delivered = passage.attributes.filter(({ fate }) => fate === 'sent_delivered')
        return delivered.length === 0 ? undefined : put(update, delivered, passage.attributes[0]?.stamp ?? update.stamp)
      }),
    )
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

/** Of those updates whose last part lies behind `from`. */
function receiptsOfUpdates(
  cut: readonly (readonly Part[])[],
  receipts: readonly Receipt[],
  from: number,
): readonly Receipt[] {
  let end = 0
  return cut.flatMap((parts) => {
    const start = end
    end += parts.length
    return end > from && end <= receipts.length ? [combinedReceipt(receipts.slice(start, end))] : []
  })
}

/** The largest of each source. */
function leadsOf(updates: readonly Pick<Update, 'source' | 'leadMs'>[]): Leads {
  const leads: Record<string, number> = {}
  for (const { source, leadMs } of updates)
    if (leadMs !== undefined) leads[source] = Math.max(leadMs, leads[source] ?? 0)
  return leads
}

function attemptOf(update: Update, nowMs: number): Attempt {
  return {
    visitor: update.visitor,
    visitorHash: update.visitorHash,
    attributes: update.attributes.map((attribute) => ({ ...attribute, stamp: update.stamp })),
    sources: [update.source],
    ...(update.event === undefined ? {} : { event: update.event }),
    hold: (update.notBeforeMs ?? 0) > nowMs,
  }
}

/** Under the key of the event itself: its first stamp is what replay asks for. */
function entryOf({ whole: update }: Part, attributes: readonly Attribute[], stamp: Stamp): Entry {
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
function settlementsOf(update: Update, passage: Passage, kept: boolean, rejected = false): readonly Settlement[] {
  if (passage.event !== 'open') return []
  const verdict = rejected ? { eventRejected: true as const } : {}
  const eventDone = kept && update.event !== undefined ? { eventDone: update.event, ...verdict } : undefined
  if (passage.settlement !== undefined) return [{ ...passage.settlement, ...eventDone }]
  return eventDone === undefined ? [] : [{ visitorHash: update.visitorHash, token: '', attributes: [], ...eventDone }]
}

function receiptOf(passage: Passage, kept: boolean): Receipt {
  if (passage.event !== 'open') return { status: passage.event }
  if (!kept) return { status: 'unavailable' }
  const fates = passage.attributes.map(({ fate }) => fate)
  const open = fates.find((fate) => standing(fate) === 'open')
  if (open !== undefined) return { status: 'deferred', reason: deferReason(open) }
  if (fates.some(isRefused))
    return { status: 'rejected', ...(passage.refusal === undefined ? {} : { detail: passage.refusal }) }
  if (fates.some((fate) => standing(fate) === 'dead')) return { status: 'set_aside', reason: setAsideReason(fates) }
  if (fates.includes('sent_delivered')) return { status: 'submitted', calls: passage.calls }
  return { status: fates.includes('superseded') ? 'superseded' : 'duplicate' }
}

function isSettledVerdict(verdict: string | undefined): boolean {
  return verdict === 'delivered' || verdict === 'superseded' || verdict === 'erased'
}

function countsOf(passages: readonly Passage[], receipts: readonly Receipt[]): Counters {
  const counts: Record<string, number> = {
    received: receipts.length,
    calls: passages.reduce((sum, { calls }) => sum + calls, 0),
  }
  for (const { status } of receipts) counts[status] = (counts[status] ?? 0) + 1
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0))
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index]
  if (item === undefined) throw new RangeError('no such item')
  return item
}
