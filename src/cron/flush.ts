/**
 * The flush: one run of the batch runner over the backlog. Lease, list, merge, and through the same door as live
 * traffic: admit, send, settle; then dead letters, put-backs, and only then deletes.
 *
 * Guarantee (G2): a key is deleted only when each of its attributes is delivered, superseded, in a dead letter, or under
 * a new key whose put resolved, and the settle was confirmed. Runs may overlap, lists may be stale, a run may die
 * anywhere: order (G3) rests on the ledger's registers, not on the lease.
 * Known hole: two overlapping runs may both put back one entry; the second copy costs list operations until it is found
 * delivered, never a value.
 */
import type { Backlog, Entry, KeptEntry, Unreadable } from '../core/backlog/port.ts'
import type { Clock, Random } from '../core/clock.ts'
import { type Attempt, type Door, type Fate, type Passage, standing } from '../core/door.ts'
import { type Ledger, maxBatch } from '../core/ledger/port.ts'
import { deadReason } from '../core/live.ts'
import { mergeNewest } from '../core/merge.ts'
import type { Stamp } from '../core/update.ts'
import { emptyReport, type FlushReport, type StopReason } from './report.ts'
import { type RingPlace, readPlace, walkBacklog, writePlace } from './ring.ts'

export interface FlushParts {
  readonly door: Door
  readonly ledger: Pick<Ledger, 'settle' | 'firstStamps' | 'lease' | 'release' | 'recall' | 'remember' | 'summary' | 'check'>
  readonly backlog: Backlog
  readonly clock: Clock
  readonly random: Random
  /** A run starts nothing new after this long. */
  readonly maxMs: number
  /** Operations on the backlog's store that one run may ask for. */
  readonly maxOperations: number
  /** Entries deferred without contact to the ledger wait this long. */
  readonly outageSettleMs: number
  /** True once its process is to end: the run ends at the next point where nothing is under way. */
  readonly stopping?: () => boolean
  /** Told how far the run is, now and then. */
  readonly progress?: (soFar: Readonly<FlushReport>) => void
  readonly log: (event: string, details?: Readonly<Record<string, string | number>>) => void
}

/** Longer than a run and the calls it leaves behind. */
const leaseMs = 90_000
/** Visitors admitted together: what four sends at a time can start well within START. */
const admittedTogether = 16
/** A chunk of nothing but failures, this many, says that Target is down: the run stops. */
const failuresThatStop = 3
export const lastRunMemo = 'flush-last-run'
const placeMemo = 'flush-place'

/** What a run must clean up after one visitor, once it was through the door. */
interface Group {
  readonly visitorHash: string
  readonly entries: readonly KeptEntry[]
}

/** Where each attribute of one entry stands, by name, with the fate that put it there. */
type Standings = Map<string, { fate: Fate; loser: boolean }>

class Stop extends Error {
  readonly reason: StopReason
  constructor(reason: StopReason) {
    super(reason)
    this.reason = reason
  }
}

/** One run. Never rejects: whatever stops it stands in the report. */
export async function flush(parts: FlushParts): Promise<FlushReport> {
  const { door, ledger, backlog, clock, random, log } = parts
  const startedMs = clock.now()
  const operationsBefore = backlog.operations
  const holder = random.hex(12)
  const report = emptyReport()
  let leasedAtMs = startedMs
  let startedAt: RingPlace | undefined
  let place: RingPlace | undefined

  try {
    if (!(await guarded('ledger_unavailable', () => ledger.lease('flush', holder, leaseMs)))) throw new Stop('leased')
    await guarded('ledger_unavailable', () => ledger.check())
    startedAt = readPlace(await guarded('ledger_unavailable', () => ledger.recall(placeMemo)))
    place = startedAt
    const pages = walkBacklog(backlog, place, (moved) => {
      place = moved
    })
    for (;;) {
      stopIfSpent(1)
      const page = await guarded('backlog_unavailable', () => pages.next())
      if (page.done === true) break
      await flushPage(page.value)
    }
  } catch (error) {
    if (!(error instanceof Stop)) throw error
    report.stopped = error.reason
  }

  report.durationMs = clock.now() - startedMs
  if (report.stopped !== 'leased' && report.stopped !== 'ledger_unavailable') await leave()
  log('flush', { ...report })
  return report

  async function leave(): Promise<void> {
    try {
      // An idle run, 1,440 times a day, asks no more of the ledger than it must.
      if (report.listed > 0) report.quotaLeft = (await ledger.summary()).remaining
      if (place !== startedAt && place !== undefined) await ledger.remember(placeMemo, writePlace(place))
      await ledger.remember(lastRunMemo, JSON.stringify({ atMs: clock.now(), report }))
      await ledger.release('flush', holder)
    } catch {
      log('flush_end_not_recorded')
    }
  }

  async function flushPage(items: readonly (KeptEntry | Unreadable)[]): Promise<void> {
    const entries = items.filter((item): item is KeptEntry => 'entry' in item)
    report.listed += items.length
    report.unreadable += items.length - entries.length
    const nowMs = clock.now()
    const due = entries.filter(({ entry }) => nowMs >= dueMs(entry))
    report.deferredAgain += entries.length - due.length
    const groups = groupByVisitor(await underFirstStamps(due))
    for (let start = 0; start < groups.length; start += admittedTogether) {
      const together = groups.slice(start, start + admittedTogether)
      stopIfSpent(2 * together.length)
      if (clock.now() - leasedAtMs > leaseMs / 3) {
        leasedAtMs = clock.now()
        if (!(await guarded('ledger_unavailable', () => ledger.lease('flush', holder, leaseMs)))) throw new Stop('leased')
      }
      await flushTogether(together)
    }
  }

  function dueMs(entry: Entry): number {
    return Math.max(entry.notBeforeMs ?? 0, entry.blind === true ? entry.firstSeenMs + parts.outageSettleMs : 0)
  }

  function stopIfSpent(operationsNeeded: number): void {
    if (parts.stopping?.() === true) throw new Stop('stopping')
    if (clock.now() - startedMs >= parts.maxMs) throw new Stop('time')
    if (operationsLeft() < operationsNeeded) throw new Stop('operations')
  }

  function operationsLeft(): number {
    return parts.maxOperations - (backlog.operations - operationsBefore)
  }

  /** Entries that never met the ledger take their event's first stamp, and equal ids the earliest. */
  async function underFirstStamps(entries: readonly KeptEntry[]): Promise<readonly KeptEntry[]> {
    const earliest = new Map<string, Stamp>()
    for (const { entry } of entries) {
      if (entry.event === undefined) continue
      const held = earliest.get(entry.event)
      if (held === undefined || entry.stamp < held) earliest.set(entry.event, entry.stamp)
    }
    const blind = [...new Set(entries.flatMap(({ entry }) => (entry.blind === true && entry.event !== undefined ? [entry.event] : [])))]
    for (let start = 0; start < blind.length; start += maxBatch) {
      const asked = blind.slice(start, start + maxBatch).map((event) => ({ event, stamp: earliest.get(event) ?? '' }))
      const stamps = await guarded('ledger_unavailable', () => ledger.firstStamps(asked))
      asked.forEach(({ event }, index) => {
        const stamp = stamps[index]
        if (stamp !== undefined) earliest.set(event, stamp)
      })
    }
    return entries.map(({ key, entry }) => {
      const stamp = entry.event === undefined ? entry.stamp : (earliest.get(entry.event) ?? entry.stamp)
      return { key, entry: { ...entry, stamp } }
    })
  }

  async function flushTogether(groups: readonly Group[]): Promise<void> {
    const passages = await passAndSettle(groups.map((group) => attemptOf(group, mergeNewest(group.entries.map(({ entry }) => entry)))))
    for (const [index, group] of groups.entries()) {
      const passage = passages[index]
      if (passage === undefined) continue
      const standings = standingsOf(group, passage)
      report.merged += Math.max(0, group.entries.length - 1)
      if (passage.calls > 0) report.callsSaved += Math.max(0, group.entries.length - passage.calls)
      if (passage.attributes.some(({ fate }) => fate === 'refused_together')) await takeApart(group, standings)
      for (const kept of group.entries) await cleanUp(kept, standings.get(kept.key) ?? new Map(), passage)
    }
    parts.progress?.(report)
    stopIfRefusedRoom(passages)
  }

  /** The door, and the settle confirmed: only behind it may anything leave the backlog. */
  async function passAndSettle(attempts: readonly Attempt[]): Promise<readonly Passage[]> {
    const admitted = await guarded('ledger_unavailable', () => door.admit(attempts, 'replay'))
    const passages = await door.send(admitted)
    const settlements = passages.flatMap(({ settlement }) => (settlement === undefined ? [] : [settlement]))
    const calls = passages.reduce((sum, passage) => sum + passage.calls, 0)
    report.calls += calls
    if (settlements.length > 0) await guarded('ledger_unavailable', () => ledger.settle(settlements, { calls, replayCalls: calls }))
    return passages
  }

  /**
   * A merged call that Target refused: each event alone, the oldest first, one call each, so that one bad event does not
   * condemn its neighbours, and a loser does not leave with a refused winner.
   */
  async function takeApart(group: Group, standings: Map<string, Standings>): Promise<void> {
    const refused = new Set(
      [...standings.values()].flatMap((byName) => [...byName].flatMap(([name, { fate }]) => (fate === 'refused_together' ? [name] : []))),
    )
    const oldestFirst = [...group.entries].sort((a, b) => (a.entry.stamp < b.entry.stamp ? -1 : 1))
    for (const { key, entry } of oldestFirst) {
      const attributes = entry.attributes.filter(({ name }) => refused.has(name))
      if (attributes.length === 0) continue
      const [passage] = await passAndSettle([
        attemptOf(
          group,
          attributes.map((attribute) => ({ ...attribute, stamp: entry.stamp })),
        ),
      ])
      for (const { name, fate } of passage?.attributes ?? []) standings.get(key)?.set(name, { fate, loser: false })
    }
  }

  /** Dead letter, put-back, delete, in this order; any of them failing leaves the entry where it is. */
  async function cleanUp({ key, entry }: KeptEntry, standings: Standings, passage: Passage): Promise<void> {
    const of = (wanted: string) => entry.attributes.filter(({ name }) => standingOf(standings.get(name)) === wanted)
    const [dead, open] = [of('dead'), of('open')]
    if (open.length === entry.attributes.length) {
      report.deferredAgain++
      return
    }
    if (operationsLeft() < 3) throw new Stop('operations')
    await guarded('backlog_unavailable', async () => {
      if (dead.length > 0) {
        const fates = dead.flatMap(({ name }) => standings.get(name)?.fate ?? [])
        await backlog.bury({
          reason: deadReason(fates),
          source: entry.source,
          ...(passage.refusal === undefined || deadReason(fates) !== 'rejected' ? {} : { detail: passage.refusal }),
          atMs: clock.now(),
          firstSeenMs: entry.firstSeenMs,
          attempts: passage.attempts + passage.calls,
          entry: { ...entry, attributes: dead },
        })
        report.dead++
      }
      if (open.length > 0) {
        const { blind: _met, ...rest } = entry
        await backlog.put({ ...rest, attributes: open })
        report.deferredAgain++
      }
      await backlog.delete(key)
    })
    if (open.length > 0 || dead.length > 0) return
    if ([...standings.values()].some(({ fate, loser }) => fate === 'sent_delivered' && !loser)) report.replayed++
    else report.superseded++
  }

  function stopIfRefusedRoom(passages: readonly Passage[]): void {
    const retryAtMs = passages.flatMap((passage) => passage.retryAtMs ?? [])
    const fates = new Set(passages.flatMap(({ attributes }) => attributes.map(({ fate }) => fate)))
    if (fates.has('paused')) throw new Stop('paused')
    if (fates.has('shut') && !fates.has('sent_delivered')) throw new Stop('target_unavailable')
    if (fates.has('quota')) {
      if (retryAtMs.length > 0) report.retryAtMs = Math.min(...retryAtMs)
      throw new Stop('quota')
    }
    const failures = passages.filter(({ failure }) => failure !== undefined)
    if (
      failures.some(({ failure }) => failure === 'misconfigured') ||
      (!fates.has('sent_delivered') && failures.length >= failuresThatStop)
    )
      throw new Stop('target_unavailable')
  }

  async function guarded<T>(reason: StopReason, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof Stop) throw error
      log('flush_stopped', { reason, error: error instanceof Error ? error.name : typeof error })
      throw new Stop(reason)
    }
  }
}

/** Who has waited longest goes first, or with little quota the end of the alphabet would wait for ever (G7). */
function groupByVisitor(entries: readonly KeptEntry[]): readonly Group[] {
  const groups = new Map<string, KeptEntry[]>()
  for (const kept of entries) {
    const group = groups.get(kept.entry.visitorHash)
    if (group === undefined) groups.set(kept.entry.visitorHash, [kept])
    else group.push(kept)
  }
  const since = ({ entries }: Group) => Math.min(...entries.map(({ entry }) => entry.firstSeenMs))
  return [...groups]
    .map(([visitorHash, entries]) => ({ visitorHash, entries }))
    .map((group) => ({ group, sinceMs: since(group) }))
    .sort((a, b) => a.sinceMs - b.sinceMs)
    .map(({ group }) => group)
}

function attemptOf(group: Group, attributes: Attempt['attributes']): Attempt {
  const [first] = group.entries
  if (first === undefined) throw new Error('a group without entries')
  const { visitor, source } = first.entry
  const shared = group.entries.every(({ entry }) => entry.source === source)
  return { visitor, visitorHash: group.visitorHash, attributes, ...(shared ? { source } : {}) }
}

/** An entry's attribute stands where the newest of its name stands; a loser only follows a winner that Target has. */
function standingsOf(group: Group, passage: Passage): Map<string, Standings> {
  const winners = new Map(passage.attributes.map((attribute) => [attribute.name, attribute]))
  return new Map(
    group.entries.map(({ key, entry }) => [
      key,
      new Map(
        entry.attributes.flatMap(({ name }) => {
          const winner = winners.get(name)
          return winner === undefined ? [] : [[name, { fate: winner.fate, loser: winner.stamp !== entry.stamp }] as const]
        }),
      ),
    ]),
  )
}

function standingOf(at: { fate: Fate; loser: boolean } | undefined) {
  if (at === undefined) return 'open'
  const winner = standing(at.fate)
  return at.loser && winner !== 'done' ? 'open' : winner
}
