/** The forecast of a relay: what its settings, its last runs and its pace say of what waits. */
import { given } from '../core/given.ts'
import type { Usage } from '../core/ledger/port.ts'
import type { Slot } from '../core/ledger/rules/figures.ts'
import { spanMs } from '../core/ledger/rules/pace.ts'
import { laneCeiling } from '../core/ledger/rules/settings.ts'
import { defaultLimits } from '../core/limits.ts'
import type { BacklogFigures } from '../core/operator/census.ts'
import { forecast } from '../core/operator/forecast.ts'
import { laneOf, summedBy } from '../core/operator/series.ts'
import { isoTime } from '../core/time.ts'
import type { KeptRun } from '../cron/runs.ts'
import type { StatusAnswer } from '../edge/contract/status.ts'
import type { Settings } from './settings.ts'

/** What is put back into the backlog: dead letters, of which entries are made, and the calls of these at most. */
export interface More {
  readonly letters: number
  readonly entries: number
  readonly calls: number
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
/** Units of a call at most. */
const mostUnits = { post: 1, get: 2, auto: 2 } as const
/** Why a run ends that did what it could. */
const fullRuns: ReadonlySet<string> = new Set(['time', 'subrequests', 'operations'])
/** Operations of a run that go into reading. */
const readingOperations = 10

export interface ForetellParts {
  readonly usage: Usage
  readonly figures: BacklogFigures
  readonly runs: readonly KeptRun[]
  /** Units an hour that live traffic asks for. */
  readonly pace: number
  readonly nowMs: number
}

export interface Foretold {
  /** For each hour of the next day. */
  readonly ahead: NonNullable<StatusAnswer['quota']['ahead']>
  /** Epoch ms. */
  readonly firstDeferralMs?: number
  readonly doneMs?: number
}

/** While calls are held back only what frees itself: nobody can say for how long they are. */
export function foretell(settings: Settings, { usage, figures, runs, pace, nowMs }: ForetellParts): Foretold {
  const { paused, breaker } = usage.health
  const held = paused || breaker !== undefined
  const { waiting, calls, units, complete } = figures
  const ahead: Foretold['ahead'] = []
  const parts = {
    nowMs,
    buckets: usage.buckets,
    bucketMs: settings.quotaBucketMs,
    countsMs: settings.quotaWindowMs + settings.quotaSlackMs,
    ceilings: { live: laneCeiling(settings, 'live'), replay: laneCeiling(settings, 'replay') },
    paced: settings.pace === 'even' ? { spanMs: spanMs(settings), limit: settings.quotaLimit } : undefined,
    liveUnitsPerHour: pace,
    waitingUnits: units,
    unitsPerRun: callsPerRun(settings, waiting / Math.max(1, calls), runs) * (units / Math.max(1, calls)),
  }
  const { firstDeferralMs, doneMs } = forecast(parts, ({ atMs, counted, used, waiting }) =>
    ahead.push({ at: isoTime(atMs), counted, ...(held ? {} : { used, waiting }) }),
  )
  if (held) return { ahead }
  return { ahead, ...given({ firstDeferralMs, doneMs: waiting > 0 && complete ? doneMs : undefined }) }
}

/** What waits, and more beside it. */
export function waitsToo(settings: Settings, figures: BacklogFigures, { entries, calls }: More): BacklogFigures {
  return {
    ...figures,
    waiting: figures.waiting + entries,
    calls: figures.calls + calls,
    units: figures.units + calls * mostUnits[settings.targetMethod],
  }
}

/**
 * How long the runs take, one a minute, that move a plan's letters.
 *
 * @param inSteps whether the store moves many in one operation; a KV is asked for each put and each delete
 */
export function movedInMs({ flushMaxOps }: Settings, letters: number, inSteps: boolean): number {
  const { lettersPerStep } = defaultLimits
  const operationsPerStep = inSteps ? 2 : 1 + 2 * lettersPerStep
  return Math.ceil((letters * operationsPerStep) / (flushMaxOps * lettersPerStep)) * minuteMs
}

/**
 * What a run is allowed to spend; or what one made that was at its end. Where runs find out how many operations they have,
 * it is no less than what is allowed everywhere. Several that share the backlog count as one, as they do in their report.
 */
export function callsPerRun(
  settings: Pick<Settings, 'flushMaxOps' | 'flushMaxCalls' | 'flushLearnsOps'>,
  entriesPerCall: number,
  runs: readonly KeptRun[],
): number {
  const full = runs.flatMap(({ stopped, calls }) => (fullRuns.has(stopped) ? (calls ?? 0) : []))
  const most = full.length === 0 ? [] : [Math.max(...full)]
  const together = Math.max(1, ...runs.map(({ runsTogether = 1 }) => runsTogether))
  const byOperations = (together * Math.max(1, settings.flushMaxOps - readingOperations)) / Math.max(1, entriesPerCall)
  const bounds = settings.flushLearnsOps && full.length > 0 ? most : [byOperations, ...most]
  return Math.max(1, Math.min(together * settings.flushMaxCalls, ...bounds))
}

/**
 * Units that live traffic asked for in the last hour: all that were granted, without those of replay, and one for each
 * update that found none.
 */
export function paceOf(
  { targetMethod }: Pick<Settings, 'targetMethod'>,
  { buckets }: Pick<Usage, 'buckets'>,
  slots: readonly Slot[],
  runs: readonly KeptRun[],
  nowMs: number,
): number {
  // With `auto` nobody knows which calls were GETs: the pace is rather too high.
  const unitsACall = targetMethod === 'get' ? mostUnits.get : 1
  const units = buckets.reduce((all, [startMs, own]) => all + (startMs > nowMs - hourMs ? own : 0), 0)
  const replayed = runs.reduce((all, { atMs, calls = 0 }) => all + (atMs > nowMs - hourMs ? calls * unitsACall : 0), 0)
  const ofLastHour = slots.filter(({ startMs }) => startMs > nowMs - hourMs)
  const refused = Object.values(summedBy(ofLastHour, laneOf)).reduce(
    (all, { deferred_quota = 0 }) => all + deferred_quota,
    0,
  )
  return Math.max(0, units - replayed) + refused
}
