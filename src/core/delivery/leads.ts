/** How far the clocks of sources are ahead, as their updates show it. */

import type { Leads } from '../ledger/port.ts'
import type { Log } from '../log.ts'
import type { Update } from '../update/update.ts'

/** A source whose clock is ahead says so with each event: one line per minute is enough. */
const leadLoggedEveryMs = 60_000

/** The largest of each source. */
export function leadsOf(updates: readonly Pick<Update, 'source' | 'leadMs'>[]): Leads {
  const leads: Record<string, number> = {}
  for (const { source, leadMs } of updates)
    if (leadMs !== undefined) leads[source] = Math.max(leadMs, leads[source] ?? 0)
  return leads
}

/** @param loggedMs when each source was last logged, epoch ms; brought up to date */
export function logLeads(leads: Leads, loggedMs: Map<string, number>, nowMs: number, log: Log): void {
  for (const [source, ms] of Object.entries(leads)) {
    if (Math.abs(nowMs - (loggedMs.get(source) ?? Number.NEGATIVE_INFINITY)) < leadLoggedEveryMs) continue
    loggedMs.set(source, nowMs)
    log('clock_ahead', { source, ms })
  }
}
