/** What a SQL ledger says of itself (`redis/scripts/summary.ts` is the same on Redis). Within a transaction. */
import type { Sql } from '../../store/sql.ts'
import type { Summary, Usage } from '../port.ts'
import { added } from '../rules/figures.ts'
import type { LedgerSettings } from '../rules/settings.ts'
import { readTotals } from './figures.ts'
import { readLeads } from './leads.ts'
import type { Step } from './step.ts'

export function summaryOf(sql: Sql, settings: LedgerSettings, step: Step): Summary {
  const { nowMs, whole, health, jumpedByMs } = step
  const { lostMs } = step.kept
  return {
    limit: settings.quotaLimit,
    used: whole.total,
    remaining: Math.max(0, settings.quotaLimit - whole.total),
    health,
    ...(lostMs === 0 ? {} : { lostAtMs: lostMs }),
    ...(jumpedByMs === undefined ? {} : { clock: { jumpedByMs } }),
    leads: readLeads(sql, nowMs),
  }
}

export function usageOf(sql: Sql, settings: LedgerSettings, step: Step): Usage {
  const nextFreeAtMs = step.whole.nextFreeAtMs()
  const totals = readTotals(sql)
  return {
    ...summaryOf(sql, settings, step),
    ...(nextFreeAtMs === undefined ? {} : { nextFreeAtMs }),
    buckets: step.whole.buckets().map(([lastMs, units]) => [lastMs + 1 - settings.quotaBucketMs, units]),
    counters: added(...Object.values(totals)),
    totals,
  }
}
