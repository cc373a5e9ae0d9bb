/**
 * A Worker on workerd as a process of its own. It listens by itself: no Worker of Miniflare stands before or behind it, which
 * would cost every variant the same and so bring the ratios nearer to 1.
 *
 * Arguments: port, folder of its state, bindings as JSON, the Worker's file, and whether it has a Durable Object and KV.
 */
import { build } from 'esbuild'
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
const miniflare = new Miniflare({
  ...convertV4MiniflareOptions({
    name: 'measured',
    modules: true,
    script: bundled.outputFiles[0]?.text ?? '',
    compatibilityDate: '2026-11-17',
    host: '127.0.0.1',
    bindings: JSON.parse(bindings) as Record<string, string>,
    ...(stores === 'with-stores'
      ? { kvNamespaces: ['BACKLOG'], durableObjects: { LEDGER: { className: 'LedgerObject', useSQLite: true } } }
      : {}),
    unsafeDirectSockets: [{ host: '127.0.0.1', port: Number(port) }],
    stripCfConnectingIp: false,
    cf: false,
  }),
  resourcePersistencePath: folder,
})
await miniflare.ready
process.send?.('ready')
