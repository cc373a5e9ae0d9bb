/** `target-relay <command>`: what needs no Worker. */
import process from 'node:process'
import { type Command, type Exit, exit, type Io, Misuse } from './command.ts'
import { flush } from './flush.ts'
import { ledger } from './ledger.ts'
import { lint } from './lint.ts'
import { map } from './map.ts'
import { Failed } from './relay-client.ts'
import { send } from './send.ts'
import { serve } from './serve.ts'
import { status } from './status.ts'
import { verify } from './verify.ts'

const commands: Readonly<Record<string, Command>> = { serve, flush, map, lint, send, verify, status, ledger }

const overview = `target-relay <command> [options]

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(8)}${summary}`)
  .join('\n')}

target-relay <command> --help tells more. Settings come from the environment.`

/** @returns the exit status; nothing is thrown */
export async function main(io: Io): Promise<Exit> {
  const [name = '--help', ...args] = io.args
  if (name === '--help' || name === 'help') {
    io.out(overview)
    return exit.ok
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) {
    io.err(`there is no command ${name}\n\n${overview}`)
    return exit.misused
  }
  if (args.includes('--help')) {
    io.out(command.usage)
    return exit.ok
  }
  try {
    return await command.run({ ...io, args })
  } catch (error) {
    // parseArgs throws with a code of its own for what it does not know.
    const misused =
      error instanceof Misuse || (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))
    const expected = misused || error instanceof Failed
    io.err(`${name}: ${error instanceof Error ? (expected ? error.message : (error.stack ?? error.message)) : String(error)}`)
    return misused ? exit.misused : exit.failed
  }
}

/** The command that this process was asked for. */
export async function runHere(): Promise<void> {
  process.exitCode = await main({
    args: process.argv.slice(2),
    env: process.env,
    out: (line) => process.stdout.write(`${line}\n`),
    err: (line) => process.stderr.write(`${line}\n`),
    isTerminal: process.stdout.isTTY === true,
    ...(process.stderr.isTTY === true ? { progress: (line: string) => process.stderr.write(`\r\u001b[2K${line}`) } : {}),
  })
}

if (import.meta.main) await runHere()
