/** The relay of `target-relay dev` as a process: wrangler with the project's Worker, or `target-relay serve`. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failed } from '../errors.ts'
import { ownerOnly } from '../files.ts'
import { createOutput } from './output.ts'

export interface RelayOptions {
  /** The folder of the project. */
  readonly project: string
  /** Where its stores are kept. */
  readonly state: string
  readonly port: number
  readonly settings: Readonly<Record<string, string>>
  /** The file of the sources, for a server. */
  readonly sources: string | undefined
  readonly show: (line: string) => void
}

export interface RelayProcess {
  /** Resolves once it answers; rejects where it ends before, with what it said. */
  readonly ready: Promise<void>
  /** Resolves when it has ended, to whether it was stopped. */
  readonly ended: Promise<boolean>
  stop(): Promise<void>
}

/** A relay ends a running flush at its next safe point. */
const stopWithinMs = 8_000
const askEveryMs = 150
/** Of what is said before it is ready. */
const linesKept = 200

export function isWorkerProject(project: string): boolean {
  return ['wrangler.toml', 'wrangler.json', 'wrangler.jsonc'].some((file) => existsSync(join(project, file)))
}

export function startRelay(options: RelayOptions): RelayProcess {
  const child = isWorkerProject(options.project) ? spawnWorker(options) : spawnServer(options)
  const said: string[] = []
  const output = createOutput()
  let [isReady, isStopped] = [false, false]
  for (const stream of [child.stdout, child.stderr])
    if (stream !== null)
      createInterface({ input: stream }).on('line', (line) => {
        const shown = output.show(line)
        if (!isReady && said.length < linesKept) said.push(line)
        if (shown !== undefined) options.show(shown)
      })
  const ended = new Promise<boolean>((resolve) => {
    // `close` and not `exit`: everything that it said is read.
    child.once('close', () => resolve(isStopped))
    child.once('error', () => resolve(isStopped))
  })
  const answers = async () => {
    while (!isReady) {
      isReady = await fetch(`http://127.0.0.1:${options.port}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      )
      if (!isReady) await sleep(askEveryMs)
    }
  }
  const endsBefore = async () => {
    if (await ended) return
    const asked = isReady
    isReady = true
    if (!asked) throw new Failed(`the relay did not start:\n${said.join('\n')}`)
  }
  return {
    ready: Promise.race([answers(), endsBefore()]),
    ended,
    stop: async () => {
      isStopped = true
      kill(child, 'SIGTERM')
      const given = new AbortController()
      const inTime = await Promise.race([ended.then(() => true), sleep(stopWithinMs, false, { signal: given.signal })])
      given.abort()
      if (!inTime) kill(child, 'SIGKILL')
      isReady = true
      await ended
    },
  }
}

/** With all of its own processes. */
function kill({ pid }: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal)
  } catch {
    // It has ended already.
  }
}

function spawnWorker({ project, state, port, settings }: RelayOptions): ChildProcess {
  // Where the settings are that wrangler.toml requires: otherwise wrangler says that they are missing.
  const envFile = join(state, 'dev.env')
  const lines = Object.entries(settings).map(([name, value]) => `${name}='${value}'\n`)
  writeFileSync(envFile, lines.join(''), { mode: ownerOnly })
  return spawn(
    process.execPath,
    [
      wranglerOf(project),
      'dev',
      '--local',
      ...['--ip', '127.0.0.1', '--port', String(port)],
      ...['--persist-to', join(state, 'worker'), '--env-file', envFile],
      '--show-interactive-dev-session=false',
      ...Object.entries(settings).flatMap(([name, value]) => ['--var', `${name}:${value}`]),
    ],
    {
      cwd: project,
      // Ctrl-C in a terminal goes to this process alone, which stops all others.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false', NO_COLOR: '1' },
    },
  )
}

/** @throws Failed where the project has none */
function wranglerOf(project: string): string {
  const { resolve } = createRequire(join(project, 'package.json'))
  try {
    return join(dirname(resolve('wrangler/package.json')), 'bin/wrangler.js')
  } catch {
    throw new Failed('wrangler is not installed here: npm install, or npm install --save-dev wrangler')
  }
}

function spawnServer({ project, state, port, settings, sources }: RelayOptions): ChildProcess {
  const [, main = ''] = process.argv
  return spawn(process.execPath, [main, 'serve', ...(sources === undefined ? [] : ['--sources', sources])], {
    cwd: project,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    // None of the settings of this shell: they may be of a relay that is no toy.
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      FLUSH_EVERY_MS: '10000',
      ...settings,
      PORT: String(port),
      RELAY_DB: join(state, 'relay.sqlite'),
    } as unknown as NodeJS.ProcessEnv,
  })
}
