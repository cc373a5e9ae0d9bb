/**
 * Transactions of one moment share one commit: on a file, each commit waits for the disk, and a server under load
 * spends a third of its time there.
 *
 * Guarantee: each step is atomic by itself. One that throws is undone alone and fails alone; none resolves before the
 * commit that it is part of; where the commit fails, each of them fails and nothing of them is kept.
 */
import type { Sql } from './sql.ts'

/** Steps in one commit. They run one after the other without a pause, which other processes wait for. */
export const stepsTogether = 64

interface Asked {
  readonly work: () => unknown
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

type Outcome = { readonly result: unknown } | { readonly error: unknown }

/** SQLite has rolled back more than the step that failed: on a full disk it may end the whole transaction by itself. */
class GroupBroken extends Error {
  override readonly name = 'GroupBroken'
}

/**
 * @param sql a store that knows savepoints
 * @param soon calls back once everything that has come in at this moment was looked at, as `setImmediate` does
 */
export function groupCommits(sql: Sql, soon: (run: () => void) => void): Sql {
  const waiting: Asked[] = []

  return {
    ...sql,
    atomically<T>(work: () => T): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        if (waiting.length === 0) soon(commitWaiting)
        waiting.push({ work, resolve: resolve as (result: unknown) => void, reject })
      })
    },
  }

  function commitWaiting(): void {
    const group = waiting.splice(0, stepsTogether)
    if (waiting.length > 0) soon(commitWaiting)
    void commit(group)
  }

  async function commit(group: readonly Asked[]): Promise<void> {
    if (group.length === 1) return alone(group)
    let outcomes: readonly Outcome[]
    try {
      outcomes = await sql.atomically(() => group.map(({ work }) => inSavepoint(work)))
    } catch (error) {
      if (error instanceof GroupBroken) return alone(group)
      for (const { reject } of group) reject(error)
      return
    }
    for (const [index, { resolve, reject }] of group.entries()) {
      const outcome = outcomes[index]
      if (outcome !== undefined && 'result' in outcome) resolve(outcome.result)
      else reject(outcome?.error)
    }
  }

  /** Each in a transaction of its own, in the order in which they were asked for. */
  async function alone(group: readonly Asked[]): Promise<void> {
    for (const { work, resolve, reject } of group) await sql.atomically(work).then(resolve, reject)
  }

  function inSavepoint(work: () => unknown): Outcome {
    sql.exec('SAVEPOINT step')
    try {
      const result = work()
      sql.exec('RELEASE step')
      return { result }
    } catch (error) {
      try {
        sql.exec('ROLLBACK TO step')
        sql.exec('RELEASE step')
      } catch {
        throw new GroupBroken()
      }
      return { error }
    }
  }
}
