/** The relays and the floors that are put under load: how each is started, and where what it keeps is read. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import { entryPrefix, isDeadKey } from '../../../src/core/backlog/entry-format.ts'
import { unpackHead } from '../../../src/core/backlog/head-format.ts'
import { type Held, readHeld, readHeldFile } from '../../load/judge.ts'
import { type ServerRuntime, startRelay } from '../../runtimes/relays.ts'
import { freePort } from '../../support/redis.ts'
import { ringKey } from '../../support/seal.ts'
import { settingsFor } from '../../support/settings.ts'

export interface Started {
  readonly port: number
  /** The process whose memory, with that of its children, is measured. */
  readonly pid: number
  /** What its backlog holds. */
  held(): Promise<Held>
  stop(): Promise<void>
}

export interface Relay {
  readonly name: string
  readonly about: string
  readonly floor: string
  start(): Promise<Started>
}

export interface Floor {
  readonly name: string
  start(): Promise<Pick<Started, 'port' | 'pid' | 'stop'>>
}

export interface Stage {
  readonly targetOrigin: string
  /** The folder for the state of the relays. */
  readonly folder: string
  /** Starts a module; resolves to the process and its first message. */
  startProcess(module: URL, ...args: string[]): Promise<{ readonly child: ChildProcess; readonly told: unknown }>
  endProcess(child: ChildProcess): Promise<void>
}

const root = fileURLToPath(new URL('../../..', import.meta.url))
const workerdProcess = new URL('../compare/workerd-process.ts', import.meta.url)
const upstashProcess = new URL('../compare/upstash-process.ts', import.meta.url)
const servers: readonly ServerRuntime[] = ['node', 'deno', 'bun']
const commands: Readonly<Record<ServerRuntime, readonly [command: string, ...args: string[]]>> = {
  node: ['node'],
  deno: ['deno', 'run', '--allow-net', '--allow-env'],
  bun: ['bun'],
}
const key = ringKey('k')
const backlogKeys = { BACKLOG_KEYS: `k:${Buffer.from(key.bytes).toString('base64')}` }

export function floorsOn(stage: Stage): readonly Floor[] {
  return [
    {
      name: 'workerd',
      start: () => workerd(stage, 'test/bench/load/floor-worker.ts', settingsFor(stage.targetOrigin)),
    },
    ...servers.map((runtime) => ({ name: runtime, start: () => floorServer(stage, runtime) })),
  ]
}

export function relaysOn(stage: Stage): readonly Relay[] {
  return [
    {
      name: 'workerd-object',
      about: 'on workerd, ledger: Durable Object, backlog: KV',
      floor: 'workerd',
      start: () => workerd(stage, 'src/worker.ts', settingsFor(stage.targetOrigin, backlogKeys)),
    },
    {
      name: 'workerd-upstash',
      about: 'on workerd, ledger: Upstash, backlog: KV',
      floor: 'workerd',
      start: () => workerdOnUpstash(stage),
    },
    ...servers.map((runtime) => ({
      name: `${runtime}-sqlite`,
      about: `on ${runtime}, ledger and backlog: SQLite file`,
      floor: runtime,
      start: () => server(stage, runtime),
    })),
  ]
}

async function workerd(stage: Stage, entry: string, settings: Readonly<Record<string, string>>): Promise<Started> {
  const [port, kvPort] = [await freePort(), await freePort()]
  const folder = mkdtempSync(join(stage.folder, 'workerd-'))
  const isRelay = entry === 'src/worker.ts'
  const { child, told } = await stage.startProcess(
    workerdProcess,
    ...[
      String(port),
      folder,
      JSON.stringify(settings),
      join(root, entry),
      isRelay ? 'with-stores' : '',
      String(kvPort),
    ],
  )
  return {
    port,
    pid: Number(told),
    held: async () => readHeld(await kvRows(kvPort), key),
    stop: () => stage.endProcess(child),
  }
}

async function workerdOnUpstash(stage: Stage): Promise<Started> {
  const { child, told } = await stage.startProcess(upstashProcess)
  const { url, token } = told as { url: string; token: string }
  const upstash = { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token, ...backlogKeys }
  const started = await workerd(stage, 'src/worker.ts', settingsFor(stage.targetOrigin, upstash))
  return {
    ...started,
    stop: async () => {
      await started.stop()
      await stage.endProcess(child)
    },
  }
}

/** What KV holds by key, as it was stored. */
async function kvRows(port: number): Promise<(readonly [key: string, stored: unknown])[]> {
  const origin = `http://127.0.0.1:${port}`
  const rows: [string, unknown][] = []
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const page = (await (await fetch(`${origin}/?cursor=${encodeURIComponent(cursor)}`)).json()) as {
      keys: { name: string; metadata?: unknown }[]
      cursor?: string
    }
    for (const { name, metadata } of page.keys) {
      if (!name.startsWith(entryPrefix) && !isDeadKey(name)) continue
      // A head describes the value; any other metadata is the content itself.
      const inValue = metadata === undefined || metadata === null || unpackHead(metadata) !== undefined
      rows.push([name, inValue ? await (await fetch(`${origin}/${encodeURIComponent(name)}`)).json() : metadata])
    }
    cursor = page.cursor
  }
  return rows
}

async function server(stage: Stage, runtime: ServerRuntime): Promise<Started> {
  const folder = mkdtempSync(join(stage.folder, `${runtime}-`))
  const relay = await startRelay(runtime, folder, settingsFor(stage.targetOrigin, backlogKeys), 'src/sources.ts')
  const file = join(folder, 'relay.sqlite')
  return {
    port: Number(new URL(relay.url).port),
    pid: relay.pid,
    held: () => readHeldFile(file, key),
    stop: async () => {
      await relay.end('SIGKILL')
    },
  }
}

async function floorServer(stage: Stage, runtime: ServerRuntime) {
  const [command, ...args] = commands[runtime]
  const child = spawn(command, [...args, join(root, 'test/bench/load/floor-server.ts')], {
    cwd: root,
    env: {
      ...process.env,
      TARGET_ORIGIN: stage.targetOrigin,
      TARGET_CLIENT_CODE: 'demo',
    } as unknown as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const port = await new Promise<number>((resolve, reject) => {
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      const [, found] = /^port (\d+)$/m.exec(text) ?? []
      if (found !== undefined) resolve(Number(found))
    })
    void ended.then(() => reject(new Error(`the floor on ${runtime} ended`)))
  })
  return {
    port,
    pid: child.pid ?? 0,
    stop: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}
