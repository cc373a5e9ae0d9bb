/**
 * Like workerd-process.ts, with the same arguments, but through Miniflare as the tests and `wrangler dev` run a Worker: its
 * own Workers are before it and before each of its fetches, and their CPU counts.
 */
import { build, stop } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'

const [port = '', folder = '', bindings = '{}', entry = '', stores = ''] = process.argv.slice(2)
process.on('disconnect', () => process.exit())
const bundled = await build({
  entryPoints: [entry],
  bundle: true,
  minify: true,
  format: 'esm',
  write: false,
  conditions: ['workerd', 'worker', 'browser'],
  external: ['cloudflare:workers', 'node:*'],
})
await stop()
const miniflare = new Miniflare({
  ...convertV4MiniflareOptions({
    name: 'measured',
    modules: true,
    script: bundled.outputFiles[0]?.text ?? '',
    compatibilityDate: '2026-11-17',
    host: '127.0.0.1',
    port: Number(port),
    bindings: JSON.parse(bindings) as Record<string, string>,
    ...(stores === 'with-stores'
      ? { kvNamespaces: ['BACKLOG'], durableObjects: { LEDGER: { className: 'LedgerObject', useSQLite: true } } }
      : {}),
    cf: false,
  }),
  resourcePersistencePath: folder,
})
await miniflare.ready
process.send?.('ready')
