/** A relay on real workerd that counts what it is billed for. */

import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, URL } from 'node:url'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { testSecrets } from '../support/secrets.ts'
import { settingsFor } from '../support/settings.ts'
import { startUpstashStandIn } from '../support/upstash-stand-in.ts'

const names = [
  'targetCalls',
  'upstashRequests',
  'upstashCommands',
  'objectRequests',
  'rowsRead',
  'rowsWritten',
  'kvReads',
  'kvWrites',
  'kvDeletes',
  'kvLists',
  'logBytes',
] as const
/** What something costs. */
export type Bill = Readonly<Record<(typeof names)[number], number>>

const nothing = Object.fromEntries(names.map((name) => [name, 0])) as unknown as Bill

export interface BilledRelay extends AsyncDisposable {
  /** What `work` costs, with all that goes on behind its answers. */
  billOf(work: () => Promise<unknown>): Promise<Bill>
  /** Sends an update; resolves to the word with which it was answered. */
  send(update: object): Promise<string>
  run(): Promise<void>
  pause(paused: boolean): Promise<void>
}

/** Nothing is under way any longer once this many looks in a row found no new count. */
const quietPolls = 5
const pollMs = 40

export async function startBilledRelay(ledger: 'upstash' | 'object', store: 'kv' | 'object'): Promise<BilledRelay> {
  const emulator = await startEmulator({ autoSeed: true })
  const standIn = ledger === 'upstash' ? await startUpstashStandIn() : undefined
  const bindings = settingsFor(emulator.origin, {
    BACKLOG_STORE: store,
    ...(standIn === undefined ? {} : { UPSTASH_REDIS_REST_URL: standIn.url, UPSTASH_REDIS_REST_TOKEN: standIn.token }),
  })
  const bundled = await build({
    entryPoints: [fileURLToPath(new URL('counting-worker.ts', import.meta.url))],
    bundle: true,
    format: 'esm',
    write: false,
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:workers', 'node:*'],
  })
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      name: 'billed',
      modules: true,
      script: bundled.outputFiles[0]?.text ?? '',
      compatibilityDate: '2026-11-17',
      bindings,
      kvNamespaces: ['BACKLOG'],
      durableObjects: {
        LEDGER: { className: 'LedgerObject', useSQLite: true },
        ...(store === 'object' ? { BACKLOG_OBJECT: { className: 'BacklogObject', useSQLite: true } } : {}),
      },
      cf: false,
    }),
  )
  const { origin } = await miniflare.ready
  const ask = async (path: string, token = '', body: object = {}) => {
    const response = await fetch(`${origin}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return response.text()
  }
  /** All that was counted since the last time, once nothing more is. */
  const counted = async (): Promise<Bill> => {
    let bill = nothing
    for (let quiet = 0; quiet < quietPolls; ) {
      await sleep(pollMs)
      const more = { ...nothing, ...(JSON.parse(await ask('/counts')) as Partial<Bill>), ...outside() }
      quiet = names.every((name) => more[name] === 0) ? quiet + 1 : 0
      bill = sumOf(bill, more)
    }
    return bill
  }
  let calls = 0
  const outside = () => {
    const { requests, commands } = standIn?.counts ?? { requests: 0, commands: 0 }
    standIn?.resetCounts()
    const before = calls
    calls = emulator.statistics().calls
    return { targetCalls: calls - before, upstashRequests: requests, upstashCommands: commands }
  }
  return {
    billOf: async (work) => {
      await counted()
      await work()
      return counted()
    },
    send: async (update) =>
      String((JSON.parse(await ask('/v1/updates', testSecrets.apiToken, update)) as { status: unknown }).status),
    run: async () => {
      await ask('/run')
    },
    pause: async (paused) => {
      await ask(`/admin/api/${paused ? 'pause' : 'resume'}`, testSecrets.adminToken)
    },
    [Symbol.asyncDispose]: async () => {
      await miniflare.dispose()
      await standIn?.[Symbol.asyncDispose]()
      await emulator[Symbol.asyncDispose]()
    },
  }
}

function sumOf(one: Bill, other: Bill): Bill {
  return Object.fromEntries(names.map((name) => [name, one[name] + other[name]])) as unknown as Bill
}
