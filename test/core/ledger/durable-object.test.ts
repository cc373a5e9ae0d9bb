/** The ledger's contract on the SQLite of a real Durable Object in workerd, under the test's clock. */
import { fileURLToPath, URL } from 'node:url'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import type { LedgerStore } from '../../../src/core/ledger/port.ts'
import { ledgerContract } from '../../contract/ledger.ts'
import { watched } from '../../support/ledger.ts'

/** What the watch over a store spreads. */
const storeMethods: readonly (keyof LedgerStore)[] = [
  'kind',
  'settle',
  'firstStamps',
  'summary',
  'usage',
  'confirmClock',
  'lease',
  'release',
  'recall',
  'remember',
  'pause',
  'erase',
  'restate',
  'visitor',
  'moveOut',
  'moveIn',
]

const worker = `
  import { DurableObject } from 'cloudflare:workers'
  import { sqlLedger } from './src/core/ledger/sql.ts'
  import { objectSqlite } from './src/core/ledger/sqlite-object.ts'
  export class TestLedger extends DurableObject {
    call({ settings, nowMs, method, args }) {
      this.nowMs = nowMs
      this.ledger ??= sqlLedger(objectSqlite(this.ctx.storage), settings, { now: () => this.nowMs })
      return this.ledger[method](...args)
    }
  }
  export default {
    async fetch(request, env) {
      const asked = await request.json()
      try {
        return Response.json({ answer: await env.LEDGER.get(env.LEDGER.idFromName(asked.name)).call(asked) })
      } catch (error) {
        return Response.json({ error: error.message })
      }
    },
  }
`
const bundled = await build({
  stdin: { contents: worker, resolveDir: fileURLToPath(new URL('../../..', import.meta.url)), loader: 'js' },
  bundle: true,
  format: 'esm',
  write: false,
  external: ['cloudflare:workers'],
})
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script: bundled.outputFiles[0]?.text ?? '',
    compatibilityDate: '2026-11-17',
    durableObjects: { LEDGER: { className: 'TestLedger', useSQLite: true } },
    cf: false,
  }),
)
let serial = 0

ledgerContract('SQL in a Durable Object', {
  make: async (settings, clock) => {
    const name = `ledger-${++serial}`
    const call = async (method: string, args: readonly unknown[]) => {
      const body = JSON.stringify({ name, settings, nowMs: clock.now(), method, args })
      const { answer, error } = (await (await miniflare.dispatchFetch('http://ledger/', { method: 'POST', body })).json()) as {
        answer?: unknown
        error?: string
      }
      if (error !== undefined) throw error.includes('at most') ? new RangeError(error) : new Error(error)
      return answer
    }
    const store = new Proxy({ kind: 'embedded' } as LedgerStore, {
      get: (target, property) =>
        property in target
          ? Reflect.get(target, property)
          : property === 'then'
            ? undefined
            : (...args: unknown[]) => call(String(property), args),
      ownKeys: () => storeMethods,
      getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    })
    return watched(store)
  },
  dispose: () => miniflare.dispose(),
})
