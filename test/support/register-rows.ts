/** Measures the rows of visitors in a SQL ledger. */
import type { Sql } from '../../src/core/store/sql.ts'

/** The number of rows, and the bytes and registers in the largest. */
export function measureRows(sql: Sql): { rows: number; bytes: number; registers: number } {
  const [row = {}] = sql.exec(`
    SELECT COUNT(*) AS rows, MAX(LENGTH(CAST(registers AS BLOB))) AS bytes, MAX(json_array_length(registers, '$.r')) AS registers
    FROM (SELECT registers FROM relay_visitor UNION ALL SELECT registers FROM relay_page)`)
  return { rows: Number(row['rows']), bytes: Number(row['bytes']), registers: Number(row['registers']) }
}
