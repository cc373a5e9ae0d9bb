/** `target-relay <command>`: everything that runs outside a Worker. */
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { URL } from 'node:url'
import { alert } from './alert.ts'
import { audit } from './audit.ts'
import { backlog } from './backlog.ts'
import { type Command, type Exit, exit, type Io } from './command.ts'
import { dead } from './dead.ts'
import { dev } from './dev.ts'
import { emulator } from './emulator.ts'
import { erase } from './erase.ts'
import { Failed, isFromOutside, Misuse, reasonOf } from './errors.ts'
import { flush } from './flush.ts'
import { init } from './init.ts'
import { keys } from './keys.ts'
import { ledger } from './ledger.ts'
import { lint } from './lint.ts'
import { map } from './map.ts'
import { metrics } from './metrics.ts'
import { plan } from './plan.ts'
import { quota } from './quota.ts'
import { send } from './send.ts'
import { series } from './series.ts'
import { serve } from './serve.ts'
import { sign } from './sign.ts'
import { status } from './status.ts'
import { breaker, pause, resume } from './steer.ts'
import { verify } from './verify.ts'

const commands: Readonly<Record<string, Command>> = {
  init,
  dev,
  serve,
  flush,
  map,
  lint,
  sign,
  send,
  status,
  backlog,
  dead,
  verify,
  erase,
  pause,
  resume,
  quota,
  breaker,
  series,
  metrics,
  alert,
  audit,
  keys,
  ledger,
  plan,
  emulator,
}

const overview = `target-relay <command> [options]

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(9)}${summary}`)
  .join('\n')}

target-relay <command> --help tells more, --version says which it is. Settings come from the environment.`

/** @returns the exit status; nothing is thrown */
export async function main(io: Io): Promise<Exit> {
  const [name = '--help', ...args] = io.args
  if (name === '--help' || name === 'help') {
    io.out(overview)
    return exit.ok
  }
  if (name === '--version' || name === 'version') {
    io.out(versionHere())
    return exit.ok
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) {
    io.err(`unknown command ${name}\n\n${overview}`)
    return exit.misused
  }
  if (args.includes('--help')) {
    io.out(command.usage)
    return exit.ok
  }
  try {
    return await command.run({ ...io, args })
  } catch (error) {
    // parseArgs throws with a code of its own for unknown options.
    if (
      error instanceof Misuse ||
      (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))
    ) {
      io.err(`${name}: ${error.message}`)
      return exit.misused
    }
    if (error instanceof Failed || isFromOutside(error)) {
      io.err(`${name}: ${error instanceof Failed ? error.message : reasonOf(error)}`)
      return exit.failed
    }
    // A bug of our own: the stack says where to fix it.
    io.err(
      `${name}: a fault of target-relay's own: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    )
    return exit.broken
  }
}

/** Both the package and a clone have it two folders up. */
function versionHere(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return version
}

/** Runs the command that this process was started with. */
export async function runHere(): Promise<void> {
  const [name] = process.argv.slice(2)
  let unwritten = false
  process.stdout.on('error', (error: Error & { code?: string }) => {
    if (unwritten) return
    // A reader that closed the pipe has read enough, and the work continues. A server must not lose its log silently.
    const closed = error.code === 'EPIPE'
    if (!closed || name === 'serve')
      process.stderr.write(`${name}: standard output cannot be written (${error.code ?? error.name})\n`)
    unwritten = true
    if (!closed && (process.exitCode ?? exit.ok) === exit.ok) process.exitCode = exit.failed
  })
  // There is nowhere left to report it.
  process.stderr.on('error', () => {})
  const ended = await main({
    args: process.argv.slice(2),
    env: process.env,
    out: (line) => process.stdout.write(`${line}\n`),
    err: (line) => process.stderr.write(`${line}\n`),
    isTerminal: process.stdout.isTTY === true,
    ...(process.stderr.isTTY === true
      ? { progress: (line: string) => process.stderr.write(`\r\u001b[2K${line}`) }
      : {}),
  })
  if (ended !== exit.ok) process.exitCode = ended
}

if (import.meta.main) await runHere()
