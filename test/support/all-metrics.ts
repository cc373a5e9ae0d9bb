/** Every metric of `/metrics`: those of a relay of which there is something to say of each. */
import type { Usage } from '../../src/core/ledger/port.ts'
import { healthy } from '../../src/core/ledger/rules/health.ts'
import { readLastRun, writeLastRun } from '../../src/cron/report.ts'
import type { StatusAnswer } from '../../src/edge/contract/status.ts'
import type { Metric } from '../../src/edge/http/metrics-text.ts'
import { createMetrics, type MetricsParts } from '../../src/relay/metrics.ts'
import { parseSettings } from '../../src/relay/settings.ts'
import { settingsFor } from './settings.ts'

const usage: Usage = {
  limit: 1_000,
  used: 400,
  remaining: 600,
  health: {
    ...healthy,
    paused: true,
    breaker: { cause: 'misconfigured', sinceMs: 5_000, untilMs: 9_000, probes: 1, traits: ['v:c-42'] },
  },
  leads: { loan: 1_500 },
  lostAtMs: 3_000,
  clock: { jumpedByMs: 7 },
  nextFreeAtMs: 86_400_500,
  buckets: [],
  counters: {},
  totals: {
    'loan/live': { received: 9, submitted: 6, deferred_quota: 3, calls: 7 },
    'loan/replay': { replayed: 3, calls_saved: 1 },
    'loan/-': { unauthenticated_stale: 2, greeted: 1 },
    'gone/live': { received: 4 },
    '_other/live': { received: 1 },
    // An older version's.
    '': { received: 5, replayCalls: 8 },
  },
}

const run = writeLastRun({
  atMs: 60_000,
  report: { replayed: 3, deferredAgain: 1, durationMs: 1_250, stopped: 'quota' },
})

const status: StatusAnswer & Usage = {
  ...usage,
  quota: { used: 400, limit: 1_000, firstDeferralAt: '1970-01-01T00:00:40Z', liveUnitsPerHour: 5 },
  backlog: {
    waiting: 9,
    visitors: 4,
    calls: 5,
    callsExact: false,
    oldestAt: '1970-01-01T00:00:10Z',
    bySource: { loan: 4, gone: 3, unknown: 2 },
    byReason: { quota: 7, paused: 2 },
    countedAt: '1970-01-01T00:00:20Z',
    complete: true,
    doneBy: '1970-01-01T00:00:30Z',
  },
  dead: { count: 3, byReason: { rejected: 3 }, bySource: { loan: 1, gone: 2 } },
  paused: true,
  runs: [],
  checks: {},
}

/**
 * @param parts in place of those above
 * @param parts.lastRun as it is kept
 */
export async function allMetrics({
  lastRun = run,
  ...parts
}: Partial<Pick<MetricsParts, 'status'>> & { lastRun?: string | undefined } = {}): Promise<{
  readonly metrics: readonly Metric[]
  readonly logged: readonly object[]
}> {
  const overrides = { QUOTA_LIMIT: '1000', TARGET_TOKEN_EXPIRES_AT: '1970-01-02T00:00:00Z' }
  const parsed = parseSettings(settingsFor('https://demo.tt.omtrdc.net', overrides))
  if (!parsed.ok) throw new Error(parsed.problems.join('; '))
  const logged: object[] = []
  const readiness = { ready: true, ledger: 'embedded', checks: { store: 'ok', target: 'fail' } } as const
  const metrics = await createMetrics({
    base: { settings: parsed.settings, sources: [{ name: 'loan' }] as never },
    status: { whole: async () => ({ status, lastRun: readLastRun(lastRun), readiness }) },
    ...parts,
    ready: async () => readiness,
    log: (event, details) => logged.push({ event, ...details }),
  })()
  return { metrics, logged }
}

/** As they are queried: with the suffixes of counters and infos. */
export function sampleNames(metrics: readonly Metric[]): readonly string[] {
  return metrics.map(({ name, type }) => name + { counter: '_total', info: '_info', gauge: '' }[type])
}
