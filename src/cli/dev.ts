/**
 * `target-relay dev`: a relay to try things with, on this machine alone. Runs the relay (in real workerd where the folder
 * has a wrangler.toml), the stand-in of Target and the flush, until it is asked to stop.
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import process from 'node:process'
import { setInterval } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { given } from '../core/given.ts'
import { readDevVars } from '../dev/dev-vars.ts'
import { type Command, exit, type Io } from './command.ts'
import { type Looked, lookAtSources } from './dev/look.ts'
import { isWorkerProject, type RelayProcess, startRelay } from './dev/relay-process.ts'
import { described, welcome } from './dev/screen.ts'
import { devSettings } from './dev/settings.ts'
import { openState } from './dev/state.ts'
import { watchProject } from './dev/watch.ts'
import { listeningEmulator, portOf, portProblem } from './emulator.ts'
import { Failed, Misuse } from './errors.ts'
import { sourcesFile } from './load-sources.ts'
import { untilStopped } from './until-stopped.ts'

const tickEveryMs = 10_000

export const dev: Command = {
  summary: 'a relay to try things with: relay, stand-in of Target, flush',
  usage: `target-relay dev [--port <port>] [--keep] [--sources <file>]

Runs the relay of this folder on 127.0.0.1:8787 (--port), in real workerd where there is a wrangler.toml, else as a
server; a stand-in of Adobe Target on the next port, so that no call leaves this machine; and a flush every 10 s. Prints
a signed curl command for each source. Secrets and tokens are dev's own, unless .dev.vars has others. Sources may be
changed while it runs. State is in .target-relay, new with each run unless --keep. Ctrl-C stops all of it.
Exit 1 where a port is in use or the relay does not start.`,

  async run({ args, env, out, err }) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        port: { type: 'string', default: '8787' },
        keep: { type: 'boolean', default: false },
        sources: { type: 'string' },
      },
    })
    const port = portOf(values.port, '--port')
    const stopped = untilStopped()
    await wantPort(port)
    const session = new Session({
      project: process.cwd(),
      port,
      keep: values.keep,
      sources: sourcesFile(values.sources ?? env['RELAY_SOURCES']),
      out,
      err,
    })
    try {
      await session.start()
      const byItself = await Promise.race([stopped.then(() => false), session.endedByItself])
      if (byItself) throw new Failed('the relay ended by itself')
      return exit.ok
    } finally {
      await session.stop()
    }
  },
}

interface SessionOptions extends Pick<Io, 'out' | 'err'> {
  readonly project: string
  readonly port: number
  readonly keep: boolean
  readonly sources: string | undefined
}

class Session {
  readonly #options: SessionOptions
  readonly #origin: string
  readonly #stopping = new AbortController()
  readonly #endedByItself = Promise.withResolvers<true>()
  #ends: (() => Promise<void> | void)[] = []
  #relay: RelayProcess | undefined
  #running = ''
  #known: readonly Looked[] = []
  /** One change after the other. */
  #changing: Promise<void> = Promise.resolve()

  constructor(options: SessionOptions) {
    this.#options = options
    this.#origin = `http://127.0.0.1:${options.port}`
  }

  get endedByItself(): Promise<true> {
    return this.#endedByItself.promise
  }

  async start(): Promise<void> {
    const { project, port, keep, sources: file, out, err } = this.#options
    const own = readDevVars(project)
    const looked = await lookAtSources({ file, origin: this.#origin, own })
    if ('problem' in looked) throw new Misuse(looked.problem)
    this.#known = looked.looked
    const target = await listeningEmulator({
      port: port + 1,
      clientCode: own['TARGET_CLIENT_CODE'] ?? 'demo',
      autoSeed: true,
      ...given({ token: own['TARGET_TOKEN'] }),
    })
    this.#ends.push(() => target.close())
    const state = openState(project, keep, target.profiles)
    this.#ends.push(() => state.save())

    const run = async (settings: Readonly<Record<string, string>>) => {
      this.#running = JSON.stringify(settings)
      const relay = startRelay({ project, port, state: state.folder, settings, sources: file, show: out })
      this.#relay = relay
      void relay.ended.then((wasStopped) => wasStopped || this.#endedByItself.resolve(true))
      await relay.ready
    }
    await run(devSettings(this.#known, own, target.origin))
    const running = {
      relay: this.#origin,
      target: target.origin,
      tickSeconds: tickEveryMs / 1_000,
      kept: keep,
      command: process.argv[1]?.endsWith('.ts') ? 'npm run cli --' : 'npx target-relay',
      ...given({ apiToken: own['API_TOKENS'], adminToken: own['ADMIN_TOKEN'] }),
    }
    for (const line of welcome(running, this.#known)) out(line)

    const change = async () => {
      const [ownNow, again] = [readDevVars(project), await this.#look()]
      if (this.#stopping.signal.aborted) return
      if ('problem' in again) return err(`dev: ${again.problem}`)
      const settings = devSettings(again.looked, ownNow, target.origin)
      // Wrangler takes new code itself; a server and new settings need a new process.
      if (!isWorkerProject(project) || JSON.stringify(settings) !== this.#running) {
        await this.#relay?.stop()
        await run(settings)
      }
      const before = new Set(this.#known.map(({ name }) => name))
      this.#known = again.looked
      for (const source of again.looked.filter(({ name }) => !before.has(name)))
        for (const line of described(source, running)) out(line)
    }
    const stopWatching = watchProject(project, file, () => {
      this.#changing = this.#changing.then(change).catch((error: unknown) => {
        err(`dev: ${error instanceof Error ? error.message : String(error)}`)
        this.#endedByItself.resolve(true)
      })
    })
    this.#ends.push(stopWatching)
    if (isWorkerProject(project)) void this.#tick()
  }

  #look() {
    const { project, sources: file } = this.#options
    return lookAtSources({ file, origin: this.#origin, own: readDevVars(project) })
  }

  /** `wrangler dev` fires no crons by itself. */
  async #tick(): Promise<void> {
    const { signal } = this.#stopping
    try {
      for await (const _ of setInterval(tickEveryMs, undefined, { signal }))
        await fetch(`${this.#origin}/cdn-cgi/handler/scheduled`, { signal }).then(
          (response) => response.body?.cancel(),
          () => undefined,
        )
    } catch {
      // It was asked to stop.
    }
  }

  /** Everything, in the order from the last that was started to the first. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#relay?.stop()
    for (const end of this.#ends.toReversed()) await end()
    this.#ends = []
  }
}

/** @throws Failed where something listens on it */
async function wantPort(port: number): Promise<void> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  } catch (error) {
    throw portProblem(port, error)
  } finally {
    server.close()
  }
}
