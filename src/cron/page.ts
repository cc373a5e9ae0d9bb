/** One page of the backlog: what is due of it, by visitor, in chunks that one admission and one clean-up can hold. */
import type { Entry, KeptEntry, Unreadable } from '../core/backlog/port.ts'
import type { Clock } from '../core/clock.ts'
import type { Ledger } from '../core/ledger/port.ts'
import { jumpToleranceMs } from '../core/ledger/rules/clock-watch.ts'
import type { Limits } from '../core/limits.ts'
import { type Budget, stopOf } from './budget.ts'
import type { RunConnections } from './connections.ts'
import { firstStamps, type Group, groupByVisitor, type MergedGroup, merged, without } from './groups.ts'
import { createPipeline } from './pipeline.ts'
import type { Refusals } from './refusals.ts'
import type { Replay } from './replay.ts'
import type { FlushReport } from './report.ts'

export interface PageParts {
  readonly ledger: Pick<Ledger, 'firstStamps'>
  readonly budget: Pick<Budget, 'next' | 'ask' | 'callsLeft' | 'operationsLeft'>
  readonly replay: Pick<Replay, 'chunk'>
  readonly refusals: Pick<Refusals, 'shut' | 'calm'>
  readonly connections: RunConnections
  readonly clock: Pick<Clock, 'now'>
  /** Entries deferred without contact to the ledger wait this long. */
  readonly outageSettleMs: number
  readonly suspects: ReadonlySet<string>
  readonly limits: Limits
  readonly report: FlushReport
}

/** First tries, what is left of those that the breaker held back, and what failed before. */
const rounds = 3

/** Throws a `Stop` where the run must end. */
export async function flushPage(parts: PageParts, items: readonly (KeptEntry | Unreadable)[]): Promise<void> {
  const { ledger, budget, clock, suspects, report } = parts
  const entries = items.filter((item): item is KeptEntry => 'entry' in item)
  report.read += items.length
  report.unreadable += items.length - entries.length
  const nowMs = clock.now()
  const due = entries.filter(({ entry }) => isDue(entry, nowMs, parts.outageSettleMs))
  report.deferredAgain += entries.length - due.length
  const groups = groupByVisitor(due, suspects)
  const under = firstStamps(groups, async (asked) => {
    await budget.next()
    return budget.ask('ledger_unavailable', () => parts.connections.use('ledger', () => ledger.firstStamps(asked)))
  })
  // By themselves behind all rounds of the others: with little time a run ends with what the ledger rejects.
  const isSuspect = ({ visitorHash }: Group) => suspects.has(visitorHash)
  const [others, last] = [groups.filter((group) => !isSuspect(group)), groups.filter(isSuspect)]
  for (const some of [others, last]) {
    let open: readonly Group[] = some
    // What failed before goes last, the fewest failures first: it must keep nobody else from being tried.
    for (let round = 0; open.length > 0 && round < rounds; round++)
      open = (await flushGroups(parts, open, under)).toSorted((a, b) => a.failures - b.failures)
    for (const { entries } of open) report.deferredAgain += entries.length
  }
}

/** Answers what is to be asked about once more in this run. */
async function flushGroups(
  parts: PageParts,
  groups: readonly Group[],
  under: (group: Group) => Promise<Group>,
): Promise<readonly Group[]> {
  const { replay, refusals, limits } = parts
  // While something is refused each chunk is told by the one before: beside each other all would ask in vain.
  const pipeline = createPipeline<readonly Group[]>(() => (refusals.calm ? limits.chunksAtOnce : 1))
  const stop = await stopOf(() =>
    beginAll(parts, groups, under, (chunk) => pipeline.begin((movedOn) => replay.chunk(chunk, movedOn)), pipeline.idle),
  )
  const ended = await pipeline.end()
  if (stop !== undefined || ended.stop !== undefined) throw stop ?? ended.stop
  return ended.results.flat()
}

/** @param idle waits until no chunk is under way */
async function beginAll(
  parts: PageParts,
  groups: readonly Group[],
  under: (group: Group) => Promise<Group>,
  begin: (chunk: readonly MergedGroup[]) => Promise<void>,
  idle: () => Promise<void>,
): Promise<void> {
  const { refusals, limits, report } = parts
  let chunk: MergedGroup[] = []
  for (const group of groups) {
    const open = without(group, refusals.shut)
    report.deferredAgain += group.entries.length - (open?.entries.length ?? 0)
    if (open === undefined) continue
    const next = merged(await under(open), limits)
    if (chunk.length > 0 && !fitTogether(parts, [...chunk, next])) {
      await begin(chunk)
      chunk = []
    }
    // What those under way hold and do not spend is free again behind them.
    if (chunk.length === 0 && !isAffordable(parts, [next])) await idle()
    chunk.push(next)
  }
  if (chunk.length > 0) await begin(chunk)
}

function isDue({ notBeforeMs = 0, blind, firstSeenMs }: Entry, nowMs: number, outageSettleMs: number): boolean {
  // An entry that a clock far ahead took in would wait by that clock until it is too old.
  const settles = blind === true && firstSeenMs <= nowMs + jumpToleranceMs
  return nowMs >= Math.max(notBeforeMs, settles ? firstSeenMs + outageSettleMs : 0)
}

/** Whether one admission may hold these groups, and all their entries can be cleaned up. */
function fitTogether(parts: PageParts, groups: readonly MergedGroup[]): boolean {
  const { suspects, limits, connections } = parts
  const attempts = groups.flatMap((group) => group.attempts)
  return (
    !groups.some(({ visitorHash }) => suspects.has(visitorHash)) &&
    attempts.length <= Math.min(limits.attemptsTogether, connections.callsInTime()) &&
    attempts.reduce((sum, { attributes }) => sum + attributes.length, 0) <= limits.attributesTogether &&
    isAffordable(parts, groups)
  )
}

function isAffordable({ budget }: PageParts, groups: readonly MergedGroup[]): boolean {
  return (
    groups.reduce((sum, { attempts }) => sum + attempts.length, 0) <= budget.callsLeft() &&
    groups.reduce((sum, { entries }) => sum + entries.length, 0) <= budget.operationsLeft()
  )
}
