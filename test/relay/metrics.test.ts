/** `/metrics`: clean by `promtool`, readable in both formats, bounded, without anything personal (G8). */
import { describe, expect, it } from 'vitest'
import type { Ledger, Usage } from '../../src/core/ledger/port.ts'
import { healthy } from '../../src/core/ledger/rules/health.ts'
import { lastRunMemo, writeLastRun } from '../../src/cron/report.ts'
import { type Metric, metricsText } from '../../src/edge/http/metrics-text.ts'
import { createMetrics, type MetricsParts } from '../../src/relay/metrics.ts'
import { parseSettings } from '../../src/relay/settings.ts'
import { startEmulator } from '../emulator/emulator.ts'
import { promtool } from '../support/promtool.ts'
import { testSecrets } from '../support/secrets.ts'
import { startServer } from '../support/server.ts'
import { settingsFor } from '../support/settings.ts'

const authorization = `Bearer ${testSecrets.adminToken}`
const openMetrics = 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4'

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
    'loan/replay': { replayed: 3 },
    'loan/-': { unauthenticated_stale: 2 },
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

async function metricsOf(
  ledger: Partial<MetricsParts['ledger']> = {},
  overrides: Readonly<Record<string, string>> = {},
): Promise<{ metrics: readonly Metric[]; logged: readonly object[] }> {
  const parsed = parseSettings(settingsFor('https://demo.tt.omtrdc.net', { QUOTA_LIMIT: '1000', ...overrides }))
  if (!parsed.ok) throw new Error(parsed.problems.join('; '))
  const logged: object[] = []
  const metrics = await createMetrics({
    base: { settings: parsed.settings, sources: [{ name: 'loan' }] as never },
    ledger: {
      usage: async () => usage,
      recall: async (name) => (name === lastRunMemo ? run : undefined),
      ...ledger,
    },
    ready: async () => ({ ready: true, ledger: 'embedded', checks: { store: 'ok', target: 'fail' } }),
    log: (event, details) => logged.push({ event, ...details }),
  })()
  return { metrics, logged }
}

describe('GET /metrics', () => {
  it('answers an operator in the format that was asked for, and promtool finds nothing wrong with it', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    const update = { visitor: { thirdPartyId: 'c-42' }, attributes: { tier: 'gold-7f3a' } }
    await fetch(`${server.url}/v1/updates`, {
      method: 'POST',
      headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(update),
    })
    await server.relay.flush()
    const ask = (headers: Record<string, string> = {}) =>
      fetch(`${server.url}/metrics`, { headers: { authorization, ...headers } })
    const plain = await ask()
    expect([plain.status, plain.headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
    const text = await plain.text()
    promtool(['check', 'metrics'], { input: text })
    expect(text).toMatch(/^target_relay_quota_used_calls 1$/m)
    expect(text).toMatch(/^target_relay_updates_total\{.*outcome="submitted".*\} 1$/m)
    expect(text).not.toMatch(/c-42|7f3a/)
    const open = await ask({ accept: openMetrics })
    expect(open.headers.get('content-type')).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
    expect(await open.text()).toMatch(/^# TYPE target_relay_updates counter\n(.*\n)+# EOF\n$/m)
  })

  it.each([
    ['nobody', 401, {}],
    ['a sender', 401, { authorization: `Bearer ${testSecrets.apiToken}` }],
    ['an operator by basic', 200, { authorization: `Basic ${btoa(`admin:${testSecrets.adminToken}`)}` }],
  ])('%s is answered %i', async (_, status, headers) => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    expect((await fetch(`${server.url}/metrics`, { headers: headers as Record<string, string> })).status).toBe(status)
    expect((await fetch(`${server.url}/metrics`, { method: 'POST' })).status).toBe(405)
  })
})

describe('the metrics', () => {
  it('say how things are, in base units', async () => {
    const { metrics } = await metricsOf({}, { TARGET_TOKEN_EXPIRES_AT: '1970-01-02T00:00:00Z' })
    const text = metricsText(metrics, false)
    promtool(['check', 'metrics'], { input: text })
    for (const line of [
      'target_relay_info{ledger="embedded"} 1',
      'target_relay_ready 1',
      'target_relay_check_status{check="target",status="fail"} 1',
      'target_relay_check_status{check="target",status="ok"} 0',
      'target_relay_target_token_expires_timestamp_seconds 86400',
      'target_relay_quota_limit_calls 1000',
      'target_relay_quota_used_calls 400',
      'target_relay_quota_ceiling_calls{lane="live"} 950',
      'target_relay_quota_ceiling_calls{lane="replay"} 1000',
      'target_relay_quota_next_free_timestamp_seconds 86400.5',
      'target_relay_paused 1',
      'target_relay_breaker_open{cause="misconfigured"} 1',
      'target_relay_breaker_open{cause="unavailable"} 0',
      'target_relay_breaker_opened_timestamp_seconds 5',
      'target_relay_ledger_clock_jumped 1',
      'target_relay_ledger_lost_timestamp_seconds 3',
      'target_relay_source_clock_lead_seconds{source="loan"} 1.5',
      'target_relay_flush_last_timestamp_seconds 60',
      'target_relay_flush_last_duration_seconds 1.25',
      'target_relay_flush_last_stopped{reason="quota"} 1',
      'target_relay_flush_last_entries{outcome="deferred_again"} 1',
      'target_relay_received_total{source="loan",lane="live"} 9',
      'target_relay_received_total{source="_other",lane="live"} 5',
      'target_relay_received_total{source="_other",lane="-"} 5',
      'target_relay_updates_total{source="loan",lane="live",outcome="deferred_quota"} 3',
      'target_relay_updates_total{source="loan",lane="replay",outcome="replayed"} 3',
      'target_relay_calls_total{source="loan",lane="live"} 7',
      'target_relay_unauthenticated_total{source="loan",why="stale"} 2',
    ])
      expect(text.split('\n')).toContain(line)
    // Whose updates the breaker is about names a visitor.
    expect(text).not.toContain('c-42')
  })

  it.each([
    ['in OpenMetrics', true, ['# TYPE a counter', '# UNIT a seconds', 'a_total{l="\\"\\\\\\n"} 1', '# EOF']],
    ['in Prometheus’ own format', false, ['# TYPE a_total counter', 'a_total{l="\\"\\\\\\n"} 1']],
  ])('are written %s, with what a label holds escaped', (_, open, lines) => {
    const metric: Metric = {
      name: 'a',
      type: 'counter',
      help: 'what',
      unit: 'seconds',
      samples: [{ labels: { l: '"\\\n' }, value: 1 }],
    }
    const empty: Metric = { ...metric, name: 'b', samples: [] }
    expect(metricsText([metric, empty], open).trimEnd().split('\n').slice(1)).toEqual(lines)
  })

  it('are given without what a silent ledger knows, and the log says why', async () => {
    const silent: Ledger['usage'] = () => Promise.reject(new TypeError('secret'))
    const { metrics, logged } = await metricsOf({ usage: silent })
    const text = metricsText(metrics, false)
    expect(text).toContain('target_relay_ready 1')
    expect(text).not.toContain('quota')
    expect(logged).toEqual([{ event: 'metrics_incomplete', error: 'TypeError' }])
  })

  it.each([undefined, '', 'null', '7', '{"atMs":"x"}', '{"atMs":1}', '{"atMs":1,"report":null}'])(
    'are given where the last run reads %j',
    async (text) => {
      const { metrics } = await metricsOf({ recall: async () => text })
      expect(metricsText(metrics, false)).toContain('target_relay_quota_used_calls')
    },
  )
})
