/** All that is asked of a SQL store. A Durable Object refuses BEGIN, hence `transaction`. */
export interface Sql {
  exec(query: string, ...params: (string | number | null)[]): Record<string, unknown>[]
  transaction<T>(work: () => T): T
  /**
   * Does a step once the store is free, waiting without blocking; rejects with the store's own error where it does not
   * become free within seconds, and with whatever else `work` throws. `work` is started again each time: if it
   * throws it must have done nothing, as a transaction has.
   */
  inTurn<T>(work: () => T): Promise<T>
  /** As `inTurn`, in a transaction, which may share its commit with others (`group-commit.ts`). On disk when it resolves. */
  atomically<T>(work: () => T): Promise<T>
  /** Leaves nothing of what was deleted on the disk; throws if the store is busy. For a step of its own. */
  purge?(): void
}
