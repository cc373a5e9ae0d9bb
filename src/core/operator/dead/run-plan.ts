/**
 * Runs a plan: what goes again is put into the backlog, from where the flush delivers it; then its letter is deleted.
 *
 * Guarantee (G9): in each step every put is durable before a letter goes, and the place is kept behind the step. So a run
 * that dies between any two moments is done again from its last place: a letter that is gone is passed over, and an entry
 * has a name of its letter's, under which it is kept once. Its first stamp is its own, so that a newer value wins (G3).
 * Nothing but the letters of the set is touched.
 * Known hole: a KV that still shows a letter which a run before has moved puts its entry back; the ledger finds it
 * delivered. If Target refused it in between, it is refused, and set aside, twice.
 */
import { readDeadKey } from '../../backlog/entry-format.ts'
import type { Backlog, DeadLetter, Entry, KeptDead, NamedEntry, Unreadable } from '../../backlog/port.ts'
import type { Clock } from '../../clock.ts'
import { cutAttributes } from '../../delivery/parts.ts'
import type { Ledger } from '../../ledger/port.ts'
import type { Limits } from '../../limits.ts'
import { stampAt, stampTimeMs } from '../../update/stamp.ts'
import type { Stamp, Update } from '../../update/update.ts'
import type { Reading } from '../remap.ts'
import type { Share } from './make-plan.ts'
import { type Plan, type Plans, pageKey, type StayReason } from './plan.ts'

export interface RunPlanParts {
  readonly backlog: Pick<Backlog, 'readDeads' | 'exchange' | 'readText' | 'delete'>
  readonly ledger: Pick<Ledger, 'summary'>
  readonly plans: Plans
  readonly clock: Pick<Clock, 'now'>
  /** @param arrivalMs when the event counts as received, epoch ms */
  readonly map: (letter: DeadLetter & { readonly raw: string }, arrivalMs: number) => Promise<Reading>
  readonly retentionMs: number
  readonly limits: Pick<Limits, 'lettersPerStep' | 'attributesPerAttempt'>
}

/** What becomes of a letter: its entries, and then it goes; or it stays. */
type Moved = readonly NamedEntry[] | StayReason

/** Does as much of a plan as the share allows. Rejects where a store does not answer; its place is kept. */
export type RunPlan = (plan: Plan, share: Share) => Promise<void>

export function createRunPlan(parts: RunPlanParts): RunPlan {
  const { backlog, ledger, plans, clock, map, retentionMs, limits } = parts
  return async (plan, share) => {
    let lostMs: number | undefined
    while (plan.page < plan.pages) {
      if (!share.has(2)) return
      // Behind the place that was kept: a run that died here finds the next page.
      if (plan.at === 0 && plan.page > 0) await backlog.delete(pageKey(plan.id, plan.page - 1))
      const text = await backlog.readText(pageKey(plan.id, plan.page))
      // A KV that does not show it yet: the next run looks again.
      if (text === undefined) return
      const keys = text.split('\n')
      while (plan.at < keys.length) {
        const step = stepOf(keys.length - plan.at, share)
        if (step === 0) return
        if (await plans.isCancelled(plan.id)) return
        lostMs ??= (await ledger.summary()).lostAtMs ?? 0
        await move(plan, keys.slice(plan.at, plan.at + step), lostMs)
        plan.at += step
        await plans.save(plan)
      }
      plan.page++
      plan.at = 0
      await plans.save(plan)
    }
    // Only the last text may be left, and a run that dies here comes back for it.
    if (plan.pages > 0) await backlog.delete(pageKey(plan.id, plan.pages - 1))
    plan.state = 'done'
    await plans.save(plan)
  }

  /** As many letters as can be afforded: on a KV each takes a put and a delete. */
  function stepOf(left: number, share: Share): number {
    for (let step = Math.min(left, limits.lettersPerStep); step > 0; step >>= 1)
      if (share.has(1 + 2 * step)) return step
    return 0
  }

  async function move(plan: Plan, keys: readonly string[], lostMs: number): Promise<void> {
    if (plan.action === 'drop') {
      await backlog.exchange([], keys)
      plan.done += keys.length
      return
    }
    const items = await backlog.readDeads(keys)
    const [puts, deletes]: [NamedEntry[], string[]] = [[], []]
    for (const item of items) {
      const moved = await movedOf(plan, item, lostMs)
      if (typeof moved === 'string') {
        plan.failed++
        plan.stay[moved] = (plan.stay[moved] ?? 0) + 1
        continue
      }
      puts.push(...moved)
      deletes.push(item.key)
    }
    await backlog.exchange(puts, deletes)
    // What is no longer there was moved before, or erased.
    plan.done += deletes.length + keys.length - items.length
  }

  async function movedOf(plan: Plan, item: KeptDead | Unreadable, lostMs: number): Promise<Moved> {
    const name = readDeadKey(item.key)?.name
    if (!('dead' in item) || name === undefined) return 'unreadable'
    const { entry, raw } = item.dead
    if (plan.action === 'remap') {
      if (raw === undefined) return 'unfit'
      const reading = await map({ ...item.dead, raw }, item.dead.firstSeenMs)
      if (!reading.ok) return 'unmappable'
      const stays = reading.updates.map(({ stamp }) => stayOf(plan, stamp, lostMs)).find((why) => why !== undefined)
      if (stays !== undefined) return stays
      return reading.updates.flatMap((update) => named(plan, entriesOf(update, item.dead), name))
    }
    if (entry === undefined) return 'unfit'
    const stays = stayOf(plan, entry.stamp, lostMs)
    if (stays !== undefined) return stays
    const { notBeforeMs: _past, ...again } = entry
    return named(plan, [{ ...again, reason: 'plan' }], name)
  }

  /** The ledger would set it aside again: under this stamp it can't go. */
  function stayOf({ asNew }: Plan, stamp: Stamp, lostMs: number): StayReason | undefined {
    if (asNew) return undefined
    if (stampTimeMs(stamp) < clock.now() - retentionMs) return 'too_old'
    return stampTimeMs(stamp) <= lostMs ? 'lost' : undefined
  }

  /** In parts that one attempt can carry, as a deferred update is kept. The event was never asked about: blind. */
  function entriesOf(update: Update, { firstSeenMs }: DeadLetter): readonly Entry[] {
    const { visitor, visitorHash, stamp, source } = update
    const kept = { visitor, visitorHash, stamp, source, firstSeenMs, blind: true as const, reason: 'plan' as const }
    return cutAttributes(visitor, update.attributes, limits).map((attributes) => ({
      ...kept,
      attributes,
      ...(update.event === undefined ? {} : { event: update.event }),
    }))
  }

  /** The name of each follows from its letter's. */
  function named({ asNew, runMs = 0 }: Plan, entries: readonly Entry[], name: string): readonly NamedEntry[] {
    return entries.map((entry, index) => ({
      entry: asNew ? renewed(entry, runMs) : entry,
      name: name.slice(4) + index.toString(16).padStart(4, '0'),
    }))
  }
}

/**
 * As if it had happened when the run began. Its arrival stays, so that an erasure still meets it; it has no event any
 * more, whose first stamp would take its new place.
 */
function renewed({ event: _, blind: __, ...entry }: Entry, atMs: number): Entry {
  return { ...entry, stamp: stampAt(entry.stamp, atMs) }
}
