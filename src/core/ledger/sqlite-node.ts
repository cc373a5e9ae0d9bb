/**
 * `node:sqlite` behind the SQL port; Deno and Bun have it too. Several processes may share one file: WAL, and a
 * transaction takes its write lock at once, so that none reads what another is about to change.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Sql } from './sql.ts'

/** How long a transaction waits for another process to finish its own. */
const busyTimeoutMs = 5_000

export function nodeSqlite(database: DatabaseSync): Sql {
  // The time-out first: the change to WAL needs the file to itself for a moment.
  database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL`)
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  return {
    exec(query, ...params) {
      const statement = statements.get(query) ?? database.prepare(query)
      statements.set(query, statement)
      return statement.all(...params)
    },
    transaction(work) {
      database.exec('BEGIN IMMEDIATE')
      try {
        const result = work()
        database.exec('COMMIT')
        return result
      } catch (error) {
        rollBack()
        throw error
      }
    },
  }

  function rollBack(): void {
    try {
      database.exec('ROLLBACK')
    } catch {
      // SQLite rolls back by itself on a full disk and the like; the first error is the one to know.
    }
  }
}
