/** What waits and what is dead, as `/metrics` says it. */
import { type Counts, deadReasons } from '../core/backlog/port.ts'
import { otherSource } from '../core/ledger/rules/figures.ts'
import type { StatusAnswer } from '../edge/contract/status.ts'
import { flag, gauge, type Metric, type Sample, timestamp } from '../edge/http/metrics-text.ts'

/** @param sources those that have series of their own */
export function backlogMetrics(
  { backlog, dead, quota }: Pick<StatusAnswer, 'backlog' | 'dead' | 'quota'>,
  sources: ReadonlySet<string>,
): readonly Metric[] {
  return [
    ...(backlog === undefined ? [] : waitingMetrics(backlog, sources)),
    timestamp('quota_first_deferral', 'When the quota will be used up: a forecast.', msOf(quota.firstDeferralAt)),
    ...(dead === undefined ? [] : deadMetrics(dead, sources)),
  ]
}

function waitingMetrics(
  {
    waiting,
    visitors,
    calls,
    bySource,
    byReason,
    complete,
    oldestAt,
    countedAt,
    doneBy,
  }: NonNullable<StatusAnswer['backlog']>,
  sources: ReadonlySet<string>,
): readonly Metric[] {
  return [
    gauge('backlog_entries', 'Entries that wait in the backlog.', [{ value: waiting }]),
    gauge('backlog_entries_by_reason', 'The same by reason of deferral.', by('reason', byReason)),
    gauge('backlog_entries_by_source', 'The same by source.', by('source', ofSources(bySource, sources))),
    gauge('backlog_visitors', 'Visitors of whom something waits.', known(visitors)),
    gauge('backlog_calls', 'Calls at most that what waits takes once it is merged.', known(calls)),
    gauge('backlog_complete', 'Whether all of the backlog was counted: 1 or 0.', [flag(complete)]),
    timestamp('backlog_counted', 'When the oldest part of the backlog was counted.', msOf(countedAt)),
    timestamp('backlog_oldest', 'When the oldest entry was taken in.', msOf(oldestAt)),
    timestamp('backlog_done', 'When what waits will be through: a forecast.', msOf(doneBy)),
  ]
}

function deadMetrics(
  { count, byReason, bySource }: NonNullable<StatusAnswer['dead']>,
  sources: ReadonlySet<string>,
): readonly Metric[] {
  const none = Object.fromEntries(deadReasons.map((reason) => [reason, 0]))
  return [
    gauge('dead_letters', 'Dead letters.', [{ value: count }]),
    gauge('dead_letters_by_reason', 'The same by reason.', by('reason', { ...none, ...byReason })),
    gauge('dead_letters_by_source', 'The same by source.', by('source', ofSources(bySource, sources))),
  ]
}

function known(value: number | undefined): readonly Sample[] {
  return value === undefined ? [] : [{ value }]
}

function by(label: string, counts: Counts): readonly Sample[] {
  return Object.entries(counts).map(([name, value]) => ({ labels: { [label]: name }, value }))
}

function ofSources(counts: Counts, sources: ReadonlySet<string>): Counts {
  const sums: Record<string, number> = {}
  for (const [name, count] of Object.entries(counts)) {
    const source = sources.has(name) ? name : otherSource
    sums[source] = (sums[source] ?? 0) + count
  }
  return sums
}

/** Of an ISO 8601 time, epoch ms. */
function msOf(at: string | undefined): number | undefined {
  return at === undefined ? undefined : Date.parse(at)
}
