/** Saves and restores a database's rows, as a failover that lost writes, or a lost disk, does to a ledger. */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite'

type State = ReadonlyMap<string, readonly Record<string, SQLInputValue>[]>

export function takeState(database: DatabaseSync): State {
  return new Map(
    tables(database).map((table) => [
      table,
      database.prepare(`SELECT * FROM ${table}`).all() as Record<string, SQLInputValue>[],
    ]),
  )
}

/** Without a state, removes everything. */
export function putState(database: DatabaseSync, state: State = new Map()): void {
  for (const table of tables(database)) {
    database.exec(`DELETE FROM ${table}`)
    for (const row of state.get(table) ?? []) {
      const names = Object.keys(row)
      database
        .prepare(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`)
        .run(...names.map((name) => row[name] ?? null))
    }
  }
}

function tables(database: DatabaseSync): readonly string[] {
  return database
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
    .all()
    .map(({ name }) => String(name))
}
