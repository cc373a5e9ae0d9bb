/** `/metrics`: clean by `promtool`, readable in both formats, bounded, without anything personal (G8). */
import { describe, expect, it } from 'vitest'
import { type Metric, metricsText } from '../../src/edge/http/metrics-text.ts'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { updateMetrics } from '../../src/relay/metrics-updates.ts'
import { allMetrics } from '../support/all-metrics.ts'
import { promtool } from '../support/promtool.ts'
import { testSecrets } from '../support/secrets.ts'
import { startServer } from '../support/server.ts'

const authorization = `Bearer ${testSecrets.adminToken}`
const openMetrics = 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4'

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

describe('the counters', () => {
  const samplesOf = (totals: Parameters<typeof updateMetrics>[0]) =>
    metricsText(updateMetrics(totals, new Set(['loan'])), false)
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))

  it('are by source, lane and outcome', () => {
    const totals = {
      'loan/live': { received: 5, submitted: 3, deferred_quota: 1, rejected: 1, calls: 4 },
      'loan/replay': { submitted: 1, calls: 1, calls_saved: 2 },
      'loan/-': { unauthenticated_mismatch: 6, greeted: 2, confirmation: 1 },
    }
    expect(samplesOf(totals)).toEqual([
      'target_relay_received_total{source="loan",lane="live"} 5',
      'target_relay_updates_total{source="loan",lane="live",outcome="submitted"} 3',
      'target_relay_updates_total{source="loan",lane="live",outcome="deferred_quota"} 1',
      'target_relay_updates_total{source="loan",lane="live",outcome="rejected"} 1',
      'target_relay_updates_total{source="loan",lane="replay",outcome="submitted"} 1',
      'target_relay_calls_total{source="loan",lane="live"} 4',
      'target_relay_calls_total{source="loan",lane="replay"} 1',
      'target_relay_calls_saved_total{source="loan",lane="replay"} 2',
      'target_relay_unauthenticated_total{source="loan",why="mismatch"} 6',
      'target_relay_handshakes_total{source="loan",outcome="answered"} 2',
      'target_relay_handshakes_total{source="loan",outcome="to_confirm"} 1',
    ])
  })

  it('of all sources that are not configured are one, and nothing of them is lost', () => {
    const totals = {
      'gone/live': { calls: 2 },
      'other/live': { calls: 3 },
      '': { 'unauthenticated.gone': 1, calls: 7 },
    }
    expect(samplesOf(totals)).toEqual([
      'target_relay_calls_total{source="_other",lane="live"} 5',
      'target_relay_calls_total{source="_other",lane="-"} 7',
    ])
  })
})

describe('the metrics', () => {
  it('say how things are, in base units', async () => {
    const { metrics } = await allMetrics()
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
      'target_relay_backlog_entries 9',
      'target_relay_backlog_entries_by_reason{reason="quota"} 7',
      'target_relay_backlog_entries_by_source{source="loan"} 4',
      'target_relay_backlog_entries_by_source{source="_other"} 5',
      'target_relay_backlog_visitors 4',
      'target_relay_backlog_calls 5',
      'target_relay_backlog_complete 1',
      'target_relay_backlog_counted_timestamp_seconds 20',
      'target_relay_backlog_oldest_timestamp_seconds 10',
      'target_relay_backlog_done_timestamp_seconds 30',
      'target_relay_quota_first_deferral_timestamp_seconds 40',
      'target_relay_dead_letters 3',
      'target_relay_dead_letters_by_reason{reason="rejected"} 3',
      'target_relay_dead_letters_by_reason{reason="expired"} 0',
      'target_relay_dead_letters_by_source{source="_other"} 2',
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
    const silent = () => Promise.reject(new TypeError('secret'))
    const { metrics, logged } = await allMetrics({ status: { whole: silent } })
    const text = metricsText(metrics, false)
    expect(text).toContain('target_relay_ready 1')
    expect(text).not.toContain('quota')
    expect(logged).toEqual([{ event: 'metrics_incomplete', error: 'TypeError' }])
  })

  it.each([undefined, '', 'null', '7', '{"atMs":"x"}', '{"atMs":1}', '{"atMs":1,"report":null}'])(
    'are given where the last run reads %j',
    async (text) => {
      const { metrics } = await allMetrics({ lastRun: text })
      expect(metricsText(metrics, false)).toContain('target_relay_quota_used_calls')
    },
  )
})
