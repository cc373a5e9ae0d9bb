/**
 * Pacing (docs/rules.md, "Pacing"): with `even` the calls of a lasting overload are spread over the window, and a burst
 * still passes while much of it is free. A span is a 24th of the window. In the span that ends now no more may count than
 * a 24th of the quota, or a sixth of what was free before it; a lane has its part of that, as of the quota.
 *
 * The SQL ledger runs these rules as they stand here; `redis/scripts/pace.ts` says the same in Lua, under the same
 * names, and a differential test keeps both alike.
 */
import type { LedgerSettings } from './settings.ts'

export const spansAWindow = 24
/** While nothing is spent, a span may have this many times its even part of the quota. */
export const burstSpans = 4

/** How long a span is: whole buckets, so that 24 of them are never longer than the window. */
export function spanMs({
  quotaWindowMs,
  quotaBucketMs,
}: Pick<LedgerSettings, 'quotaWindowMs' | 'quotaBucketMs'>): number {
  return Math.max(1, Math.floor(quotaWindowMs / spansAWindow / quotaBucketMs)) * quotaBucketMs
}

/** An account as pacing sees it, in units. */
export interface Spent {
  /** In the span that ends now. */
  readonly recent: number
  /** That count, from before it. */
  readonly before: number
}

/** How many units a span may have. @param ceiling of the lane, units */
export function spanAllows(ceiling: number, before: number, limit: number): number {
  return Math.floor((ceiling * Math.max(limit, burstSpans * (limit - before))) / (spansAWindow * limit))
}

/**
 * How many units must leave the span before `units` more may be spent; 0 where they may be now. Where the span holds
 * nothing, one attempt may always go: else a small quota would never let one of several units pass.
 */
export function lackingByPace({ recent, before }: Spent, units: number, ceiling: number, limit: number): number {
  const wanted = recent + units
  if (wanted <= spanAllows(ceiling, before, limit)) return 0
  const [whole, burst] = [spansAWindow * limit, burstSpans * ceiling]
  // Of an empty span nothing need leave. What leaves the span was spent before the next one, which so has less.
  const byBurst = Math.ceil((whole * wanted - burst * (limit - before)) / (whole - burst))
  return Math.min(recent, wanted - Math.floor(ceiling / spansAWindow), byBurst)
}

/** When a bucket, named by its last millisecond, is no longer in the span that ends then. */
export function leavesSpanAtMs(
  lastMs: number,
  settings: Pick<LedgerSettings, 'quotaWindowMs' | 'quotaBucketMs'>,
): number {
  const { quotaBucketMs } = settings
  return Math.ceil((lastMs + 1 + spanMs(settings)) / quotaBucketMs) * quotaBucketMs - quotaBucketMs
}

/** How the span that ends now stands: units in it, and how many each ceiling lets it have. */
export function spanNow(
  usage: { readonly used: number; readonly buckets: readonly (readonly [startMs: number, units: number])[] },
  settings: Pick<LedgerSettings, 'quotaLimit' | 'quotaWindowMs' | 'quotaBucketMs'>,
  nowMs: number,
): { readonly recent: number; allows(ceiling: number): number } {
  const { quotaBucketMs, quotaLimit } = settings
  const fromMs = (Math.floor(nowMs / quotaBucketMs) + 1) * quotaBucketMs - spanMs(settings)
  const recent = usage.buckets.reduce((sum, [startMs, units]) => (startMs >= fromMs ? sum + units : sum), 0)
  return { recent, allows: (ceiling) => spanAllows(ceiling, usage.used - recent, quotaLimit) }
}
