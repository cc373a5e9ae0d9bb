/**
 * The alert rules and the dashboard of docs/examples: `promtool` finds nothing wrong with the rules, each alert fires
 * when it should, and a real Prometheus that scrapes a relay can answer all that they ask.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { allMetrics, sampleNames } from '../support/all-metrics.ts'
import { startPrometheus } from '../support/prometheus.ts'
import { promtool } from '../support/promtool.ts'
import { testSecrets } from '../support/secrets.ts'
import { startServer } from '../support/server.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const rulesFile = 'docs/examples/prometheus-rules.yml'
const unitTests = 'test/examples/prometheus-rules.test.yml'

interface Panel {
  readonly title: string
  readonly description?: string
  readonly targets: readonly { readonly expr: string }[]
}
const { panels } = JSON.parse(read('docs/examples/grafana-dashboard.json')) as { panels: readonly Panel[] }
/** With the variables that Grafana fills in. */
const asked = panels.flatMap(({ targets }) =>
  targets.map(({ expr }) => expr.replaceAll('$job', '.*').replaceAll('$__rate_interval', '5m')),
)
const namesIn = (text: string) => [...new Set(text.match(/\btarget_relay_\w+/g))].sort()

describe('the alert rules', () => {
  it('are clean by promtool, and its unit tests of them pass', () => {
    promtool(['check', 'rules', rulesFile], { cwd: root })
    promtool(['test', 'rules', unitTests], { cwd: root })
  })

  it('have a unit test each, that sees it fire and sees it not fire', () => {
    const alerts = [...read(rulesFile).matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name)
    const tests = read(unitTests)
    expect(alerts.length).toBeGreaterThan(10)
    expect(alerts.filter((name) => !tests.includes(`alertname: ${name}, exp_alerts: []`))).toEqual([])
    expect(alerts.filter((name) => !tests.includes(`alertname: ${name}\n        exp_alerts:\n`))).toEqual([])
  })
})

describe('what the rules and the dashboard ask for', () => {
  it('is what /metrics gives, and the page lists', async () => {
    const given = sampleNames((await allMetrics()).metrics)
    expect(namesIn(read(rulesFile)).filter((name) => !given.includes(name))).toEqual([])
    expect(namesIn(asked.join()).filter((name) => !given.includes(name))).toEqual([])
    const listed = [...read('docs/observability.md').matchAll(/^\| `(target_relay_\w+)`/gm)].map(([, name]) => name)
    expect([...listed].sort()).toEqual([...given].sort())
  })

  it('a real Prometheus answers, from a relay that it scrapes', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin)
    await fetch(`${server.url}/v1/updates`, {
      method: 'POST',
      headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ visitor: { thirdPartyId: '1' }, attributes: { tier: 'gold' } }),
    })
    await server.relay.flush()
    await using prometheus = await startPrometheus({
      target: server.url,
      token: testSecrets.adminToken,
      rulesFile: join(root, rulesFile),
    })
    const spent = await prometheus.query('target_relay_quota_used_calls{job="target-relay"}')
    expect(spent.map(({ value: [, value] }) => value)).toEqual(['1'])
    expect(await prometheus.query('target_relay_updates_total{outcome="submitted"}')).toHaveLength(1)
    for (const expr of asked) await prometheus.query(expr)
    expect(await prometheus.alerts()).not.toContain('TargetRelayDown')
  }, 60_000)
})
