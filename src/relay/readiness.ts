/**
 * Whether this instance should receive traffic: unless its store can't keep updates. While Target, the quota or the
 * ledger lets nothing through, updates wait in the backlog; taking the instance out of service would only lose them.
 * Such trouble is reported in the body as `warn` or `fail`.
 *
 * An operator gets a fresh answer. Everybody else gets one that may be some seconds old, and requests that arrive
 * together share one look at the ledger, so that its cost does not grow with the number of requests.
 */

import type { KeepMemory } from '../core/backlog/noted.ts'
import type { Backlog } from '../core/backlog/port.ts'
import type { Clock } from '../core/clock.ts'
import { errorName } from '../core/errors.ts'
import { given } from '../core/given.ts'
import type { Ledger, Summary } from '../core/ledger/port.ts'
import { ForeignStore } from '../core/operator/owner.ts'
import { lastRunMemo, readLastRun } from '../cron/report.ts'
import type { Readiness } from '../edge/routes/parts.ts'
import { secretProblemsOf } from '../edge/source/check.ts'
import type { Source } from '../edge/source/types.ts'
import type { Settings } from './settings.ts'

/** A cron that fires every minute and was not seen for this long went silent. */
const cronSilentMs = 5 * 60_000
/** Enough time to get a new token through a change board. */
const tokenWarnMs = 14 * 86_400_000
/** Shorter than the interval of a usual health check; a Worker keeps one such answer for each isolate. */
const rememberedMs = 5_000
/**
 * After a store failed to keep an update the instance is not ready for this long: three checks of a usual load
 * balancer.
 */
const keepFailedMs = 30_000

/** What a process or an isolate remembers of it: plain data, which may outlive a request on Workers. */
export interface ReadinessMemory extends KeepMemory {
  last?: { readonly atMs: number; readonly readiness: Readiness }
}

export interface ReadinessParts {
  readonly settings: Settings
  readonly sources: readonly Source[]
  readonly ledger: Pick<Ledger, 'kind' | 'summary' | 'recall'>
  readonly backlog: Pick<Backlog, 'check'>
  readonly clock: Pick<Clock, 'now'>
  readonly memory: ReadinessMemory
}

export interface Known {
  readonly summary: Summary
  /** As kept under `lastRunMemo`. */
  readonly lastRun: string | undefined
}

export interface Ready {
  /**
   * Asked of the ledger now. Never rejects.
   *
   * @param known what the ledger has just said, where it was asked for it
   */
  fresh(known?: Known): Promise<Readiness>
  /** At most `rememberedMs` old. */
  remembered(): Promise<Readiness>
}

export function createReady({ settings, sources, ledger, backlog, clock, memory }: ReadinessParts): Ready {
  let flight: Promise<Readiness> | undefined
  return { fresh, remembered }

  async function remembered(): Promise<Readiness> {
    const { last } = memory
    // Also if the clock was set back, the answer does not last longer.
    if (last !== undefined && Math.abs(clock.now() - last.atMs) < rememberedMs) return last.readiness
    flight ??= fresh().finally(() => {
      flight = undefined
    })
    return flight
  }

  async function fresh(known?: Known): Promise<Readiness> {
    const nowMs = clock.now()
    const readiness = await look(nowMs, known)
    memory.last = { atMs: nowMs, readiness }
    return readiness
  }

  async function look(nowMs: number, known: Known | undefined): Promise<Readiness> {
    // The ledger first: whether it is another account's decides whether anything is kept.
    const asked =
      known === undefined
        ? await Promise.all([ledger.summary(), ledger.recall(lastRunMemo)]).catch(told)
        : ([known.summary, known.lastRun] as const)
    const storeError = await backlog.check().then(() => keepError(nowMs), told)
    const ledgerError = typeof asked === 'string' ? asked : undefined
    const [usage, lastRun] = typeof asked === 'string' ? [] : asked
    const atMs = readLastRun(lastRun)?.atMs
    const secretProblems = await secretProblemsOf(sources, settings.hookSecrets)
    const breaker = usage?.health.breaker
    // What an operator must fix: a wrong address, a wrong token, or everything refused.
    const wrong = breaker !== undefined && breaker.cause !== 'unavailable'
    const lost = usage?.lostAtMs !== undefined && nowMs - usage.lostAtMs <= settings.quotaWindowMs
    const leads = Object.entries(usage?.leads ?? {})
    return {
      ready: storeError === undefined,
      ledger: ledger.kind,
      checks: {
        store: storeError === undefined ? 'ok' : 'fail',
        ledger: usage === undefined ? 'fail' : lost || usage.clock !== undefined ? 'warn' : 'ok',
        target: wrong ? 'fail' : breaker !== undefined || usage?.health.paused === true ? 'warn' : 'ok',
        token: tokenCheck(nowMs),
        cron: atMs !== undefined && nowMs - atMs <= cronSilentMs ? 'ok' : 'warn',
        encryption: settings.backlogKeys.length > 0 ? 'ok' : 'warn',
        sources: secretProblems.length === 0 ? 'ok' : 'warn',
        clocks: leads.length === 0 ? 'ok' : 'warn',
      },
      details: {
        ...given({ storeError, ledgerError }),
        ...(atMs === undefined ? {} : { lastFlushAt: new Date(atMs).toISOString() }),
        ...(usage === undefined ? {} : { quotaUsed: usage.used, quotaLimit: usage.limit }),
        ...(breaker === undefined
          ? {}
          : { breaker: breaker.cause, breakerSince: new Date(breaker.sinceMs).toISOString() }),
        ...(secretProblems.length === 0 ? {} : { sources: secretProblems.join('; ') }),
        ...(leads.length === 0 ? {} : { clocksAhead: leads.map(([source, ms]) => `${source} ${ms} ms`).join(', ') }),
        ...(usage?.health.paused === true ? { paused: 'yes' } : {}),
        ...(usage?.clock === undefined ? {} : { clockJumpedByMs: usage.clock.jumpedByMs }),
        ...(usage?.lostAtMs === undefined ? {} : { ledgerLostAt: new Date(usage.lostAtMs).toISOString() }),
      },
    }
  }

  /** If the clock was set back, the failure is not reported for longer. */
  function keepError(nowMs: number): string | undefined {
    const { keepFailedAtMs } = memory
    return keepFailedAtMs !== undefined && Math.abs(nowMs - keepFailedAtMs) < keepFailedMs ? 'KeepFailed' : undefined
  }

  function tokenCheck(nowMs: number): 'ok' | 'warn' | 'fail' {
    const leftMs = (settings.targetTokenExpiresAtMs ?? Number.POSITIVE_INFINITY) - nowMs
    return leftMs <= 0 ? 'fail' : leftMs <= tokenWarnMs ? 'warn' : 'ok'
  }
}

/** For operators only. */
function told(error: unknown): string {
  return error instanceof ForeignStore ? error.message : errorName(error)
}
