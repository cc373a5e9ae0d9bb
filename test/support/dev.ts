/** `target-relay dev` (or another command that runs until it is stopped) as a process, and what it printed. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

export interface Running extends AsyncDisposable {
  readonly process: ChildProcess
  /** All that it printed so far. */
  printed(): string
  /** Resolves to what was printed once it holds this; rejects where it ends before, or takes too long. */
  until(text: string | RegExp, withinMs?: number): Promise<string>
  /** As Ctrl-C does. Resolves to its exit status. */
  stop(signal?: 'SIGINT' | 'SIGTERM'): Promise<number | null>
}

/** A loaded machine takes its time to start workerd. */
const startsWithinMs = 90_000

export function runningCommand(
  command: readonly [string, ...string[]],
  cwd: string,
  env: Readonly<Record<string, string | undefined>> = {},
): Running {
  const [file, ...args] = command
  const child = spawn(file, args, {
    cwd,
    // A terminal sends Ctrl-C to all of its foreground processes: npx, a shell and the command.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env } as unknown as NodeJS.ProcessEnv,
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
  let status: number | null | undefined
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      status = code
      resolve(code)
    })
  })
  const stop = async (signal: 'SIGINT' | 'SIGTERM' = 'SIGINT') => {
    if (child.pid !== undefined) process.kill(-child.pid, signal)
    return ended
  }
  return {
    process: child,
    printed: () => text,
    until: async (wanted, withinMs = startsWithinMs) => {
      const isThere = () => (typeof wanted === 'string' ? text.includes(wanted) : wanted.test(text))
      for (const giveUpAtMs = Date.now() + withinMs; !isThere(); await sleep(50)) {
        if (status !== undefined) throw new Error(`it ended with ${status}:\n${text}`)
        if (Date.now() > giveUpAtMs) throw new Error(`${wanted} was not printed:\n${text}`)
      }
      return text
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      if (status === undefined) await stop()
    },
  }
}

/** The commands of curl in what was printed, each with its continuation lines. */
export function curlsIn(printed: string): readonly string[] {
  return [...printed.matchAll(/^curl (?:.*\\\n)*.*/gm)].map(([command]) => command)
}

/** What a shell prints of a command. */
export async function shell(command: string, cwd?: string): Promise<string> {
  const { stdout } = await promisify(execFile)('sh', ['-c', command], cwd === undefined ? {} : { cwd })
  return stdout
}
