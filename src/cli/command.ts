/** What every command has in common: how it is told from others, and how it ends. */

/** Exit statuses: it went well, it could not do its work, it was asked wrongly (arguments, settings). */
export const exit = { ok: 0, failed: 1, misused: 2 } as const
export type Exit = (typeof exit)[keyof typeof exit]

export interface Io {
  readonly args: readonly string[]
  /** Settings by name. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Results, and what is said beside them. */
  out(line: string): void
  err(line: string): void
  /** Whether results are for a person's eyes. */
  readonly isTerminal: boolean
  /** Rewrites one line beside the results; absent where nobody looks. */
  readonly progress?: (line: string) => void
}

export interface Command {
  /** One line for the list of commands. */
  readonly summary: string
  readonly usage: string
  run(io: Io): Promise<Exit>
}

/** A command was asked for something that can't be: told to its user in one line, with exit 2. */
export class Misuse extends Error {
  override readonly name = 'Misuse'
}
