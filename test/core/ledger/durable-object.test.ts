/** The ledger's contract on the SQLite of a real Durable Object in workerd, under the test's clock. */
import { fileURLToPath, URL } from 'node:url'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterAll } from 'vitest'
import { ledgerMethodNames } from '../../../src/core/ledger/methods.ts'
import type { LedgerStore } from '../../../src/core/ledger/port.ts'
import type { LedgerSettings } from '../../../src/core/ledger/rules/settings.ts'
import { defaultLimits } from '../../../src/core/limits.ts'
import { ledgerContract } from '../../contract/ledger.ts'
import { ledgerClockContract } from '../../contract/ledger-clock.ts'
import { largeVisitorContract } from '../../contract/ledger-large.ts'
import { watched } from '../../support/ledger.ts'

/** The parts that the watch over a store passes on. */
const storeMethods = ['kind', ...ledgerMethodNames.filter((name) => name !== 'admit' && name !== 'restored')]

/** In place of undefined, on the way to the object and back. */
const noValue = 'no value'

const worker = `
  import { DurableObject } from 'cloudflare:workers'
  import { sqlLedger } from './src/core/ledger/sql/ledger.ts'
  import { objectSqlite } from './src/core/store/sqlite-object.ts'
  import { measureRows } from './test/support/register-rows.ts'
  export class TestLedger extends DurableObject {
    call({ settings, limits, nowMs, method, args }) {
      this.nowMs = nowMs
      if (method === 'measure') return measureRows(objectSqlite(this.ctx.storage))
      this.ledger ??= sqlLedger(objectSqlite(this.ctx.storage), settings, { now: () => this.nowMs }, limits)
      return this.ledger[method](...args)
    }
  }
  export default {
    async fetch(request, env) {
      const asked = JSON.parse(await request.text(), (_, value) => value === '${noValue}' ? undefined : value)
      try {
        const answer = await env.LEDGER.get(env.LEDGER.idFromName(asked.name)).call(asked)
        // As RPC does, and JSON does not: what is undefined in a list arrives so.
        return new Response(JSON.stringify({ answer }, (_, value) => value === undefined ? '${noValue}' : value))
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

function objectLedger(settings: LedgerSettings, clock: { now: () => number }, limits = defaultLimits) {
  const name = `ledger-${++serial}`
  const call = async (method: string, args: readonly unknown[] = []) => {
    const asked = { name, settings, limits, nowMs: clock.now(), method, args }
    const body = JSON.stringify(asked, (_, value) => (value === undefined ? noValue : value))
    const response = await miniflare.dispatchFetch('http://ledger/', { method: 'POST', body })
    const { answer, error } = JSON.parse(await response.text(), (_, value) =>
      value === noValue ? undefined : value,
    ) as { answer?: unknown; error?: string }
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
  return {
    ledger: watched(store),
    measure: () => call('measure') as Promise<{ rows: number; bytes: number; registers: number }>,
  }
}

afterAll(() => miniflare.dispose())

ledgerClockContract('SQL in a Durable Object', {
  make: async (settings, clock) => objectLedger(settings, clock).ledger,
})
ledgerContract('SQL in a Durable Object', { make: async (settings, clock) => objectLedger(settings, clock).ledger })
ledgerContract('SQL in a Durable Object, pages of two', {
  make: async (settings, clock) =>
    objectLedger(settings, clock, { ...defaultLimits, registersPerPage: 2, registersPerPart: 3 }).ledger,
})
largeVisitorContract('SQL in a Durable Object', async (settings, clock) => objectLedger(settings, clock))
