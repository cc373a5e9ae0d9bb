/**
 * `node:sqlite` behind the SQL port; Deno and Bun have it too. Several processes may share one file: WAL, and a
 * transaction takes its write lock at once, so that none reads what another is about to change.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Sql } from './sql.ts'

/** How long a transaction waits for another process to finish its own. */
const busyTimeoutMs = 5_000

export function nodeSqlite(database: DatabaseSync): Sql {
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = ${busyTimeoutMs}`)
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
        database.exec('ROLLBACK')
        throw error
      }
    },
  }
}
