/**
 * The relay as a process of its own, to be killed at any moment: real workerd, with KV and Durable Object on disk, so
 * that what it had is there when it comes back. Answers its parent's questions about what KV holds.
 */
import { fileURLToPath, URL } from 'node:url'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'

const [port = '', folder = '', settings = '{}'] = process.argv.slice(2)
const root = fileURLToPath(new URL('../..', import.meta.url))
const bundled = await build({
  entryPoints: [`${root}src/worker.ts`],
  bundle: true,
  format: 'esm',
  write: false,
  conditions: ['workerd', 'worker', 'browser'],
  external: ['cloudflare:workers', 'node:*'],
})
const miniflare = new Miniflare({
  ...convertV4MiniflareOptions({
    name: 'target-relay',
    modules: true,
    script: bundled.outputFiles[0]?.text ?? '',
    compatibilityDate: '2026-11-17',
    host: '127.0.0.1',
    port: Number(port),
    bindings: JSON.parse(settings) as Record<string, string>,
    kvNamespaces: ['BACKLOG'],
    durableObjects: { LEDGER: { className: 'LedgerObject', useSQLite: true } },
    cf: false,
  }),
  resourcePersistencePath: folder,
})
await miniflare.ready
const kv = (await miniflare.getKVNamespace('BACKLOG')) as unknown as KVNamespace
process.on('message', async (prefix: string) => {
  const held: [key: string, stored: unknown][] = []
  for (let cursor: string | undefined; ; ) {
    const page = await kv.list({ prefix, ...(cursor === undefined ? {} : { cursor }) })
    for (const { name, metadata } of page.keys) {
      const value = metadata ?? (await kv.get(name))
      held.push([name, typeof value === 'string' ? JSON.parse(value) : value])
    }
    if (page.list_complete) break
    cursor = page.cursor
  }
  process.send?.(held)
})
process.send?.('ready')
