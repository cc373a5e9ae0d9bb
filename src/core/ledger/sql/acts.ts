/** What operators did, on SQL: the last ones. Within a transaction. */
import type { Limits } from '../../limits.ts'
import type { Sql } from '../../store/sql.ts'

/** The place counts on: the highest one is never removed. */
export const actSchema = ['CREATE TABLE IF NOT EXISTS relay_act (place INTEGER PRIMARY KEY, act TEXT NOT NULL)']

export interface SqlActs {
  record(act: string): void
  /** Newest first. */
  list(): readonly string[]
}

export function openActs(sql: Sql, { actsKept }: Pick<Limits, 'actsKept'>): SqlActs {
  return {
    record(act) {
      sql.exec('INSERT INTO relay_act (act) VALUES (?)', act)
      sql.exec('DELETE FROM relay_act WHERE place <= (SELECT max(place) FROM relay_act) - ?', actsKept)
    },
    list: () => sql.exec('SELECT act FROM relay_act ORDER BY place DESC').map((row) => String(row['act'])),
  }
}
