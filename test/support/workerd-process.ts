/**
 * A Worker in a process of its own that can be killed at any moment: real workerd, with KV and Durable Object on disk, so
 * that its state survives a restart. Answers its parent's questions about what KV and the object hold.
 *
 * Arguments: port, folder, settings as JSON, and the Worker's file under the root of the project (default the relay's own).
 */
import { fileURLToPath, URL } from 'node:url'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { unpackHead } from '../../src/core/backlog/head-format.ts'
import type { RowsStub } from '../../src/workers/object-rows.ts'

const [port = '', folder = '', settings = '{}', entry = 'src/worker.ts'] = process.argv.slice(2)
const root = fileURLToPath(new URL('../..', import.meta.url))
const bindings = JSON.parse(settings) as Record<string, string>
const hasObject = bindings['BACKLOG_STORE'] !== undefined
const bundled = await build({
  entryPoints: [`${root}${entry}`],
  bundle: true,
  format: 'esm',
  write: false,
  conditions: ['workerd', 'worker', 'browser'],
  external: ['cloudflare:workers', 'node:*'],
  // Sources are code, and a Worker's code cannot read an environment.
  define: {
    'process.env': JSON.stringify({
      TEST_JWKS_URL: bindings['TEST_JWKS_URL'],
      TEST_SENDER_KEYS: bindings['TEST_SENDER_KEYS'],
    }),
  },
})
const miniflare = new Miniflare({
  ...convertV4MiniflareOptions({
    name: 'target-relay',
    modules: true,
    script: bundled.outputFiles[0]?.text ?? '',
    compatibilityDate: '2026-11-17',
    host: '127.0.0.1',
    port: Number(port),
    bindings,
    kvNamespaces: ['BACKLOG'],
    durableObjects: {
      LEDGER: { className: 'LedgerObject', useSQLite: true },
      ...(hasObject ? { BACKLOG_OBJECT: { className: 'BacklogObject', useSQLite: true } } : {}),
    },
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
      // A head describes the value; any other metadata is the content itself.
      const value =
        metadata === undefined || metadata === null || unpackHead(metadata) !== undefined
          ? await kv.get(name)
          : metadata
      held.push([name, typeof value === 'string' ? JSON.parse(value) : value])
    }
    if (page.list_complete) break
    cursor = page.cursor
  }
  if (hasObject) {
    const objects = (await miniflare.getDurableObjectNamespace('BACKLOG_OBJECT')) as unknown as DurableObjectNamespace
    const rows = objects.get(objects.idFromName('backlog')) as unknown as RowsStub
    for (const { key, value } of await rows.read(await rows.keys(prefix, `${prefix}~`, 100_000)))
      held.push([key, JSON.parse(value)])
  }
  process.send?.(held)
})
process.send?.('ready')
