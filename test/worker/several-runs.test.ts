/** Several runs of the flush in real workerd: each in an object of its own, which calls the Worker (G2, G7). */
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { describe, expect, it } from 'vitest'
import { lastRunMemo, readLastRun, writeLastRun } from '../../src/cron/report.ts'
import { startEmulator } from '../../src/emulator/emulator.ts'
import type { Stub } from '../../src/workers/ledger-object.ts'
import { testSecrets } from '../support/secrets.ts'
import { settingsFor } from '../support/settings.ts'

const bundled = await build({
  entryPoints: ['src/worker.ts'],
  bundle: true,
  format: 'esm',
  write: false,
  conditions: ['workerd', 'worker', 'browser'],
  external: ['cloudflare:workers', 'node:*'],
})
/** More than a page. */
const visitors = 1_200
const batch = 100
/** On a busy machine what waits for the ledger is deferred without it, and is due all the same. */
const patient = { LEDGER_TIMEOUT_MS: '10000', ANSWER_DEADLINE_MS: '10000', OUTAGE_SETTLE_MS: '0' }

interface Started {
  readonly compatibilityDate?: string
  readonly hasObject?: boolean
  readonly runs?: number
}

/** A relay in workerd in whose backlog `visitors` entries wait, behind a run that was out of time. */
async function relayWith({ compatibilityDate = '2026-11-17', hasObject = true, runs = 4 }: Started = {}) {
  const emulator = await startEmulator({ autoSeed: true })
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: bundled.outputFiles[0]?.text ?? '',
      compatibilityDate,
      bindings: settingsFor(emulator.origin, { FLUSH_RUNS: String(runs), ...patient }),
      kvNamespaces: ['BACKLOG'],
      durableObjects: {
        LEDGER: { className: 'LedgerObject', useSQLite: true },
        ...(hasObject ? { FLUSH_OBJECT: { className: 'FlushObject', useSQLite: true } } : {}),
      },
      cf: false,
    }),
  )
  const url = (await miniflare.ready).href
  const post = (path: string, token: string, body?: object) =>
    fetch(new URL(path, url), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const objects = (await miniflare.getDurableObjectNamespace('LEDGER')) as unknown as DurableObjectNamespace
  const ledger = objects.get(objects.idFromName('ledger')) as unknown as Stub
  const flush = async () => (await post('/admin/api/flush', testSecrets.adminToken)).json()
  return {
    ledger,
    flush,
    ready: async () => (await fetch(new URL('/readyz', url))).json(),
    /** What was admitted and could not be called in time goes with the next run. */
    drain: async () => {
      const kv = (await miniflare.getKVNamespace('BACKLOG')) as unknown as KVNamespace
      const left = async () => (await kv.list({ prefix: 'b1/' })).keys.length
      for (let more = 0; more < 5 && (await left()) > 0; more++) await flush()
      expect(await left()).toBe(0)
    },
    /** Visitors whose value Target has. */
    delivered: () =>
      Array.from({ length: visitors }, (_, n) => `3p:v${Math.floor(n / batch)}-${n % batch}`).filter(
        (visitor) => emulator.profiles.values(visitor)?.['tier'] === 'gold',
      ).length,
    cron: async () => {
      const worker = (await miniflare.getWorker()) as unknown as { scheduled(options: object): Promise<unknown> }
      await worker.scheduled({ cron: '* * * * *' })
    },
    fill: async () => {
      await post('/admin/api/pause', testSecrets.adminToken)
      // One after another: beside each other they are more than the ledger answers in time.
      for (let at = 0; at < visitors / batch; at++) {
        const updates = Array.from({ length: batch }, (_, n) => ({
          id: `e${at}-${n}`,
          visitor: { thirdPartyId: `v${at}-${n}` },
          attributes: { tier: 'gold' },
        }))
        expect((await post('/v1/updates', testSecrets.apiToken, { updates })).ok).toBe(true)
      }
      await post('/admin/api/resume', testSecrets.adminToken)
      await ledger.remember(lastRunMemo, writeLastRun({ atMs: 1, report: { stopped: 'time' } }))
    },
    async [Symbol.asyncDispose]() {
      await miniflare.dispose()
      await emulator[Symbol.asyncDispose]()
    },
  }
}

const settingsOfAll = { timeout: 300_000 }

describe('in workerd several runs', () => {
  it(
    'share a backlog, each in an invocation of its own: by an operator’s request (G2, G7)',
    settingsOfAll,
    async () => {
      await using relay = await relayWith()
      await relay.fill()
      expect(await relay.flush()).toMatchObject({ runsTogether: 4, read: visitors })
      await relay.drain()
      expect(relay.delivered()).toBe(visitors)
    },
  )

  it('and by the cron', settingsOfAll, async () => {
    await using relay = await relayWith({ runs: 2 })
    await relay.fill()
    await relay.cron()
    const last = readLastRun(await relay.ledger.recall(lastRunMemo))?.report
    expect(last).toMatchObject({ runsTogether: 2, read: visitors })
    await relay.drain()
    expect(relay.delivered()).toBe(visitors)
  })

  it(
    'are one where the compatibility date is from before a Worker could reach its own exports',
    settingsOfAll,
    async () => {
      await using relay = await relayWith({ compatibilityDate: '2025-10-01' })
      await relay.fill()
      const report = await relay.flush()
      expect(report).toMatchObject({ read: visitors })
      expect(report).not.toHaveProperty('runsTogether')
    },
  )

  it('need a binding, and the relay says so', settingsOfAll, async () => {
    await using relay = await relayWith({ hasObject: false })
    expect(await relay.flush()).toMatchObject({ status: 503 })
    expect(JSON.stringify(await relay.ready())).toContain('FLUSH_OBJECT')
  })
})
