/**
 * An operator's word that the clock is right as it is (`redis/scripts/confirm-clock.ts` on Redis). Within a
 * transaction.
 */
import type { Sql } from '../../store/sql.ts'
import { retentionsConfirmed } from '../rules/retention.ts'
import { type LedgerSettings, wholeAccount } from '../rules/settings.ts'
import { writeOwn } from './format.ts'
import { writeHealth } from './health.ts'
import type { Time } from './step.ts'
import { openWindow } from './window.ts'

export function confirmClock(sql: Sql, settings: LedgerSettings, { nowMs, clockMs, own, kept }: Time): void {
  // Its clock may have been behind until now: what counts by the old time was then granted later than it is dated.
  const counted = openWindow(sql, settings, wholeAccount, nowMs, kept.whole).total
  // A source's own account follows when it is next opened.
  const whole = openWindow(sql, settings, wholeAccount, clockMs, kept.whole)
  whole.redate()
  if (counted > whole.total) whole.charge(counted - whole.total)
  whole.save()
  // A loss stays when it was found, also where that is ahead now: what came before it must not seem to come after it
  // (G3).
  const { health } = kept
  // A breaker that opened in the future would stay open until then.
  if (health.breaker !== undefined)
    writeHealth(sql, { ...health, breaker: { ...health.breaker, untilMs: Math.min(health.breaker.untilMs, clockMs) } })
  writeOwn(sql, {
    confirms: own.confirms + 1,
    confirmedMs: clockMs,
    retentions: retentionsConfirmed(own.retentions, clockMs),
  })
}
