/** A Durable Object's SQLite behind the SQL port. It refuses BEGIN, hence its own `transactionSync`. */
import type { Sql } from './sql.ts'

/** What is asked of an object's storage. */
export interface ObjectStorage {
  readonly sql: { exec(query: string, ...params: (string | number | null)[]): { toArray(): Record<string, unknown>[] } }
  transactionSync<T>(work: () => T): T
}

export function objectSqlite(storage: ObjectStorage): Sql {
  return {
    exec: (query, ...params) => storage.sql.exec(query, ...params).toArray(),
    transaction: (work) => storage.transactionSync(work),
    // An object has its storage to itself.
    inTurn: async (work) => work(),
    // It answers nothing before what was written is on disk, and writes what comes together at once.
    atomically: async (work) => storage.transactionSync(work),
  }
}
