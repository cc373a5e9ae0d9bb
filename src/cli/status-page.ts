/** A relay's state as a page that is read in ten seconds: quota, what waits, dead letters, today, checks. */
import type * as z from 'zod'
import { causeInWords, checkInWords } from '../core/operator/health-words.ts'
import { breakdown, type Clock, clockTime, counted, figure, span, table, zoneOf } from '../core/words.ts'
import type { census, deadCounts, status } from '../edge/contract/status.ts'
import { endedEarly, platformAllows, sharedBy } from './run-words.ts'

export type Status = z.output<typeof status>
type Census = z.output<typeof census>
type DeadCounts = z.output<typeof deadCounts>

/** Wide enough for the longest label, and two spaces. */
const labelChars = 9
/** A count older than this is shown with its age. */
const freshMs = 90_000
/** What runs have learnt of the platform holds for a day. */
const learntForMs = 86_400_000

/** @param url of the relay, for the head */
export function* statusLines(url: string, ready: string, has: Status, clock: Clock): Generator<string> {
  yield `${url}: ${ready.replaceAll('_', ' ')}; times are ${zoneOf(clock)}`
  yield* labelled('quota', quotaLines(has, clock))
  if (has.paused) yield* labelled('paused', ['nothing is sent until target-relay resume'])
  if (has.breaker !== undefined)
    yield* labelled('breaker', [
      `open since ${clockTime(has.breaker.since, clock)}: ${causeInWords(has.breaker.cause)}`,
    ])
  if (has.backlog !== undefined) yield* labelled('waiting', backlogLines(has.backlog, clock))
  if (has.dead !== undefined) yield* labelled('dead', deadLines(has.dead))
  yield* labelled('flush', lastRunLines(has, clock))
  yield* labelled('today', todayLines(has.today))
  yield* labelled('checks', checkLines(has.checks))
}

export function* quotaLines({ quota, backlog }: Pick<Status, 'quota' | 'backlog'>, clock: Clock): Generator<string> {
  const { used, limit, byLane = {}, nextFreeAt, firstDeferralAt, span: paced } = quota
  yield `${figure(used)} of ${figure(limit)} calls used (${((100 * used) / limit).toFixed(1)} %)`
  if (breakdown(byLane) !== '') yield `calls of the last 24 h: ${breakdown(byLane)}`
  const most = paced === undefined ? 0 : Math.max(...Object.values(paced.allowed))
  if (paced !== undefined)
    yield `paced: ${figure(paced.used)} of ${figure(most)} in the 24th of the window that ends now`
  const sentences: string[] = []
  if (used >= limit)
    sentences.push(
      `it is used up${nextFreeAt === undefined ? '' : `; the next call is free at ${clockTime(nextFreeAt, clock)}`}`,
    )
  else if (firstDeferralAt !== undefined)
    sentences.push(`at the pace of the last hour the quota is used up at ${clockTime(firstDeferralAt, clock)}`)
  if (backlog?.doneBy !== undefined && backlog.waiting > 0)
    sentences.push(
      `what waits (${counted(backlog.waiting, 'entry', 'entries')}${backlog.calls === undefined ? '' : `, ${counted(backlog.calls, 'call')}`}) is through by ${clockTime(backlog.doneBy, clock)}`,
    )
  if (sentences.length > 0) yield sentences.join('; ')
}

export function* backlogLines(has: Census, clock: Clock): Generator<string> {
  const { waiting, visitors, calls, oldestAt, bySource, byReason, countedAt, complete } = has
  if (waiting === 0) yield `nothing${counting(countedAt, complete, clock)}`
  if (waiting === 0) return
  const whose = visitors === undefined ? '' : ` of ${counted(visitors, 'visitor')}`
  const merged = calls === undefined ? '' : `, ${counted(calls, 'call')} once merged`
  const oldest =
    oldestAt === undefined
      ? ''
      : `; the oldest since ${clockTime(oldestAt, clock)} (${span(clock.nowMs - Date.parse(oldestAt))})`
  yield `${counted(waiting, 'entry', 'entries')}${whose}${merged}${oldest}${counting(countedAt, complete, clock)}`
  if (breakdown(byReason) !== '') yield `because of: ${breakdown(byReason)}`
  if (breakdown(bySource) !== '') yield `from: ${breakdown(bySource)}`
}

/** When what waits is through, by the forecast. */
export function* throughLines({ waiting, doneBy }: Census, clock: Clock): Generator<string> {
  if (waiting === 0) return
  yield doneBy === undefined ? 'it is not foretold when this is through' : `through by ${clockTime(doneBy, clock)}`
}

export function* deadLines({ count, byReason, bySource }: DeadCounts): Generator<string> {
  if (count === 0) yield 'none'
  if (count === 0) return
  yield `${counted(count, 'letter')}${listed(breakdown(byReason))}`
  if (breakdown(bySource) !== '') yield `from: ${breakdown(bySource)}`
}

function* checkLines(checks: Status['checks']): Generator<string> {
  const names = Object.keys(checks)
  const unwell = names.filter((name) => checks[name] !== 'ok')
  if (unwell.length === 0) yield `all well: ${names.join(', ')}`
  for (const name of unwell) {
    const verdict = checks[name] ?? ''
    yield `${verdict.toUpperCase()} ${name}: ${checkInWords(name, verdict) ?? 'see target-relay status --json'}`
  }
  const well = names.filter((name) => checks[name] === 'ok')
  if (unwell.length > 0 && well.length > 0) yield `well: ${well.join(', ')}`
}

function* todayLines(today: Status['today']): Generator<string> {
  const sources = Object.entries(today ?? {})
    .map(([source, counts]) => [source, folded(counts)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  if (sources.length === 0) {
    yield 'nothing came in the last 24 h'
    return
  }
  const names = [...new Set(sources.flatMap(([, counts]) => Object.keys(counts)))]
  const ordered = [...columns.filter((name) => names.includes(name)), ...names.filter(isOther).sort()]
  yield* table(
    ['source', ...ordered.map((name) => name.replaceAll('_', ' '))],
    sources.map(([source, counts]) => [source, ...ordered.map((name) => figure(counts[name] ?? 0))]),
  )
}

/** The order in which an update meets them. */
const columns = [
  'received',
  'submitted',
  'deferred',
  'replayed',
  'duplicate',
  'superseded',
  'unchanged',
  'rejected',
  'set_aside',
  'quarantined',
  'unauthenticated',
  'calls',
  'calls_saved',
]

/** Counts with a reason behind their name, as one: the reasons are in `series`. */
function folded(counts: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {}
  for (const [name, count] of Object.entries(counts)) {
    const whole = ['deferred', 'unauthenticated'].find((one) => name.startsWith(`${one}_`)) ?? name
    sums[whole] = (sums[whole] ?? 0) + count
  }
  return sums
}

function isOther(name: string): boolean {
  return !columns.includes(name)
}

function* lastRunLines({ runs = [], lastRunAt }: Status, clock: Clock): Generator<string> {
  const [newest] = runs.toSorted((a, b) => Date.parse(b.at) - Date.parse(a.at))
  const at = lastRunAt ?? newest?.at
  if (at === undefined) {
    yield 'no run yet'
    return
  }
  // A run that had nothing to do is not among those that are kept.
  const last = newest?.at === at ? newest : { stopped: 'drained' }
  const [shared, early] = [sharedBy(last), endedEarly(last)]
  yield `the last run was at ${clockTime(at, clock)}, ${span(clock.nowMs - Date.parse(at))} ago${shared && `; ${shared}`}${early && `; it ${early}`}`
  const allowed = platformAllows(newest ?? last)
  if (allowed !== '' && clock.nowMs - Date.parse(newest?.at ?? at) < learntForMs) yield allowed
}

/** When it was counted, where that is worth saying. */
function counting(countedAt: string | undefined, complete: boolean, clock: Clock): string {
  const parts: string[] = []
  if (countedAt !== undefined && clock.nowMs - Date.parse(countedAt) > freshMs)
    parts.push(`counted ${span(clock.nowMs - Date.parse(countedAt))} ago`)
  if (!complete) parts.push('not all is counted yet')
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`
}

function listed(text: string): string {
  return text === '' ? '' : `: ${text}`
}

/** The label stands before the first line, the others are set in. */
function* labelled(label: string, lines: Iterable<string>): Generator<string> {
  let first = true
  for (const line of lines) {
    yield `${(first ? label : '').padEnd(labelChars)} ${line}`
    first = false
  }
}
