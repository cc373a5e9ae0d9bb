/** What every command has in common: what it is given, and how it ends. */

/**
 * Exit statuses (docs/cli.md): it did all that it was asked for; it could not do all of it; it was asked wrongly
 * (arguments, settings, files); it has a fault of its own.
 */
export const exit = { ok: 0, failed: 1, misused: 2, broken: 70 } as const
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
