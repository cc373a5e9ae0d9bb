/**
 * A real Redis for the tests: the one that `REDIS_URL` names, or our own redis-server on a free loopback port. The tests
 * are never skipped: without a Redis they fail with one line that says how to get it.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectRedis } from './resp.ts'

export interface RedisServer extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** Ends the process at once, as a crash would; a server named by `REDIS_URL` is left alone. */
  kill(): Promise<void>
}

export interface RedisOptions {
  /** A free one unless given. */
  readonly port?: number
  /** Writes every command to disk before it answers, into a folder that outlives the process. */
  readonly durableIn?: string
}

const startTimeoutMs = 10_000

export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const given = process.env['REDIS_URL']
  if (given !== undefined && given !== '' && options.durableIn === undefined) {
    const { hostname, port } = new URL(given)
    const leave = async () => {}
    return { host: hostname, port: Number(port || 6379), kill: leave, [Symbol.asyncDispose]: leave }
  }
  ensureInstalled()
  const port = options.port ?? (await freePort())
  const dir = options.durableIn ?? mkdtempSync(join(tmpdir(), 'target-relay-redis-'))
  const durable =
    options.durableIn === undefined ? ['--appendonly', 'no'] : ['--appendonly', 'yes', '--appendfsync', 'always']
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', ...durable, '--dir', dir],
    {
      stdio: 'ignore',
    },
  )
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const kill = async () => {
    child.kill('SIGKILL')
    await ended
    if (options.durableIn === undefined) rmSync(dir, { recursive: true, force: true })
  }
  const giveUpAtMs = Date.now() + startTimeoutMs
  for (;;) {
    try {
      const connection = await connectRedis('127.0.0.1', port)
      connection.close()
      return { host: '127.0.0.1', port, kill, [Symbol.asyncDispose]: kill }
    } catch (error) {
      if (Date.now() > giveUpAtMs) {
        await kill()
        throw error
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

function ensureInstalled(): void {
  const works = () => spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status === 0
  if (works()) return
  try {
    execFileSync('apt-get', ['install', '-y', 'redis-server'], { stdio: 'ignore' })
  } catch {
    // We may not install on this machine: the error below says what to do.
  }
  if (!works())
    throw new Error(
      'the tests need a Redis: install redis-server (apt-get install redis-server, brew install redis) or set REDIS_URL=redis://host:port',
    )
}

/** Systems give ports above these to outgoing connections, which must not take the port of a server that restarts later. */
const [lowestPort, highestPort] = [20_000, 32_000]

/** A free port that stays free, unless another process chooses one the same way. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = lowestPort + Math.floor(Math.random() * (highestPort - lowestPort))
    const server = createServer()
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!free) continue
    await new Promise((resolve) => server.close(resolve))
    return port
  }
}
