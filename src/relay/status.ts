/**
 * How the relay is doing, in one look at the ledger and at most one at the store: quota and forecast, what waits, what
 * is dead, the last 24 h, the last runs, the checks.
 *
 * Guarantee: it reads a bounded state, however much waits. Rejects where the ledger does not answer.
 */
import type { Backlog, DeadCounts } from '../core/backlog/port.ts'
import { countOne } from '../core/backlog/tally.ts'
import type { Clock } from '../core/clock.ts'
import { given } from '../core/given.ts'
import type { Ledger, Usage } from '../core/ledger/port.ts'
import { laneCeiling } from '../core/ledger/rules/settings.ts'
import { defaultLimits } from '../core/limits.ts'
import {
  type BacklogFigures,
  type Census,
  censusMemo,
  figuresOf,
  figuresOfTally,
  readCensus,
} from '../core/operator/census.ts'
import { forecast } from '../core/operator/forecast.ts'
import { todayOf } from '../core/operator/series.ts'
import { isoTime } from '../core/time.ts'
import { foundNothing } from '../cron/census.ts'
import { lastRunMemo, readLastRun } from '../cron/report.ts'
import { type KeptRun, readRuns, runsMemo } from '../cron/runs.ts'
import type { BacklogAnswer, StatusAnswer } from '../edge/contract/status.ts'
import type { Readiness } from '../edge/routes/parts.ts'
import type { Settings } from './settings.ts'

export interface StatusParts {
  readonly settings: Settings
  readonly ledger: Pick<Ledger, 'usage' | 'recall' | 'series'>
  readonly backlog: Pick<Backlog, 'tally' | 'deadHeads'>
  readonly clock: Pick<Clock, 'now'>
  readonly ready: () => Promise<Readiness>
}

export interface Status {
  backlog(): Promise<BacklogAnswer>
  status(): Promise<StatusAnswer & Usage>
}

const hourMs = 3_600_000
/** A count of dead letters that is older is made again, if that takes one list. */
const deadFreshMs = 60_000
const runsShown = 10
/** Operations of a run that go into reading. */
const readingOperations = 10

export function createStatus({ settings, ledger, backlog, clock, ready }: StatusParts): Status {
  return {
    async backlog() {
      return (await look()).backlog
    },
    async status() {
      const [{ usage, quota, backlog, dead, runs, last }, { checks }, today] = await Promise.all([
        look(),
        ready(),
        todayOf({ ledger, clock }),
      ])
      const { breaker, paused } = usage.health
      return {
        ...usage,
        quota,
        backlog,
        ...given({ dead: dead && { count: sum(dead.byReason), ...dead } }),
        ...given({ breaker: breaker && { cause: breaker.cause, since: isoTime(breaker.sinceMs) } }),
        today,
        paused,
        ...given({ lastRunAt: last && isoTime(last.atMs) }),
        runs: runs.slice(0, runsShown).map(({ atMs, ...run }) => ({ at: isoTime(atMs), ...run })),
        checks,
      }
    },
  }

  async function look() {
    const [usage, lastRun, keptRuns, kept, counted] = await Promise.all([
      ledger.usage(),
      ledger.recall(lastRunMemo),
      ledger.recall(runsMemo),
      ledger.recall(censusMemo),
      backlog.tally?.(),
    ])
    const nowMs = clock.now()
    const runs = readRuns(keptRuns)
    const census = readCensus(kept)
    const last = readLastRun(lastRun)
    const emptyAtMs = last !== undefined && foundNothing(last.report) ? last.atMs : undefined
    const figures =
      counted === undefined
        ? figuresOf(census, settings.targetMethod, emptyAtMs)
        : figuresOfTally(counted.waiting, settings.targetMethod, nowMs, true)
    const pace = paceOf(usage, runs, nowMs)
    const foretold = foretell(usage, figures, runs, pace, nowMs)
    return {
      usage,
      runs,
      last,
      dead: counted?.dead ?? (await deadOf(census, nowMs)),
      quota: {
        used: usage.used,
        limit: usage.limit,
        ...times({ nextFreeAt: usage.nextFreeAtMs, firstDeferralAt: foretold.firstDeferralMs }),
        liveUnitsPerHour: Math.round(pace),
      },
      backlog: answerOf(figures, foretold.doneMs),
    }
  }

  /** By the census, or by a page of heads where that is all of them. */
  async function deadOf({ dead }: Census, nowMs: number): Promise<(DeadCounts & { countedAt: string }) | undefined> {
    const counted = dead && { byReason: dead.byReason, bySource: dead.bySource, countedAt: isoTime(dead.atMs) }
    if (dead !== undefined && Math.abs(nowMs - dead.atMs) < deadFreshMs) return counted
    if (sum(dead?.byReason ?? {}) >= defaultLimits.keysPerPage) return counted
    const { items, cursor } = await backlog.deadHeads()
    if (cursor !== undefined) return counted
    const [byReason, bySource]: [Record<string, number>, Record<string, number>] = [{}, {}]
    for (const { head } of items) {
      countOne(byReason, head?.reason)
      countOne(bySource, head?.source)
    }
    return { byReason, bySource, countedAt: isoTime(nowMs) }
  }

  /** Nothing where calls are held back: nobody can say for how long. */
  function foretell(usage: Usage, figures: BacklogFigures, runs: readonly KeptRun[], pace: number, nowMs: number) {
    const { paused, breaker } = usage.health
    if (paused || breaker !== undefined) return {}
    const { waiting, calls, units, complete } = figures
    const { firstDeferralMs, doneMs } = forecast({
      nowMs,
      buckets: usage.buckets,
      bucketMs: settings.quotaBucketMs,
      countsMs: settings.quotaWindowMs + settings.quotaSlackMs,
      ceilings: { live: laneCeiling(settings, 'live'), replay: laneCeiling(settings, 'replay') },
      liveUnitsPerHour: pace,
      waitingUnits: units,
      unitsPerRun: callsPerRun(waiting / Math.max(1, calls), runs) * (units / Math.max(1, calls)),
    })
    return given({ firstDeferralMs, doneMs: waiting > 0 && complete ? doneMs : undefined })
  }

  /** What a run is allowed to spend; or what one made that ran out of time. */
  function callsPerRun(entriesPerCall: number, runs: readonly KeptRun[]): number {
    const slow = runs.flatMap(({ stopped, calls }) =>
      stopped === 'time' || stopped === 'subrequests' ? (calls ?? 0) : [],
    )
    return Math.max(
      1,
      Math.min(
        settings.flushMaxCalls,
        Math.max(1, settings.flushMaxOps - readingOperations) / Math.max(1, entriesPerCall),
        ...(slow.length === 0 ? [] : [Math.max(...slow)]),
      ),
    )
  }
}

/** Units an hour that live traffic spent in the last one: all that were granted, without those of replay. */
function paceOf({ buckets }: Usage, runs: readonly KeptRun[], nowMs: number): number {
  const units = buckets.reduce((all, [startMs, own]) => all + (startMs > nowMs - hourMs ? own : 0), 0)
  const replayed = runs.reduce((all, { atMs, calls = 0 }) => all + (atMs > nowMs - hourMs ? calls : 0), 0)
  return Math.max(0, units - replayed)
}

function answerOf(
  { oldestMs, countedAtMs, units: _, ...figures }: BacklogFigures,
  doneMs: number | undefined,
): BacklogAnswer {
  return { ...figures, ...times({ oldestAt: oldestMs, countedAt: countedAtMs, doneBy: doneMs }) }
}

/** Epoch ms as ISO 8601, where there are any. */
function times<Name extends string>(ms: Readonly<Record<Name, number | undefined>>): Partial<Record<Name, string>> {
  const known = Object.entries(ms) as [Name, number | undefined][]
  return Object.fromEntries(
    known.flatMap(([name, one]) => (one === undefined ? [] : [[name, isoTime(one)]])),
  ) as Partial<Record<Name, string>>
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((all, one) => all + one, 0)
}
