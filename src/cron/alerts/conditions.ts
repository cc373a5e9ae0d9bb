/** What is worth an alert: a pure function of what is known after a run. docs/observability.md has the table. */
import { given } from '../../core/given.ts'
import type { Summary } from '../../core/ledger/port.ts'
import type { FlushReport } from '../report.ts'
import { type AlertData, type AlertState, type AlertType, type Condition, type DeadWatch, nameOf } from './alert.ts'

/** What is known after a run. Absent: not known. */
export interface Snapshot {
  readonly nowMs: number
  readonly report: Pick<FlushReport, 'stopped' | 'unreadable'>
  /** `alarm`: the cron was silent, and the object started the run. */
  readonly startedBy: 'cron' | 'alarm'
  readonly summary: Summary
  readonly retentionMs: number
  readonly quotaWindowMs: number
  readonly tokenExpiresAtMs?: number
  /** What other duties found. */
  readonly figures: Figures
}

export interface Figures {
  /** When the first update will be deferred at the pace of the last hour; null: not within the day. */
  readonly firstDeferralAtMs?: number | null
  /** Since when the oldest entry waits, epoch ms; null where nothing waits. */
  readonly oldestAtMs?: number | null
  /** Dead letters: how many, and of how many the retention ends within a week. */
  readonly dead?: number
  readonly deadEnding?: number
  /** By source: failed authentications since the last one that succeeded. */
  readonly unauthenticatedInRow?: Readonly<Record<string, number>>
}

const usedLevels = [80, 95, 100] as const
const oldestLevels = [25, 50, 75] as const
const tokenLevels = [14, 3, 0] as const
/** A rolling window that is full frees some units every minute: it is below its level only this much under it. */
const levelSlack = 5
const dayMs = 86_400_000
/** Dead letters that come one by one are one alert, which is over once none came for this long. */
const deadQuietMs = 3_600_000
const failuresInRow = 20

/** @param state what comes and goes at its level stays raised until it is well below */
export function conditionsOf(snapshot: Snapshot, state: AlertState): readonly Condition[] {
  const raised = (name: string) => state.raised[name] !== undefined
  return [
    ...quota(snapshot, raised),
    ...oldest(snapshot, raised),
    ...unreadable(snapshot),
    ...dead(snapshot, deadAfter(snapshot, state)),
    ...health(snapshot),
    ...token(snapshot),
    ...sources(snapshot, Object.values(state.raised)),
  ]
}

/** Dead letters that were there before anybody watched are not new. */
export function deadAfter({ figures, nowMs }: Snapshot, { dead: before }: AlertState): DeadWatch | undefined {
  const { dead: count } = figures
  if (count === undefined) return before
  const grewAtMs = before !== undefined && count > before.count ? nowMs : before?.grewAtMs
  const quiet = grewAtMs !== undefined && nowMs - grewAtMs >= deadQuietMs
  return { count, ...given({ grewAtMs: quiet ? undefined : grewAtMs }) }
}

function* quota({ summary, figures, nowMs }: Snapshot, raised: (name: string) => boolean): Generator<Condition> {
  const { used, limit } = summary
  const percent = (100 * used) / limit
  for (const level of usedLevels) yield atLevel('quota.used', level, percent, raised, { used, limit })
  const { firstDeferralAtMs: atMs } = figures
  if (atMs !== undefined)
    yield {
      type: 'quota.forecast',
      holds: atMs !== null && atMs - nowMs <= dayMs,
      data: atMs === null ? {} : { firstDeferralAt: iso(atMs) },
    }
}

function* oldest({ figures, nowMs, retentionMs }: Snapshot, raised: (name: string) => boolean): Generator<Condition> {
  const { oldestAtMs: atMs } = figures
  if (atMs === undefined) return
  const percent = atMs === null ? 0 : (100 * (nowMs - atMs)) / retentionMs
  const data: AlertData = atMs === null ? {} : { oldestAt: iso(atMs) }
  for (const level of oldestLevels) yield atLevel('backlog.oldest', level, percent, raised, data)
}

/** A run that did not come to the end has not met them all. */
function* unreadable({ report }: Snapshot): Generator<Condition> {
  const { unreadable, stopped } = report
  if (unreadable > 0 || stopped === 'drained')
    yield { type: 'backlog.unreadable', holds: unreadable > 0, data: { entries: unreadable } }
}

function* dead({ figures }: Snapshot, watch: DeadWatch | undefined): Generator<Condition> {
  const { deadEnding } = figures
  if (watch !== undefined)
    yield { type: 'dead.new', holds: watch.grewAtMs !== undefined, data: { letters: watch.count } }
  if (deadEnding !== undefined) yield { type: 'dead.ending', holds: deadEnding > 0, data: { letters: deadEnding } }
}

function* health({ summary, startedBy, nowMs, quotaWindowMs }: Snapshot): Generator<Condition> {
  const { breaker } = summary.health
  // What fails for one visitor alone is about that visitor.
  const aboutOne = breaker?.traits.some((trait) => trait.startsWith('v:')) === true
  const ofSources = (breaker?.traits ?? []).flatMap((trait) => (trait.startsWith('s:') ? [trait.slice(2)] : []))
  yield {
    type: 'breaker.open',
    holds: breaker !== undefined && !aboutOne,
    data:
      breaker === undefined
        ? {}
        : {
            cause: breaker.cause,
            openSince: iso(breaker.sinceMs),
            ...(ofSources.length === 0 ? {} : { sources: ofSources.join(',') }),
          },
  }
  const { lostAtMs } = summary
  yield {
    type: 'ledger.lost',
    holds: lostAtMs !== undefined && nowMs - lostAtMs < quotaWindowMs,
    data: lostAtMs === undefined ? {} : { lostAt: iso(lostAtMs) },
  }
  yield { type: 'ledger.silent', holds: false, data: {} }
  yield { type: 'flush.silent', holds: startedBy === 'alarm', data: {} }
}

function* token({ tokenExpiresAtMs: atMs, nowMs }: Snapshot): Generator<Condition> {
  if (atMs === undefined) return
  for (const level of tokenLevels)
    yield { type: 'token.expires', level, holds: atMs - nowMs <= level * dayMs, data: { expiresAt: iso(atMs) } }
}

/** A source that is gone no longer fails. */
function* sources({ figures }: Snapshot, raised: Iterable<Pick<Condition, 'type' | 'source'>>): Generator<Condition> {
  const { unauthenticatedInRow: inRow } = figures
  if (inRow === undefined) return
  const gone = [...raised].flatMap(({ type, source }) =>
    type === 'source.unauthenticated' && source !== undefined && inRow[source] === undefined ? [source] : [],
  )
  for (const [source, failed] of [...Object.entries(inRow), ...gone.map((source): [string, number] => [source, 0])])
    yield { type: 'source.unauthenticated', source, holds: failed >= failuresInRow, data: { failed } }
}

function atLevel(
  type: AlertType,
  level: number,
  percent: number,
  raised: (name: string) => boolean,
  data: AlertData,
): Condition {
  const from = raised(nameOf({ type, level })) ? level - levelSlack : level
  return { type, level, holds: percent >= from, data: { ...data, percent: Math.floor(percent) } }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
