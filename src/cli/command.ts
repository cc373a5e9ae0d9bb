/** What every command has in common: what it is given, and how it ends. */

/**
 * Exit statuses (docs/cli.md): all was done; not all could be done; it was used wrongly (arguments, settings, files);
 * it has a bug.
 */
export const exit = { ok: 0, failed: 1, misused: 2, broken: 70 } as const
export type Exit = (typeof exit)[keyof typeof exit]

export interface Io {
  readonly args: readonly string[]
  /** Settings by name. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Results on standard output; everything else on standard error. */
  out(line: string): void
  err(line: string): void
  /** Whether a person reads the results. */
  readonly isTerminal: boolean
  /** Rewrites one line of progress; absent if standard error is not a terminal. */
  readonly progress?: (line: string) => void
}

export interface Command {
  /** One line for the list of commands. */
  readonly summary: string
  readonly usage: string
  run(io: Io): Promise<Exit>
}
