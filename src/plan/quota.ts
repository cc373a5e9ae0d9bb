/**
 * The quota of a plan: the ledger's own rolling window, opened once a step. Within a step no bucket begins or ends and
 * nothing becomes free, so what a lane may still spend is one number, and to take many units at once is the same as to take
 * them one by one (`test/plan/quota.test.ts`).
 */
import { spanAllows, spanMs } from '../core/ledger/rules/pace.ts'
import { type LedgerSettings, laneCeiling, wholeAccount } from '../core/ledger/rules/settings.ts'
import { lastOf, openWindow, type SqlWindow, windowSchema } from '../core/ledger/sql/window.ts'
import type { Sql } from '../core/store/sql.ts'
import type { Lane } from '../core/update/update.ts'

export type QuotaSettings = Pick<
  LedgerSettings,
  'quotaLimit' | 'quotaWindowMs' | 'quotaBucketMs' | 'quotaSlackMs' | 'replayReserve' | 'pace'
>

export interface Quota {
  /** Opens the step that begins at `atMs`. */
  begin(atMs: number): void
  /** Units that `lane` may still spend in this step. */
  room(lane: Lane): number
  /** @throws Error where the window refuses what `room` had allowed: a bug */
  spend(lane: Lane, units: number): void
  /** Units that count; 0 where nothing was asked in this step. */
  readonly used: number
  /** Writes the step. */
  end(): void
}

/** @param sql an empty store */
export function openQuota(sql: Sql, settings: QuotaSettings): Quota {
  for (const statement of windowSchema) sql.exec(statement)
  const span = createSpan(settings)
  let beganMs = 0
  // Opened only where a step asks: most steps of a quiet night do not.
  let window: SqlWindow | undefined
  const here = () => {
    window ??= openWindow(sql, settings, wholeAccount, beganMs)
    return window
  }
  return {
    begin(atMs) {
      beganMs = atMs
    },
    room(lane) {
      const ceiling = laneCeiling(settings, lane)
      const { total } = here()
      const free = Math.max(0, ceiling - total)
      if (settings.pace === 'none') return free
      const recent = span.at(beganMs)
      // Where the span holds nothing, one may always go.
      return Math.min(
        free,
        Math.max(spanAllows(ceiling, total - recent, settings.quotaLimit) - recent, recent === 0 ? 1 : 0),
      )
    },
    spend(lane, units) {
      if (units === 0) return
      if (!here().take(units, laneCeiling(settings, lane)).ok)
        throw new Error(`the window refuses ${units} units of ${lane}`)
      span.add(beganMs, units)
    },
    get used() {
      return window?.total ?? 0
    },
    end() {
      window?.forget()
      window?.save()
      window = undefined
    },
  }
}

/** The units of the span that pacing looks at, without asking the window for its buckets each time. */
function createSpan(settings: QuotaSettings) {
  const taken: { readonly lastMs: number; readonly units: number }[] = []
  let [oldest, recent] = [0, 0]
  return {
    at(nowMs: number): number {
      const fromMs = lastOf(nowMs, settings.quotaBucketMs) - spanMs(settings) + 1
      for (let one = taken[oldest]; one !== undefined && one.lastMs < fromMs; one = taken[++oldest]) recent -= one.units
      return recent
    },
    add(nowMs: number, units: number): void {
      taken.push({ lastMs: lastOf(nowMs, settings.quotaBucketMs), units })
      recent += units
    },
  }
}

/**
 * Where the step that holds `atMs` ends: where a bucket begins, where one ceases to count, or where a run of the flush is
 * due, whichever is first.
 */
export function stepEnd(
  atMs: number,
  { quotaBucketMs, quotaWindowMs, quotaSlackMs }: QuotaSettings,
  flushEveryMs: number,
): number {
  const frees = (quotaWindowMs + quotaSlackMs) % quotaBucketMs
  return Math.min(
    nextMultiple(atMs, quotaBucketMs),
    nextMultiple(atMs - frees, quotaBucketMs) + frees,
    nextMultiple(atMs, flushEveryMs),
  )
}

function nextMultiple(ms: number, width: number): number {
  return (Math.floor(ms / width) + 1) * width
}
