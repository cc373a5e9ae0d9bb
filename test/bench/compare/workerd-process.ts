/**
 * A Worker on workerd in a process of its own, configured by hand: Miniflare puts Workers of its own before a Worker
 * and before each of its fetches, which would cost every variant the same and so bring the ratios nearer to 1.
 *
 * Arguments: port, folder of its state, bindings as JSON, the Worker's file, `with-stores` if it has a Durable Object and
 * KV, and a port at which KV is to be reached from outside. Needs the date of wrangler.toml. Sends workerd's process id once
 * it listens.
 */
import { spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, URL } from 'node:url'
import { build, stop } from 'esbuild'

const [port = '', folder = '', bindings = '{}', entry = '', stores = '', kvPort] = process.argv.slice(2)
const root = fileURLToPath(new URL('../../..', import.meta.url))
await build({
  entryPoints: [entry],
  outfile: join(folder, 'worker.js'),
  bundle: true,
  minify: true,
  format: 'esm',
  conditions: ['workerd', 'worker', 'browser'],
  external: ['cloudflare:workers', 'node:*'],
})
await stop()
copyFileSync(join(root, 'test/bench/compare/kv-worker.js'), join(folder, 'kv.js'))
mkdirSync(join(folder, 'objects'))
const config = join(folder, 'config.capnp')
writeFileSync(config, configText(JSON.parse(bindings) as Record<string, string>, stores === 'with-stores'))

const { default: workerd } = createRequire(import.meta.url)('workerd') as { default: string }
const child = spawn(workerd, ['serve', config], { stdio: ['ignore', 'ignore', 'inherit'] })
child.once('exit', () => process.exit(1))
process.on('disconnect', () => {
  child.kill('SIGKILL')
})
while (!(await isListening())) await sleep(20)
process.send?.(child.pid)

function configText(settings: Readonly<Record<string, string>>, withStores: boolean): string {
  const [, date = ''] = /^compatibility_date = "(.+)"$/m.exec(readFileSync(join(root, 'wrangler.toml'), 'utf8')) ?? []
  const texts = Object.entries(settings).map(([name, text]) => `(name = "${name}", text = ${JSON.stringify(text)})`)
  const bound = withStores
    ? ['(name = "BACKLOG", kvNamespace = "kv")', '(name = "LEDGER", durableObjectNamespace = "LedgerObject")', ...texts]
    : texts
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "measured", worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "${date}",
      bindings = [${bound.join(', ')}],
      ${
        withStores
          ? `durableObjectNamespaces = [(className = "LedgerObject", uniqueKey = "ledger", enableSql = true)],
      durableObjectStorage = (localDisk = "objects"),`
          : ''
      }
    )),
    (name = "kv", worker = (modules = [(name = "kv.js", esModule = embed "kv.js")], compatibilityDate = "${date}")),
    (name = "objects", disk = (path = ${JSON.stringify(join(folder, 'objects'))}, writable = true)),
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [
    (name = "http", address = "127.0.0.1:${port}", http = (), service = "measured"),
    ${kvPort === undefined ? '' : `(name = "kv", address = "127.0.0.1:${kvPort}", http = (), service = "kv"),`}
  ],
);
`
}

function isListening(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(port), '127.0.0.1', () => resolve(true))
    socket.on('error', () => resolve(false)).on('connect', () => socket.destroy())
  })
}
