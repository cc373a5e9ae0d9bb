/** The errors that a command throws, and how an error from outside is printed in one line. */
import { SettingsError } from '../relay/errors.ts'

/** A command was used wrongly: printed in one line, with exit code 2. */
export class Misuse extends Error {
  override readonly name = 'Misuse'
}

/** Something outside (network, disk, a store) failed: printed in one line, with exit code 1. */
export class Failed extends Error {
  override readonly name = 'Failed'
}

const reasonChars = 200

/**
 * Why something outside (network, disk, store) failed, in one line and without the request: Upstash's client repeats
 * the whole command.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'no reason given'
  const { cause } = error
  // An error of fetch has the reason in its cause, and only a code there if several addresses were tried.
  const why =
    cause instanceof Error
      ? cause.message || ('code' in cause ? String(cause.code) : '') || error.message
      : error.message
  if (isLocked(error)) return 'another process holds the database locked (a backup, a shell): end that, or try again'
  const [line = ''] = why.split(/, command was:|[\r\n]/)
  return line.slice(0, reasonChars).trim() || error.name
}

const sqliteBusy = 5

/** Whether SQLite gave up waiting for another process. */
export function isLocked(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'errcode' in error ? Number(error.errcode) & 0xff : undefined
  return code === undefined ? error.message.startsWith('database is locked') : code === sqliteBusy
}

/** Whether this comes from outside (the system, the network, a store) and is not a bug in this program. */
export function isFromOutside(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return (
    /^(E[A-Z0-9]+|ERR_SQLITE_ERROR)$/.test(code) ||
    /^(UpstashError|TimeoutError|SQLiteError)$/.test(error.name) ||
    isLocked(error)
  )
}

/** The error of a command for bad settings or a storage that cannot be opened; any other error unchanged. */
export function toldAs(error: unknown): unknown {
  if (!(error instanceof SettingsError)) return error
  const problems = error.problems.join('\n')
  return isLocked(error.cause) ? new Failed(problems) : new Misuse(problems)
}
