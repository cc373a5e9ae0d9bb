/** The input that every script gets besides its own: settings, bounds, and the constants of `rules/`. */
import type { Limits } from '../../limits.ts'
import { futureToleranceMs } from '../../update/stamp.ts'
import { jumpToleranceMs } from '../rules/clock-watch.ts'
import { foldedTogether, seriesMs, slotMs, slotsKeptMs, slotsShownMs } from '../rules/figures.ts'
import { storeFormat } from '../rules/format.ts'
import {
  deniedThatOpen,
  failuresThatOpen,
  firstProbeMs,
  lastProbeMs,
  probeLivesMs,
  refusalsThatOpen,
  visitorsThatOpen,
} from '../rules/health.ts'
import { happeningsKept, historyBytes } from '../rules/history.ts'
import { burstSpans, spanMs, spansAWindow } from '../rules/pace.ts'
import { registerPages } from '../rules/pages.ts'
import { livesCounted, livesKept, maxBelow } from '../rules/register.ts'
import { maxRetentions } from '../rules/retention.ts'
import { cancelledLivesMs, eventLifetimeMs, type LedgerSettings, laneCeiling, leadLivesMs } from '../rules/settings.ts'

/** The fields of `input` in the scripts. */
export function scriptRules(settings: LedgerSettings, limits: Limits): Readonly<Record<string, number>> {
  return {
    format: storeFormat,
    limit: settings.quotaLimit,
    bucketMs: settings.quotaBucketMs,
    windowMs: settings.quotaWindowMs,
    keptMs: settings.quotaWindowMs + settings.quotaSlackMs,
    slackMs: settings.quotaSlackMs,
    retentionMs: settings.retentionMs,
    inFlightMs: settings.inFlightMs,
    longestInFlightMs: settings.longestInFlightMs,
    cancelledMs: cancelledLivesMs,
    eventMs: eventLifetimeMs(settings),
    bulkCeiling: laneCeiling(settings, 'bulk'),
    ...(settings.pace === 'even' ? { spanMs: spanMs(settings), spansAWindow, burstSpans } : {}),
    deniedThatOpen,
    denialsThatJudge: limits.denialsThatJudge,
    denialsLastMs: limits.denialsLastMs,
    failuresThatOpen,
    firstProbeMs,
    lastProbeMs,
    probeLivesMs,
    refusalsThatOpen,
    visitorsThatOpen,
    maxBelow,
    maxRetentions,
    leadLivesMs,
    slotMs,
    slotsShownMs,
    slotsKeptMs,
    seriesMs,
    foldedTogether,
    happeningsKept,
    historyBytes,
    toleranceMs: jumpToleranceMs,
    futureMs: futureToleranceMs,
    livesCounted,
    livesKept,
    perPage: limits.registersPerPage,
    pages: registerPages,
  }
}
