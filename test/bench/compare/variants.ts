/** The variants: how each is started, and which port and process are measured. */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import { type RuntimeName, type ServerRuntime, startRelay } from '../../runtimes/relays.ts'
import { freePort } from '../../support/redis.ts'
import { settingsFor } from '../../support/settings.ts'

export interface Started {
  readonly port: number
  /** The root of the tree of processes whose CPU is counted. */
  readonly pid: number
  /** The stand-in for Upstash that it uses; its CPU is not counted. */
  readonly upstashPid?: number
}

export interface Variant {
  readonly name: string
  readonly about: string
  start(): Promise<Started>
}

/** Everything that runs beside a variant, and the function that ends it. */
export interface Stage {
  readonly targetOrigin: string
  /** The folder for the state of the variants. */
  readonly folder: string
  /** The module that runs Workers. */
  readonly workersOn: 'workerd-process.ts' | 'miniflare-process.ts'
  /** Starts a module of this folder; resolves to the process and its first message. */
  startProcess(module: string, ...args: string[]): Promise<{ readonly child: ChildProcess; readonly told: unknown }>
  /** Called once, at the end. */
  atEnd(stop: () => unknown): void
}

const root = fileURLToPath(new URL('../../..', import.meta.url))
export const floorName = 'floor'
const servers: readonly ServerRuntime[] = ['node', 'deno', 'bun']

/** @param beside the root of another version's tree, to measure its relays too */
export function variantsOn(stage: Stage, beside?: string): readonly Variant[] {
  const plain = (file: string) => () => workerd(stage, join(root, 'test/bench/compare', file), true, false)
  return [
    {
      name: floorName,
      about: 'a bare Hono Worker: Upstash, Target, Upstash behind the answer',
      start: plain('floor-worker.ts'),
    },
    {
      name: 'afternoon',
      about: '`Ratelimit.slidingWindow` and a fetch, on workerd',
      start: plain('afternoon-worker.ts'),
    },
    ...relaysOf(stage, root, ''),
    ...(beside === undefined ? [] : relaysOf(stage, beside, ', other version')),
  ]
}

function relaysOf(stage: Stage, from: string, suffix: string): readonly Variant[] {
  const mark = suffix === '' ? '' : '-beside'
  const named = (runtime: RuntimeName, ledger: string) => ({
    name: `${runtime}-${ledger}${mark}`,
    about: `the relay on ${runtime}, ledger: ${{ upstash: 'Upstash', object: 'Durable Object', sqlite: 'SQLite file' }[ledger]}${suffix}`,
  })
  const worker = join(from, 'src/worker.ts')
  return [
    { ...named('workerd', 'upstash'), start: () => workerd(stage, worker, true, true) },
    { ...named('workerd', 'object'), start: () => workerd(stage, worker, false, true) },
    ...servers.flatMap((runtime) => [
      { ...named(runtime, 'sqlite'), start: () => server(stage, runtime, false, from) },
      { ...named(runtime, 'upstash'), start: () => server(stage, runtime, true, from) },
    ]),
  ]
}

async function workerd(stage: Stage, entry: string, onUpstash: boolean, withStores: boolean): Promise<Started> {
  const { settings, upstashPid } = await settingsOn(stage, onUpstash)
  const port = await freePort()
  const { child } = await stage.startProcess(
    stage.workersOn,
    String(port),
    mkdtempSync(join(stage.folder, 'workerd-')),
    JSON.stringify(settings),
    entry,
    withStores ? 'with-stores' : '',
  )
  return { port, pid: child.pid ?? 0, ...(upstashPid === undefined ? {} : { upstashPid }) }
}

async function server(stage: Stage, runtime: ServerRuntime, onUpstash: boolean, from: string): Promise<Started> {
  const { settings, upstashPid } = await settingsOn(stage, onUpstash)
  const folder = mkdtempSync(join(stage.folder, `${runtime}-`))
  const relay = await startRelay(runtime, folder, settings, 'src/sources.ts', from)
  stage.atEnd(() => relay.end('SIGKILL'))
  return { port: Number(new URL(relay.url).port), pid: relay.pid, ...(upstashPid === undefined ? {} : { upstashPid }) }
}

async function settingsOn(stage: Stage, onUpstash: boolean) {
  if (!onUpstash) return { settings: settingsFor(stage.targetOrigin) }
  const { child, told } = await stage.startProcess('upstash-process.ts')
  const { url, token } = told as { url: string; token: string }
  const settings = settingsFor(stage.targetOrigin, { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token })
  return { settings, upstashPid: child.pid ?? 0 }
}

/**
 * Starts a module of this folder as a process with a channel to its parent: it ends with the channel, not by Ctrl-C.
 */
export async function startModule(module: string, args: readonly string[]) {
  const child = fork(fileURLToPath(new URL(module, import.meta.url)), args, {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    detached: true,
  })
  const told = await new Promise<unknown>((resolve, reject) =>
    child.once('message', resolve).once('exit', (code) => reject(new Error(`${module} ended with ${code}`))),
  )
  return { child, told }
}
