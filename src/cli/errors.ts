/** What a command throws, and how an error from outside is told in one line. */
import { SettingsError } from '../relay/errors.ts'

/** A command was asked for something that can't be: told to its user in one line, with exit 2. */
export class Misuse extends Error {
  override readonly name = 'Misuse'
}

/** Something outside kept a command from its work: told in one line, with exit 1. */
export class Failed extends Error {
  override readonly name = 'Failed'
}

const reasonChars = 200

/**
 * Why something outside (network, disk, store) did not do what it was asked for, in one line, and without what it was
 * asked: Upstash's client repeats the whole command.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'no reason given'
  const { cause } = error
  // What fetch throws says why in its cause; where several addresses were tried, that has a code alone.
  const why =
    cause instanceof Error
      ? cause.message || ('code' in cause ? String(cause.code) : '') || error.message
      : error.message
  if (isLocked(error)) return 'another process holds the database locked (a backup, a shell): end that, or try again'
  const [line = ''] = why.split(/, command was:|[\r\n]/)
  return line.slice(0, reasonChars).trim() || error.name
}

const sqliteBusy = 5

/** Whether SQLite waited for another process in vain. */
export function isLocked(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'errcode' in error ? Number(error.errcode) & 0xff : undefined
  return code === undefined ? error.message.startsWith('database is locked') : code === sqliteBusy
}

/** Whether something outside threw this (the system, the network, a store), and not a mistake in this program. */
export function isFromOutside(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return (
    /^(E[A-Z0-9]+|ERR_SQLITE_ERROR)$/.test(code) ||
    /^(UpstashError|TimeoutError|SQLiteError)$/.test(error.name) ||
    isLocked(error)
  )
}

/** What a storage or the settings refuse, as a command tells it; anything else is thrown on. */
export function toldAs(error: unknown): unknown {
  if (!(error instanceof SettingsError)) return error
  const problems = error.problems.join('\n')
  return isLocked(error.cause) ? new Failed(problems) : new Misuse(problems)
}
