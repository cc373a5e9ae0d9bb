/** Three limiters that are asked the same: an exact log, the ledger's window, and `slidingWindow` of `@upstash/ratelimit`. */
import { DatabaseSync } from 'node:sqlite'
import { Ratelimit } from '@upstash/ratelimit'
import { Redis } from '@upstash/redis'
import { wholeAccount } from '../../../src/core/ledger/rules/settings.ts'
import { openWindow, windowSchema } from '../../../src/core/ledger/sql/window.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'

export const windowMs = 86_400_000

/** Whether each request is let through. */
export type Limiter = (limit: number, times: readonly number[]) => readonly boolean[]

/** Lets one through if fewer than the limit passed within the window that ends then. The least that is never over. */
export const exactLog: Limiter = (limit, times) => {
  const passed: number[] = []
  return times.map((atMs) => {
    const before = passed[passed.length - limit]
    const goes = before === undefined || atMs - before >= windowMs
    if (goes) passed.push(atMs)
    return goes
  })
}

/** The ledger's own, as it is set by default: buckets of a minute, and 15 s of slack. */
export function ledgerWindow(): Limiter {
  const sql = nodeSqlite(new DatabaseSync(':memory:'))
  for (const statement of windowSchema) sql.exec(statement)
  return (limit, times) => {
    for (const table of ['relay_unit', 'relay_window']) sql.exec(`DELETE FROM ${table}`)
    const settings = {
      ...{ quotaLimit: limit, quotaWindowMs: windowMs, quotaBucketMs: 60_000, quotaSlackMs: 15_000 },
      pace: 'none' as const,
    }
    return sql.transaction(() =>
      times.map((atMs) => {
        const window = openWindow(sql, settings, wholeAccount, atMs)
        const { ok } = window.take(1, limit)
        window.forget()
        window.save()
        return ok
      }),
    )
  }
}

/** The arithmetic of its script (2.2.0): two counters on windows since the epoch, the earlier one weighed. */
export const slidingWindow: Limiter = (limit, times) => {
  const counters = new Map<number, number>()
  return times.map((atMs) => {
    const current = Math.floor(atMs / windowMs)
    const before = Math.floor((1 - (atMs % windowMs) / windowMs) * (counters.get(current - 1) ?? 0))
    const goes = before + (counters.get(current) ?? 0) < limit
    if (goes) counters.set(current, (counters.get(current) ?? 0) + 1)
    return goes
  })
}

/** The library itself, on a Redis behind a stand-in of Upstash. Its clock is `Date.now`, which is set to each request's time. */
export async function slidingWindowItself(
  { url, token }: { readonly url: string; readonly token: string },
  limit: number,
  times: readonly number[],
): Promise<readonly boolean[]> {
  const ratelimit = new Ratelimit({
    redis: new Redis({ url, token }),
    limiter: Ratelimit.slidingWindow(limit, '24 h'),
    ...{
      timeout: 0,
      ephemeralCache: false,
      analytics: false,
      prefix: `bench-${limit}-${times[0] ?? 0}-${times.length}`,
    },
  })
  const now = Date.now
  const passed: boolean[] = []
  try {
    for (const atMs of times) {
      Date.now = () => atMs
      passed.push((await ratelimit.limit('all')).success)
    }
  } finally {
    Date.now = now
  }
  return passed
}

/** The most that passed within any window. */
export function mostWithin(times: readonly number[], passed: readonly boolean[]): number {
  const gone = times.filter((_, at) => passed[at] === true)
  let [oldest, most] = [0, 0]
  for (const [at, atMs] of gone.entries()) {
    while (atMs - (gone[oldest] ?? 0) >= windowMs) oldest++
    most = Math.max(most, at - oldest + 1)
  }
  return most
}
