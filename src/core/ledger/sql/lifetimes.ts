/**
 * When rows end. The end is rounded up to the hour, so that a settle finds a row as the admission left it and the index
 * of its end is untouched: a Durable Object bills every row written, those of an index too.
 */
import type { Sql } from '../../store/sql.ts'

/**
 * Rows whose life is over are removed a few at a time, so that no call pays for all of them; more of them than a
 * request can add, so that they never pile up.
 */
export const sweptPerRequest = 2
const untilGrainMs = 3_600_000

/** A sweep costs its queries even where nothing has ended, so one is made for this many requests. */
export const requestsPerSweep = 8

/** A row that lives longer than it must does no harm. */
export function wholeHour(ms: number): number {
  return Math.ceil(ms / untilGrainMs) * untilGrainMs
}

/**
 * Sweeps now and then, for the requests since the last sweep. The first step sweeps at once: a Durable Object that is
 * seldom asked starts anew each time.
 *
 * @param pagesAdded since the last sweep: a request that adds many is not followed by seven more of its size
 */
export function sweepsOf(
  sweep: (requests: number, nowMs: number) => void,
  pagesAdded: () => number,
): (requests: number, nowMs: number) => void {
  let unswept = requestsPerSweep
  return (requests, nowMs) => {
    unswept += requests
    if (unswept + pagesAdded() < requestsPerSweep) return
    sweep(unswept, nowMs)
    unswept = 0
  }
}

/**
 * Removes at most `rows` rows of a table that ended before then.
 *
 * @param beforeMs epoch ms; one lifetime behind now, so that a clock that ran ahead for a moment made nothing forgotten
 */
export function sweepTable(sql: Sql, table: string, key: string, beforeMs: number, rows: number): void {
  sql.exec(
    `DELETE FROM ${table} WHERE (${key}) IN (SELECT ${key} FROM ${table} WHERE until_ms < ? LIMIT ?)`,
    beforeMs,
    rows,
  )
}
