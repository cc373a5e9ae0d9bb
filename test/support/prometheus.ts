/** A real Prometheus that scrapes one relay each second, on a free loopback port. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureInstalled } from './promtool.ts'
import { freePort } from './redis.ts'

export interface Prometheus extends AsyncDisposable {
  /** Rejects where the expression is wrong. */
  query(expression: string): Promise<readonly { readonly metric: object; readonly value: readonly [number, string] }[]>
  /** Names of the alerts that are pending or fire. */
  alerts(): Promise<readonly string[]>
}

export interface PrometheusOptions {
  /** The relay, without a trailing slash. */
  readonly target: string
  readonly token: string
  readonly rulesFile: string
}

const startTimeoutMs = 40_000

/** Resolves once it has scraped the relay; rejects with its last error where it can't. */
export async function startPrometheus({ target, token, rulesFile }: PrometheusOptions): Promise<Prometheus> {
  ensureInstalled()
  const port = await freePort()
  const dir = mkdtempSync(join(tmpdir(), 'target-relay-prometheus-'))
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [rulesFile],
    scrape_configs: [
      {
        job_name: 'target-relay',
        authorization: { credentials: token },
        static_configs: [{ targets: [new URL(target).host] }],
      },
    ],
  }
  // JSON is YAML.
  writeFileSync(join(dir, 'prometheus.yml'), JSON.stringify(config))
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(dir, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(dir, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  )
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async () => {
    child.kill('SIGKILL')
    await ended
    rmSync(dir, { recursive: true, force: true })
  }
  const ask = async <T>(path: string): Promise<T> => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)
    const { data, error } = (await answer.json()) as { data?: T; error?: string }
    if (data === undefined) throw new Error(`${path}: ${error}`)
    return data
  }
  const giveUpAtMs = Date.now() + startTimeoutMs
  for (let lastError = 'does not listen'; ; ) {
    try {
      const { activeTargets } = await ask<{ activeTargets: { health: string; lastError: string }[] }>('targets')
      if (activeTargets[0]?.health === 'up') break
      lastError = activeTargets[0]?.lastError ?? 'no target'
    } catch {
      // It is starting.
    }
    if (Date.now() > giveUpAtMs) {
      await stop()
      throw new Error(`Prometheus: ${lastError}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return {
    query: async (expression) =>
      (await ask<{ result: Awaited<ReturnType<Prometheus['query']>> }>(`query?query=${encodeURIComponent(expression)}`))
        .result,
    alerts: async () =>
      (await ask<{ alerts: { labels: { alertname: string } }[] }>('alerts')).alerts.map(
        ({ labels }) => labels.alertname,
      ),
    [Symbol.asyncDispose]: stop,
  }
}
