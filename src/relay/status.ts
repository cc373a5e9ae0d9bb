/**
 * How the relay is doing, in one look at the ledger and at most one at the store: quota and forecast, what waits, what
 * is dead, the last runs, the checks.
 *
 * Guarantee: it reads a bounded state, however much waits. Rejects where the ledger does not answer.
 */
import type { Backlog, Counts, DeadCounts } from '../core/backlog/port.ts'
import { countOne } from '../core/backlog/tally.ts'
import type { Clock } from '../core/clock.ts'
import { given } from '../core/given.ts'
import type { Ledger, Usage } from '../core/ledger/port.ts'
import { type Lines, type Slot, slotMs } from '../core/ledger/rules/figures.ts'
import { spanNow } from '../core/ledger/rules/pace.ts'
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
import { deadEnds, retentionMemo } from '../core/operator/dead/retention.ts'
import { laneOf, sourceOf, summedBy } from '../core/operator/series.ts'
import { isoTime } from '../core/time.ts'
import { lanes } from '../core/update/update.ts'
import type { Figures } from '../cron/alerts/conditions.ts'
import { foundNothing } from '../cron/census.ts'
import { type LastRun, lastRunMemo, readLastRun } from '../cron/report.ts'
import { readRuns, runsMemo } from '../cron/runs.ts'
import type { BacklogAnswer, StatusAnswer } from '../edge/contract/status.ts'
import type { Readiness } from '../edge/routes/parts.ts'
import { foretell, type More, movedInMs, paceOf, waitsToo } from './foretell.ts'
import type { Ready } from './readiness.ts'
import type { Settings } from './settings.ts'

export interface StatusParts {
  readonly settings: Settings
  readonly ledger: Pick<Ledger, 'look'>
  readonly backlog: Pick<Backlog, 'tally' | 'deadHeads'>
  readonly clock: Pick<Clock, 'now'>
  readonly ready: Ready['fresh']
}

export interface Status {
  backlog(): Promise<BacklogAnswer>
  /** What waits, without a forecast. */
  waits(): Promise<BacklogFigures>
  status(): Promise<StatusAnswer & Usage>
  /** The same, and with it what else was looked at: for `/metrics`. */
  whole(): Promise<WholeStatus>
  /** When what waits now and this beside it is through, by the forecast; epoch ms. Undefined where nobody can say. */
  throughWith(more: More): Promise<number | undefined>
  /** For alerts: what was counted behind the last runs, in the same look. */
  outlook(): Promise<Outlook>
}

export interface WholeStatus {
  readonly status: StatusAnswer & Usage
  readonly lastRun: LastRun | undefined
  readonly readiness: Readiness
}

export interface Outlook {
  readonly usage: Usage
  /** Of the last day. */
  readonly slots: readonly Slot[]
  readonly figures: Figures
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** A count of dead letters that is older is made again, if that takes no more lists: one of each format of keys. */
const deadFreshMs = 60_000
const deadPages = 2
const runsShown = 10

export function createStatus({ settings, ledger, backlog, clock, ready }: StatusParts): Status {
  return {
    async backlog() {
      const { figures, foretold } = await look()
      return answerOf(figures, foretold.doneMs)
    },
    status: async () => (await whole()).status,
    whole,
    waits: async () => (await look()).figures,
    async throughWith(more) {
      const { usage, figures, runs, pace, nowMs } = await look()
      const { doneMs } = foretell(settings, { usage, figures: waitsToo(settings, figures, more), runs, pace, nowMs })
      // The last letters are sent once a run has put them back.
      return doneMs && Math.max(doneMs, nowMs + movedInMs(settings, more.letters, backlog.tally !== undefined))
    },
    async outlook() {
      const { usage, slots, figures, foretold, dead, census, ends, nowMs } = await look()
      const { firstDeferralMs = Number.POSITIVE_INFINITY } = foretold
      const { paused, breaker } = usage.health
      const letters = dead ?? census.dead
      const isCounted = figures.countedAtMs !== undefined && figures.complete
      return {
        usage,
        slots,
        figures: given({
          // While calls are held back nobody can say.
          firstDeferralAtMs:
            paused || breaker !== undefined ? undefined : firstDeferralMs < nowMs + dayMs ? firstDeferralMs : null,
          oldestAtMs: figures.oldestMs ?? (isCounted ? null : undefined),
          dead: letters && sum(letters.byReason),
          deadEnding: deadEnds(ends, settings.deadRetentionDays * dayMs)?.soon,
        }),
      }
    },
  }

  async function whole(): Promise<WholeStatus> {
    const { usage, slots, figures, foretold, runs, lastRun, dead, census, pace, nowMs } = await look()
    const readiness = await ready({ summary: usage, lastRun })
    const last = readLastRun(lastRun)
    const { breaker, paused } = usage.health
    const letters = dead ?? (await deadOf(census, nowMs))
    const status = {
      ...usage,
      quota: {
        used: usage.used,
        limit: usage.limit,
        byLane: callsByLane(slots),
        ...times({ nextFreeAt: usage.nextFreeAtMs, firstDeferralAt: foretold.firstDeferralMs }),
        liveUnitsPerHour: Math.round(pace),
        ceilings: Object.fromEntries(lanes.map((lane) => [lane, laneCeiling(settings, lane)])),
        ...given({ span: spanOf(usage, nowMs) }),
        ahead: foretold.ahead,
      },
      backlog: answerOf(figures, foretold.doneMs),
      ...given({ dead: letters && { count: sum(letters.byReason), ...letters } }),
      today: todayOf(slots),
      ...given({ breaker: breaker && { cause: breaker.cause, since: isoTime(breaker.sinceMs) } }),
      paused,
      ...given({ lastRunAt: last && isoTime(last.atMs) }),
      runs: runs.slice(0, runsShown).map(({ atMs, ...run }) => ({ at: isoTime(atMs), ...run })),
      checks: readiness.checks,
    }
    return { status, lastRun: last, readiness }
  }

  function spanOf(usage: Usage, nowMs: number): StatusAnswer['quota']['span'] {
    if (settings.pace === 'none') return undefined
    const { recent, allows } = spanNow(usage, settings, nowMs)
    return {
      used: recent,
      allowed: Object.fromEntries(lanes.map((lane) => [lane, allows(laneCeiling(settings, lane))])),
    }
  }

  async function look() {
    const nowMs = clock.now()
    const [{ usage, slots, memos }, counted] = await Promise.all([
      // A day, with the slot that is not over.
      ledger.look(nowMs - dayMs + slotMs, [lastRunMemo, runsMemo, censusMemo, retentionMemo]),
      backlog.tally?.(),
    ])
    const [lastRun, keptRuns, kept, ends] = memos
    const runs = readRuns(keptRuns)
    const census = readCensus(kept)
    const last = readLastRun(lastRun)
    const emptyAtMs = last !== undefined && foundNothing(last.report) ? last.atMs : undefined
    const figures =
      counted === undefined
        ? figuresOf(census, settings.targetMethod, emptyAtMs)
        : figuresOfTally(counted.waiting, settings.targetMethod, nowMs, true)
    const pace = paceOf(settings, usage, slots, runs, nowMs)
    const foretold = foretell(settings, { usage, figures, runs, pace, nowMs })
    return { nowMs, usage, slots, runs, lastRun, census, ends, dead: counted?.dead, figures, pace, foretold }
  }

  /** By the census, or by a page of heads where that is all of them. */
  async function deadOf({ dead }: Census, nowMs: number): Promise<(DeadCounts & { countedAt: string }) | undefined> {
    const counted = dead && { byReason: dead.byReason, bySource: dead.bySource, countedAt: isoTime(dead.atMs) }
    if (dead !== undefined && Math.abs(nowMs - dead.atMs) < deadFreshMs) return counted
    if (sum(dead?.byReason ?? {}) >= defaultLimits.keysPerPage) return counted
    const [byReason, bySource]: [Record<string, number>, Record<string, number>] = [{}, {}]
    let cursor: string | undefined
    for (let pages = 0; pages < deadPages; pages++) {
      const page = await backlog.deadHeads(given({ cursor }))
      for (const { head } of page.items) {
        countOne(byReason, head?.reason)
        countOne(bySource, head?.source)
      }
      cursor = page.cursor
      if (cursor === undefined) break
    }
    if (cursor !== undefined) return counted
    return { byReason, bySource, countedAt: isoTime(nowMs) }
  }
}

/** By source; what an older version counted has none. */
function todayOf(slots: readonly Slot[]): Lines {
  const { '': _, ...today } = summedBy(slots, sourceOf)
  return today
}

function callsByLane(slots: readonly Slot[]): Counts {
  const lanes = Object.entries(summedBy(slots, laneOf)).map(([lane, { calls = 0 }]) => [lane, calls] as const)
  return Object.fromEntries(lanes.filter(([, calls]) => calls > 0))
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

function sum(counts: Counts | readonly number[]): number {
  return Object.values(counts).reduce((all, one) => all + one, 0)
}
