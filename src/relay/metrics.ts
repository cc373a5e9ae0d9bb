/**
 * What `/metrics` says: gauges of how things are now, and counters of all that was ever counted, which the ledger keeps
 * for every process and isolate together. docs/observability.md lists them.
 *
 * Guarantee: a process adds nothing of its own, so it does not matter which one is scraped. Where the ledger does not
 * answer, what it knows is left out, and the check `ledger` says so. The series are bounded: sources are those that are
 * configured, all others together are `_other`.
 */
import { errorName } from '../core/errors.ts'
import type { Usage } from '../core/ledger/port.ts'
import { breakerCauses } from '../core/ledger/rules/health.ts'
import { laneCeiling } from '../core/ledger/rules/settings.ts'
import type { Log } from '../core/log.ts'
import { lanes } from '../core/update/update.ts'
import type { LastRun } from '../cron/report.ts'
import { flag, gauge, type Metric, one, seconds, timestamp } from '../edge/http/metrics-text.ts'
import type { Readiness } from '../edge/routes/parts.ts'
import type { RelayBase } from './base.ts'
import { countedSources } from './count.ts'
import { backlogMetrics } from './metrics-backlog.ts'
import { updateMetrics } from './metrics-updates.ts'
import type { Status } from './status.ts'

export interface MetricsParts {
  readonly base: Pick<RelayBase, 'settings' | 'sources'>
  readonly status: Pick<Status, 'whole'>
  /** Where the ledger does not answer; may be some seconds old. */
  readonly ready: () => Promise<Readiness>
  readonly log: Log
}

const verdicts = ['ok', 'warn', 'fail'] as const
/** How the entries of a run ended, as its report names them. */
const ends = ['replayed', 'superseded', 'deferredAgain', 'dead', 'unreadable', 'skipped'] as const

/** Never rejects. */
export function createMetrics({ base, status, ready, log }: MetricsParts): () => Promise<readonly Metric[]> {
  const { settings } = base
  const sources = countedSources(base.sources)
  return async () => {
    const known = await status.whole().catch((error: unknown) => {
      log('metrics_incomplete', { error: errorName(error) })
      return undefined
    })
    return [
      ...stateMetrics(known?.readiness ?? (await ready()), settings.targetTokenExpiresAtMs),
      ...(known === undefined
        ? []
        : [
            ...quotaMetrics(known.status, settings),
            ...healthMetrics(known.status),
            ...updateMetrics(known.status.totals, sources),
            ...backlogMetrics(known.status, sources),
            ...flushMetrics(known.lastRun),
          ]),
    ]
  }
}

function stateMetrics({ ready, ledger, checks }: Readiness, tokenExpiresAtMs: number | undefined): readonly Metric[] {
  return [
    { name: 'target_relay', type: 'info', help: 'Which ledger the relay has.', samples: [one({ ledger })] },
    gauge('ready', 'Whether the store can keep updates: 1 or 0.', [flag(ready)]),
    gauge(
      'check_status',
      'The checks of /readyz: 1 for the status that each has, 0 for the others.',
      Object.entries(checks).flatMap(([check, is]) => verdicts.map((status) => flag(is === status, { check, status }))),
    ),
    timestamp('target_token_expires', 'When TARGET_TOKEN expires.', tokenExpiresAtMs),
  ]
}

function quotaMetrics(
  { limit, used, nextFreeAtMs }: Usage,
  settings: Parameters<typeof laneCeiling>[0],
): readonly Metric[] {
  return [
    gauge('quota_limit_calls', 'Calls that any rolling window may have.', [{ value: limit }]),
    gauge('quota_used_calls', 'Calls that count in the window that ends now.', [{ value: used }]),
    gauge(
      'quota_ceiling_calls',
      'Up to how many calls of the window, by all lanes together, a lane may still make one.',
      lanes.map((lane) => ({ labels: { lane }, value: laneCeiling(settings, lane) })),
    ),
    timestamp('quota_next_free', 'When the oldest call leaves the window.', nextFreeAtMs),
  ]
}

function healthMetrics({ health: { paused, breaker }, clock, lostAtMs, leads }: Usage): readonly Metric[] {
  return [
    gauge('paused', 'Whether an operator paused all calls: 1 or 0.', [flag(paused)]),
    gauge(
      'breaker_open',
      'Whether the breaker holds calls back, by cause: 1 or 0.',
      breakerCauses.map((cause) => flag(breaker?.cause === cause, { cause })),
    ),
    timestamp('breaker_opened', 'When the breaker opened, while it is open.', breaker?.sinceMs),
    gauge('ledger_clock_jumped', 'Whether nothing is sent since the clock of the ledger jumped: 1 or 0.', [
      flag(clock !== undefined),
    ]),
    timestamp('ledger_lost', 'When state of the ledger was last lost.', lostAtMs),
    seconds(
      'source_clock_lead',
      'How far the clock of a source is ahead, of about the last day.',
      Object.entries(leads).map(([source, ms]) => ({ labels: { source }, value: ms / 1_000 })),
    ),
  ]
}

function flushMetrics(run: LastRun | undefined): readonly Metric[] {
  if (run === undefined) return []
  const { atMs, report } = run
  const { durationMs, stopped } = report
  return [
    timestamp('flush_last', 'When the last run of the flush ended.', atMs),
    seconds(
      'flush_last_duration',
      'How long the last run took.',
      durationMs === undefined ? [] : [{ value: durationMs / 1_000 }],
    ),
    gauge('flush_last_stopped', 'Why the last run ended.', stopped === undefined ? [] : [one({ reason: stopped })]),
    gauge(
      'flush_last_entries',
      'Entries of the last run, by how they ended.',
      ends.flatMap((end) => {
        const value = report[end]
        return value === undefined ? [] : [{ labels: { outcome: snakeCase(end) }, value }]
      }),
    ),
  ]
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
