/** `target-relay emulator`: a stand-in of Adobe Target, until it is asked to stop. */
import { parseArgs } from 'node:util'
import { given } from '../core/given.ts'
import { type EmulatorOptions, startEmulator } from '../emulator/emulator.ts'
import { type Command, exit } from './command.ts'
import { Failed, Misuse } from './errors.ts'
import { untilStopped } from './until-stopped.ts'

export const emulator: Command = {
  summary: 'a stand-in of Adobe Target to try things against',
  usage: `target-relay emulator [--port <port>] [--client <code>] [--token <token>] [--quota <calls>] [--known-visitors-only]

Answers at 127.0.0.1:8788 like Adobe Target: the update endpoint and the profile fetch, for the client code demo. Every
visitor is known, unless --known-visitors-only; --token requires that token; --quota refuses calls after as many in
24 hours. What it holds and counts, and the faults that it can be given, are under /__emulator/ (docs/cli.md). It keeps
nothing on disk.`,

  async run({ args, out }) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        port: { type: 'string', default: '8788' },
        client: { type: 'string', default: 'demo' },
        token: { type: 'string' },
        quota: { type: 'string' },
        'known-visitors-only': { type: 'boolean', default: false },
      },
    })
    const stopped = untilStopped()
    const started = await listeningEmulator({
      port: portOf(values.port, '--port'),
      clientCode: values.client,
      autoSeed: !values['known-visitors-only'],
      ...given({ token: values.token, quota: values.quota === undefined ? undefined : countOf(values.quota) }),
    })
    out(`Adobe Target emulator for client "${values.client}" on ${started.origin}`)
    await stopped
    await started.close()
    return exit.ok
  },
}

/** @throws Failed where the port can't be listened on */
export async function listeningEmulator(options: EmulatorOptions) {
  try {
    return await startEmulator(options)
  } catch (error) {
    throw portProblem(options.port ?? 0, error)
  }
}

/** @throws Misuse for what is no port */
export function portOf(text: string, option: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65_535) throw new Misuse(`${option} is a port, from 1 to 65535`)
  return port
}

export function portProblem(port: number, error: unknown): Failed {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return new Failed(
    code === 'EADDRINUSE'
      ? `port ${port} is in use: stop what listens on it, or name another with --port`
      : `port ${port} cannot be listened on (${code || 'unknown'}): name another with --port`,
  )
}

function countOf(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Misuse('--quota is a number of calls')
  return Number(text)
}
