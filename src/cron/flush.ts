/**
 * The flush: one run of the batch runner over the backlog. Lease, list, merge, and through the same door as live
 * traffic: admit, send, settle; then dead letters, put-backs, and only then deletes.
 *
 * Guarantee (G2): a key is deleted only when each of its attributes is delivered, superseded, in a dead letter, or under
 * a new key whose put resolved, and the settle was confirmed. Runs may overlap, lists may be stale, a run may die
 * anywhere: order (G3) rests on the ledger's registers, not on the lease. A run ends soon after its budget does, whatever
 * it met, with what it did cleaned up as far as that goes; the next one goes on there.
 * Known hole: two overlapping runs may both put back one entry; the second copy costs list operations until it is found
 * delivered, never a value.
 */
import type { Backlog, Entry, KeptEntry, Unreadable } from '../core/backlog/port.ts'
import type { Random } from '../core/clock.ts'
import type { Door, Passage } from '../core/delivery/door.ts'
import { deadReason } from '../core/delivery/fate.ts'
import { errorName } from '../core/errors.ts'
import { given } from '../core/given.ts'
import type { Ledger } from '../core/ledger/port.ts'
import { jumpToleranceMs } from '../core/ledger/rules/clock-watch.ts'
import type { Traits } from '../core/ledger/rules/health.ts'
import { defaultLimits, type Limits } from '../core/limits.ts'
import { type BudgetParts, createBudget, Stop } from './budget.ts'
import {
  askedAgain,
  attemptsOf,
  firstStamps,
  type Group,
  groupByVisitor,
  type MergedGroup,
  merged,
  nextNewest,
  type Standings,
  standingOf,
  standingsOf,
  standNext,
  without,
} from './groups.ts'
import { createPass } from './passing.ts'
import { emptyReport, type FlushReport } from './report.ts'
import { placeMemo, readPlace, walkBacklog, writePlace } from './ring.ts'

export interface FlushParts extends BudgetParts {
  readonly door: Door
  readonly ledger: Pick<
    Ledger,
    'settle' | 'firstStamps' | 'lease' | 'release' | 'recall' | 'remember' | 'summary' | 'check'
  >
  readonly backlog: Backlog
  readonly random: Random
  /** Entries deferred without contact to the ledger wait this long. */
  readonly outageSettleMs: number
  /** Told how far the run is, now and then. */
  readonly progress?: (soFar: Readonly<FlushReport>) => void
  readonly limits?: Limits
}

/** The least that does something: a list, a bulk read, and a dead letter, a put-back and a delete. */
const operationsAPage = 5
/** First tries, what is left of those that met the breaker, and what failed before. */
const rounds = 3
export const lastRunMemo = 'flush-last-run'

/** One run. Never rejects: whatever stops it stands in the report. */
export async function flush(parts: FlushParts): Promise<FlushReport> {
  const { door, ledger, backlog, clock, random, log, limits = defaultLimits } = parts
  const holder = random.hex(12)
  const budget = createBudget(parts, holder)
  const report = emptyReport()
  const suspects = new Set<string>()
  const pass = createPass({ door, ledger, budget, limits, report, suspects, log })
  let leased = false
  let kept: string | undefined
  let position = ''
  /** Chunks that were worked on to their end. */
  let chunks = 0
  /** What the breaker is about, as far as this run was told: that need not be asked about. */
  let shut: Traits | undefined

  try {
    await budget.begin()
    leased = true
    await budget.ask('ledger_unavailable', () => ledger.check())
    await readBacklog()
  } catch (error) {
    if (!(error instanceof Stop)) throw error
    report.stopped = error.reason
  }

  report.durationMs = Math.round(budget.elapsedMs())
  if (leased && report.stopped !== 'leased') await leave()
  // What it did not hear may have been a yes.
  else if (report.stopped === 'ledger_unavailable') await release()
  log('flush', { ...report })
  return report

  async function readBacklog(): Promise<void> {
    kept = await budget.ask('ledger_unavailable', () => ledger.recall(placeMemo))
    const place = readPlace(kept)
    position = place.position
    for (const visitor of place.suspects) suspects.add(visitor)
    const pages = walkBacklog(backlog, position, keysToList, (moved) => {
      position = moved
    })
    let pagesWorkedOn = 0
    for (let pagesRead = 0; ; pagesRead++) {
      const before = position
      // Or a page is read and nothing of it done, in every run that comes as far as this with so little left.
      await budget.next(operationsAPage)
      const askedAtMs = budget.elapsedMs()
      const page = await budget.ask('backlog_unavailable', () => pages.next())
      if (page.done === true) {
        if (shut !== undefined) report.stopped = 'target_unavailable'
        return
      }
      budget.pageRead(budget.elapsedMs() - (pagesWorkedOn === 0 ? 0 : askedAtMs))
      if (page.value.length === 0) continue
      pagesWorkedOn++
      // Before the page is worked on: a run that dies there does not find itself there again.
      await budget.ask('ledger_unavailable', keepPlace)
      const chunksBefore = chunks
      const stop = await stopOf(() => flushPage(page.value))
      if (stop === undefined) continue
      // Nothing of it was done with what others had left: the next run has its whole budget for it. Where a store failed,
      // it may fail on this page alone, and the next run goes on behind it.
      if (chunks === chunksBefore && pagesRead > 0 && spent.has(stop.reason)) position = before
      throw stop
    }
  }

  /** Reading a page takes a quarter of the operations that are left, or working on it would have none. */
  function keysToList(): number {
    return Math.min(limits.keysPerPage, limits.keysPerRead * Math.max(1, Math.floor(budget.operationsLeft() / 4)))
  }

  async function keepPlace(): Promise<void> {
    const text = writePlace({ position, suspects: [...suspects] })
    if (text === (kept ?? writePlace(readPlace(undefined)))) return
    await ledger.remember(placeMemo, text)
    kept = text
  }

  async function leave(): Promise<void> {
    try {
      await keepPlace()
      // An idle run, 1,440 times a day, asks no more of the ledger than it must.
      if (report.listed > 0) {
        const { remaining, health } = await ledger.summary()
        report.quotaLeft = remaining
        // Opened by this run's last calls: nothing was left to ask about.
        if (report.stopped === 'drained' && health.breaker !== undefined) report.stopped = 'target_unavailable'
      }
      await ledger.remember(lastRunMemo, JSON.stringify({ atMs: clock.now(), report }))
    } catch (error) {
      log('flush_end_not_recorded', { error: errorName(error) })
    }
    // By itself: a run whose end could not be recorded must not keep the next ones away.
    await release()
  }

  async function release(): Promise<void> {
    await ledger.release('flush', holder).catch((error) => log('flush_lease_kept', { error: errorName(error) }))
  }

  async function flushPage(items: readonly (KeptEntry | Unreadable)[]): Promise<void> {
    const entries = items.filter((item): item is KeptEntry => 'entry' in item)
    report.listed += items.length
    report.unreadable += items.length - entries.length
    const nowMs = clock.now()
    const due = entries.filter(({ entry }) => isDue(entry, nowMs))
    report.deferredAgain += entries.length - due.length
    const groups = groupByVisitor(due, suspects)
    const under = firstStamps(groups, async (asked) => {
      await budget.next()
      return budget.ask('ledger_unavailable', () => ledger.firstStamps(asked))
    })
    let open: readonly Group[] = groups
    // What failed before goes last, the fewest failures first: it must keep nobody else from being tried.
    for (let round = 0; open.length > 0 && round < rounds; round++)
      open = (await flushGroups(open, under)).toSorted((a, b) => a.failures - b.failures)
    for (const { entries } of open) report.deferredAgain += entries.length
  }

  /** Answers what is to be asked about once more in this run. */
  async function flushGroups(
    groups: readonly Group[],
    under: (group: Group) => Promise<Group>,
  ): Promise<readonly Group[]> {
    const again: Group[] = []
    let chunk: MergedGroup[] = []
    for (const group of groups) {
      const open = without(group, shut)
      report.deferredAgain += group.entries.length - (open?.entries.length ?? 0)
      if (open === undefined) continue
      const next = merged(await under(open), limits)
      if (chunk.length > 0 && !fitTogether([...chunk, next])) {
        again.push(...(await flushChunk(chunk)))
        chunk = []
      }
      chunk.push(next)
    }
    if (chunk.length > 0) again.push(...(await flushChunk(chunk)))
    return again
  }

  function isDue({ notBeforeMs = 0, blind, firstSeenMs }: Entry, nowMs: number): boolean {
    // One that a clock far ahead took in would wait by it until it is too old.
    const settles = blind === true && firstSeenMs <= nowMs + jumpToleranceMs
    return nowMs >= Math.max(notBeforeMs, settles ? firstSeenMs + parts.outageSettleMs : 0)
  }

  /** Groups for one admission, of which all entries can be cleaned up. */
  function fitTogether(groups: readonly MergedGroup[]): boolean {
    const attempts = groups.flatMap((group) => group.attempts)
    return (
      !groups.some(({ visitorHash }) => suspects.has(visitorHash)) &&
      attempts.length <= Math.min(limits.attemptsTogether, budget.callsLeft()) &&
      attempts.reduce((sum, { attributes }) => sum + attributes.length, 0) <= limits.attributesTogether &&
      groups.reduce((sum, { entries }) => sum + entries.length, 0) <= budget.operationsLeft()
    )
  }

  async function flushChunk(groups: readonly MergedGroup[]): Promise<readonly Group[]> {
    await budget.next(1)
    const passed: Passage[] = []
    const again: Group[] = []
    let stop = await stopOf(() =>
      pass(
        groups.flatMap(({ attempts }) => attempts),
        passed,
      ),
    )
    // It has closed the breaker, whatever that was about.
    const yes = passed.some(({ attributes }) => attributes.some(({ fate }) => fate === 'sent_delivered'))
    for (const group of groups) {
      const passages = passed.filter(({ attempt }) => attempt.visitorHash === group.visitorHash)
      if (passages.length === 0) continue
      const later = askedAgain(group, passages, yes)
      if (later !== undefined) {
        again.push(...later)
        report.deferredAgain += group.entries.length - later.reduce((sum, { entries }) => sum + entries.length, 0)
        continue
      }
      const standings = standingsOf(group, passages)
      const calls = passages.reduce((sum, passage) => sum + passage.calls, 0)
      report.merged += Math.max(0, group.entries.length - 1)
      if (calls > 0) report.callsSaved += Math.max(0, group.entries.length - calls)
      if (
        stop === undefined &&
        passages.some(({ attributes }) => attributes.some(({ fate }) => fate === 'refused_together'))
      )
        stop = await stopOf(() => takeApart(group, standings, passages))
      if (stop === undefined) stop = await stopOf(() => passNext(group, standings, passages))
      for (const entry of group.entries) await cleanUp(entry, standings.get(entry.key) ?? new Map(), passages)
    }
    parts.progress?.(report)
    if (stop !== undefined) throw stop
    chunks++
    stopIfRefusedRoom(passed)
    return again
  }

  /**
   * A merged call that Target refused: each event alone, the oldest first, one call each, so that one bad event does not
   * condemn its neighbours, and a loser does not leave with a refused winner. Adds what passed to `passages`.
   */
  async function takeApart(
    group: Group,
    standings: ReadonlyMap<string, Standings>,
    passages: Passage[],
  ): Promise<void> {
    const refused = new Set(
      [...standings.values()].flatMap((byName) =>
        [...byName].flatMap(([name, { fate }]) => (fate === 'refused_together' ? [name] : [])),
      ),
    )
    const oldestFirst = [...group.entries].sort((a, b) => (a.entry.stamp < b.entry.stamp ? -1 : 1))
    for (const kept of oldestFirst) {
      const attributes = kept.entry.attributes.filter(({ name }) => refused.has(name))
      if (attributes.length === 0) continue
      const alone = attributes.map((attribute) => ({ ...attribute, stamp: kept.entry.stamp }))
      const passed: Passage[] = []
      // What went through counts, also where the run must end behind it.
      const stop = await stopOf(() => pass(attemptsOf(group, alone, limits), passed))
      passages.push(...passed)
      for (const { name, fate } of passed.flatMap((passage) => passage.attributes))
        standings.get(kept.key)?.set(name, { fate, loser: false })
      if (stop !== undefined) throw stop
      stopIfRefusedRoom(passed)
      // This visitor is to be left alone for a while.
      if (passed.some(({ failure }) => failure !== undefined)) return
    }
  }

  /**
   * Where the newest value is set aside the next newest takes its place, and so on: left for the next run, hundreds of one
   * visitor would take as many runs. Adds what passed to `passages`.
   */
  async function passNext(group: Group, standings: ReadonlyMap<string, Standings>, passages: Passage[]): Promise<void> {
    for (;;) {
      const next = nextNewest(group, standings)
      if (next.length === 0) return
      const passed: Passage[] = []
      const stop = await stopOf(() => pass(attemptsOf(group, next, limits), passed))
      passages.push(...passed)
      standNext(group, standings, passed)
      if (stop !== undefined) throw stop
      stopIfRefusedRoom(passed)
      if (passed.length === 0 || passed.some(({ failure }) => failure !== undefined)) return
    }
  }

  /** Dead letter, put-back, delete, in this order; any of them failing leaves the entry where it is. */
  async function cleanUp({ key, entry }: KeptEntry, standings: Standings, passages: readonly Passage[]): Promise<void> {
    const of = (wanted: string) => entry.attributes.filter(({ name }) => standingOf(standings.get(name)) === wanted)
    const [dead, open] = [of('dead'), of('open')]
    if (open.length === entry.attributes.length) {
      report.deferredAgain++
      return
    }
    await budget.cleanUp(1 + Math.min(dead.length, 1) + Math.min(open.length, 1))
    await budget.ask('backlog_unavailable', async () => {
      if (dead.length > 0) {
        const reason = deadReason(dead.flatMap(({ name }) => standings.get(name)?.fate ?? []))
        const names = new Set(dead.map(({ name }) => name))
        const about = passages.filter(({ attributes }) =>
          attributes.some(({ name, stamp }) => names.has(name) && stamp === entry.stamp),
        )
        const refusal = about.findLast((passage) => passage.refusal !== undefined)?.refusal
        await backlog.bury({
          reason,
          source: entry.source,
          ...given({ detail: saidByTarget.has(reason) ? refusal : undefined }),
          atMs: clock.now(),
          firstSeenMs: entry.firstSeenMs,
          attempts: Math.max(0, ...about.map(({ attempts, calls }) => attempts + calls)),
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
    // A yes has closed the breaker, whatever it was about.
    shut = fates.has('sent_delivered')
      ? undefined
      : (passages.find(({ shutTraits }) => shutTraits !== undefined)?.shutTraits ?? shut)
    if (shut?.length === 0) throw new Stop('target_unavailable')
    if (fates.has('quota')) {
      if (retryAtMs.length > 0) report.retryAtMs = Math.min(...retryAtMs)
      throw new Stop('quota')
    }
  }
}

/** Dead letters that Target, or what stands before it, gave the reason for. */
const saidByTarget: ReadonlySet<string> = new Set(['rejected', 'refused_repeatedly'])
/** Why a run ends that has nothing left to spend. */
const spent: ReadonlySet<string> = new Set(['time', 'operations', 'calls', 'subrequests'])

async function stopOf(work: () => Promise<void>): Promise<Stop | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (error instanceof Stop) return error
    throw error
  }
}
