/** A plan's report in plain words: the verdict first. */
import { counted, figure, span, table } from '../core/words.ts'
import type { Bill } from './bill.ts'
import { pricesOf } from './prices.ts'
import type { Report } from './report.ts'

export function* reportLines(report: Report): Generator<string> {
  const { quota, outcome, waiting, days, updates } = report
  yield verdictOf(report)
  yield ''
  yield `Traffic    ${figure(updates)} updates in ${counted(Math.round(days * 10) / 10, 'day')}; at most ${figure(quota.mostDemanded)} in ${span(quota.windowMs)}`
  yield `Quota      ${figure(quota.mostUsed)} calls at most, of ${figure(quota.limit)} in ${span(quota.windowMs)}`
  yield `Sent       ${percent(outcome.sentAtOnce)} at once; ${figure(outcome.deferred)} waited and ${outcome.deferred === 0 ? 'no call was' : `${counted(outcome.replayCalls, 'call')} carried them`}`
  yield `Calls      ${figure(outcome.calls)}, where a call for each update would be ${figure(updates)}`
  yield `  saved    ${figure(outcome.savedByMerging)} by merging${outcome.savedBySkipping > 0 ? `, ${figure(outcome.savedBySkipping)} since nothing had changed` : ''}`
  if (outcome.profilesBehind > 0)
    yield `Late       half of the profiles that waited had all within ${span(outcome.delayMs.half)}, 95% within ${span(outcome.delayMs.p95)}, 99% within ${span(outcome.delayMs.p99)}; the latest after ${span(outcome.delayMs.longest)}`
  yield `Backlog    at most ${counted(waiting.mostEntries, 'entry', 'entries')} of ${counted(waiting.mostVisitors, 'visitor')}`
  yield ''
  yield* comparedLines(report)
  yield ''
  yield* billLines(report.bills)
  if (report.notes.length > 0) yield ''
  for (const note of report.notes) yield `Note: ${note}`
}

export function verdictOf({ fits, reasons, quota, outcome }: Report): string {
  if (!fits)
    return `It does not fit: ${reasons
      .map((reason) => {
        if (reason.kind === 'late')
          return `the latest profile is ${span(reason.longestMs)} behind, more than ${span(reason.withinMs)}`
        if (reason.kind === 'expired') return `${counted(reason.updates, 'update')} get too old and become dead letters`
        return `${counted(reason.entries, 'entry', 'entries')} still ${reason.entries === 1 ? 'waits' : 'wait'} at the end`
      })
      .join('; ')}.`
  if (outcome.deferred === 0)
    return `It fits: every update is sent at once, with ${percent(quota.mostUsed / quota.limit)} of the quota.`
  return `It fits: ${percent(outcome.sentAtOnce)} of the updates are sent at once, and the latest profile is ${span(outcome.delayMs.longest)} behind.`
}

function* comparedLines({ compared, bulk }: Report): Generator<string> {
  yield `What would help (over ${counted(Math.round(compared.days * 10) / 10, 'day')})`
  yield* table(
    ['', 'calls', 'too old', '99% within', 'the latest'],
    compared.ways.map(({ name, calls, expired, p99Ms, longestMs }) => [
      name,
      figure(calls),
      figure(expired),
      span(p99Ms),
      span(longestMs),
    ]),
  )
  yield bulk.rows === 0
    ? `bulk road (estimated; not built yet): nothing waits longer than ${span(bulk.afterMs)}`
    : `bulk road (estimated; not built yet): ${figure(bulk.rows)} rows in about ${counted(bulk.files, 'file')}, if what waits for ${span(bulk.afterMs)} went there`
}

function* billLines(bills: readonly Bill[]): Generator<string> {
  yield `What it costs a month (US dollars, list prices of ${pricesOf}, without tax)`
  const rows = bills.map(({ platform, monthly, notes }) => [
    monthly === undefined ? '-' : `$${monthly.toFixed(2)}`,
    platform,
    notes.join('; '),
  ])
  yield* table(['a month', 'platform', ''], rows)
}

function percent(share: number): string {
  // Never rounded up: 100% is all of them.
  return `${Math.floor(share * 1_000) / 10}%`
}
