/** A relay on each runtime, as a process: started, killed, and restarted on the state it left. */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import { freePort } from '../support/redis.ts'
import { testSecrets } from '../support/secrets.ts'

export const runtimes = ['workerd', 'node', 'deno', 'bun'] as const
export type RuntimeName = (typeof runtimes)[number]
/** The runtimes that run the command line. */
export type ServerRuntime = Exclude<RuntimeName, 'workerd'>

export interface RunningRelay {
  /** Without a trailing slash. */
  readonly url: string
  /** The process's id; for workerd its parent's. */
  readonly pid: number
  /** Everything that it has printed. */
  printed(): string
  /** Kills it as a crash would, or asks it to stop. Resolves to its exit status. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null>
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const deno = ['run', '--allow-net', '--allow-env', '--allow-read', '--allow-write']
const main = 'src/cli/main.ts'
const sourcesFile = 'test/runtimes/sources.ts'
const commands: Readonly<Record<ServerRuntime, readonly [command: string, ...args: string[]]>> = {
  node: ['node', main],
  deno: ['deno', ...deno, main],
  bun: ['bun', main],
}

export const newFolder = () => mkdtempSync(join(tmpdir(), 'target-relay-runtime-'))

/**
 * @param folder where it keeps its state over restarts
 * @param sources the file of the sources; a Worker's entry point is beside it
 * @param from the root of another version's tree, for a server
 */
export async function startRelay(
  runtime: RuntimeName,
  folder: string,
  settings: Readonly<Record<string, string>>,
  sources = sourcesFile,
  from = root,
): Promise<RunningRelay> {
  const port = await freePort()
  const child =
    runtime === 'workerd'
      ? fork(
          join(root, 'test/support/workerd-process.ts'),
          [String(port), folder, JSON.stringify(settings), join(dirname(sources), 'worker.ts')],
          {
            // A process group of its own, so that a kill ends workerd too.
            detached: true,
            stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
          },
        )
      : spawnCommand(
          runtime,
          ['serve', '--sources', sources],
          { ...serverSettings(folder, settings), PORT: String(port) },
          from,
        )
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  await new Promise<void>((resolve, reject) => {
    if (runtime === 'workerd') child.once('message', () => resolve())
    else child.stdout?.on('data', () => text.includes('"started"') && resolve())
    void ended.then((code) => reject(new Error(`${runtime} ended with ${code}: ${text}`)))
  })
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    printed: () => text,
    end: async (signal) => {
      if (child.exitCode === null && child.pid !== undefined) {
        if (runtime === 'workerd') process.kill(-child.pid, signal)
        else child.kill(signal)
      }
      return ended
    },
  }
}

/** Runs a command of the command line on a runtime until it ends. */
export async function runCommand(
  runtime: ServerRuntime,
  args: readonly string[],
  folder: string,
  settings: Readonly<Record<string, string>>,
): Promise<{ readonly status: number | null; readonly out: string; readonly err: string }> {
  const child = spawnCommand(runtime, args, serverSettings(folder, settings))
  let [out, err] = ['', '']
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    out += chunk
  })
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    err += chunk
  })
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { status, out, err }
}

function spawnCommand(
  runtime: ServerRuntime,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  from = root,
): ChildProcess {
  const [command, ...first] = commands[runtime]
  return spawn(command, [...first, ...args], {
    cwd: from,
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env } as unknown as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

function serverSettings(folder: string, settings: Readonly<Record<string, string>>): Record<string, string> {
  return { RELAY_DB: join(folder, 'relay.sqlite'), FLUSH_EVERY_MS: '0', ...settings }
}

/** Sends an operator's request, and resolves to its answer. */
export async function operate(
  { url }: Pick<RunningRelay, 'url'>,
  path: string,
  body?: unknown,
): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}/admin/api${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${testSecrets.adminToken}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return (await response.json()) as Record<string, unknown>
}

export interface Answered {
  readonly status: number
  readonly answer: Record<string, unknown>
}

export async function post({ url }: Pick<RunningRelay, 'url'>, body: unknown): Promise<Answered> {
  const response = await fetch(`${url}/v1/updates`, {
    method: 'POST',
    headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: response.status, answer: (await response.json()) as Record<string, unknown> }
}
