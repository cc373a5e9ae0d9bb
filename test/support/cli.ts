/** Runs a command of the command line in this process, and captures its output. */
import { main } from '../../src/cli/main.ts'

export interface Ran {
  readonly status: number
  readonly out: string
  readonly err: string
}

export async function cli(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const out: string[] = []
  const err: string[] = []
  const status = await main({
    args,
    env,
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    isTerminal: false,
  })
  return { status, out: out.join('\n'), err: err.join('\n') }
}
