/** Admission on SQL (`redis/scripts/admit.ts` is the same on Redis). Within a transaction. */
import type { Limits } from '../../limits.ts'
import { stampTimeMs } from '../../update/stamp.ts'
import type { Lane, Stamp } from '../../update/update.ts'
import type { Admission, AdmitRequest } from '../port.ts'
import { isLastTry } from '../rules/denials.ts'
import { judgeEvent } from '../rules/event.ts'
import { gateOf, isDoubtful, probed, traitsOf } from '../rules/health.ts'
import { admitted, judge, registerLivesUntilMs, type Verdict } from '../rules/register.ts'
import { retentionAt } from '../rules/retention.ts'
import { type LedgerSettings, laneCeiling } from '../rules/settings.ts'
import { skipped } from '../rules/unchanged.ts'
import type { SqlEvents } from './events.ts'
import type { SqlRows, VisitorRows } from './rows.ts'
import type { Step } from './step.ts'
import type { Taken } from './window.ts'

export interface AttemptParts {
  readonly rows: SqlRows
  readonly events: SqlEvents
  readonly settings: LedgerSettings
  readonly limits: Limits
}

type Wanted = AdmitRequest['attributes']

/**
 * Decides on one attempt: its event, its registers, the gate, the quota. What is to be sent is charged and recorded.
 */
export function admitOne(request: AdmitRequest, lane: Lane, step: Step, parts: AttemptParts): Admission {
  const { nowMs } = step
  const event = openEvent(request, nowMs, parts)
  if (event.kind !== 'open') return { event: event.kind }
  const { firstStamp } = event
  const visitor = parts.rows.openVisitor(request.visitorHash, nowMs)
  const wanted = request.attributes.map((one) => ({ ...one, stamp: firstStamp ?? one.stamp }))
  const verdicts = judgeEach(wanted, visitor, lane, step, parts.settings)
  const going = wanted.filter((_, index) => verdicts[index] === 'send')
  const skipping = wanted.filter((_, index) => verdicts[index] === 'unchanged')
  for (const { name, stamp } of skipping) visitor.set(name, skipped(visitor.get(name) ?? {}, stamp))
  const admission = passGate({ request, lane, firstStamp, verdicts, going }, visitor, step, parts)
  const written = 'bucket' in admission ? [...skipping, ...going] : skipping
  if (written.length > 0)
    visitor.save(Math.max(...written.map(({ stamp }) => registerLivesUntilMs(stamp, nowMs, parts.settings))))
  return admission
}

interface Judged {
  readonly request: AdmitRequest
  readonly lane: Lane
  readonly firstStamp: Stamp | undefined
  readonly verdicts: readonly Verdict[]
  /** The attributes that may go. */
  readonly going: Wanted
}

/** What may go, if the gate and the quota let it. Leaves it to the caller to save the visitor. */
function passGate(
  { request, lane, firstStamp, verdicts, going }: Judged,
  visitor: VisitorRows,
  step: Step,
  parts: AttemptParts,
): Admission {
  const { nowMs } = step
  const attempts = visitor.backoff?.attempts ?? 0
  const base = { event: 'open' as const, attempts, ...(firstStamp === undefined ? {} : { firstStamp }) }
  if (going.length === 0) return { ...base, verdicts }
  const stopped = (by: 'held' | 'backoff' | 'paused' | 'shut' | 'quota') => ({
    ...base,
    verdicts: verdicts.map((verdict) => (verdict === 'send' ? by : verdict)),
  })

  if (request.hold === true) return stopped('held')
  if (request.firstTry === true && attempts > 0) return { ...stopped('backoff'), failedBefore: true }
  const traits = traitsOf(
    request.visitorHash,
    request.sources ?? [],
    going.map(({ name }) => name),
  )
  const atGate = { traits, failedBefore: attempts > 0, lastResort: request.lastResort === true }
  const gate = gateOf(step.health, atGate, nowMs)
  if (gate === 'paused') return stopped(gate)
  if (gate === 'shut') return { ...stopped(gate), shutTraits: step.health.breaker?.traits ?? [] }
  const taken = takeUnits(request, lane, step, parts.settings)
  if (!taken.ok)
    return { ...stopped('quota'), ...(taken.retryAtMs === undefined ? {} : { retryAtMs: taken.retryAtMs }) }

  const cause = step.health.breaker?.cause
  const doubt = isDoubtful(step.health) ? { systemic: true as const } : {}
  if (gate === 'probe') step.health = probed(step.health, nowMs)
  openRegisters(going, visitor, { token: request.token, bucket: taken.bucket }, nowMs, parts.settings)
  return {
    ...base,
    verdicts,
    bucket: taken.bucket,
    ...doubt,
    ...(gate === 'probe' && cause !== undefined ? { probe: cause } : {}),
    ...(lane === 'replay' && isLastTry(visitor.denials, step.health, request.visitorHash, nowMs, parts.limits)
      ? { lastTry: true as const }
      : {}),
  }
}

type OpenedEvent =
  | { readonly kind: 'open'; readonly firstStamp?: Stamp }
  | Exclude<ReturnType<typeof judgeEvent>, { readonly kind: 'open' }>

/** Records the event of an attempt that has one; `firstStamp` where it differs from the request's. */
function openEvent(
  { event, attributes }: AdmitRequest,
  nowMs: number,
  { events, settings }: AttemptParts,
): OpenedEvent {
  if (event === undefined) return { kind: 'open' }
  const own = attributes[0]?.stamp ?? ''
  const seen = events.readEvent(event, nowMs)
  const verdict = judgeEvent(seen, { event, stamp: own }, nowMs, settings)
  if (verdict.kind !== 'open') return verdict
  events.writeEvent(event, verdict.record, seen, nowMs)
  return { kind: 'open', ...(verdict.record.stamp === own ? {} : { firstStamp: verdict.record.stamp }) }
}

function judgeEach(
  wanted: Wanted,
  visitor: VisitorRows,
  lane: Lane,
  step: Step,
  settings: LedgerSettings,
): readonly Verdict[] {
  const { nowMs } = step
  const around = { lane, backoff: visitor.backoff, erasedMs: visitor.erasedMs, lostMs: step.kept.lostMs }
  return wanted.map(({ name, stamp, hash }) => {
    const retentionMs = retentionAt(step.own.retentions, stampTimeMs(stamp))
    return judge(visitor.get(name), stamp, nowMs, around, { ...settings, retentionMs }, hash)
  })
}

/** Also from the account of a source that has one: over its share it has the ceiling of `bulk`. */
function takeUnits({ source, units }: AdmitRequest, lane: Lane, step: Step, settings: LedgerSettings): Taken {
  const own = source === undefined ? undefined : step.account(source.name)
  const overShare = own !== undefined && own.total + units > (source?.units ?? 0)
  const ceiling = Math.min(
    laneCeiling(settings, lane),
    overShare ? laneCeiling(settings, 'bulk') : Number.POSITIVE_INFINITY,
  )
  const taken = step.whole.take(units, ceiling)
  if (taken.ok) {
    own?.charge(units)
    own?.forget()
  }
  return taken
}

function openRegisters(
  going: Wanted,
  visitor: VisitorRows,
  attempt: { readonly token: string; readonly bucket: number },
  nowMs: number,
  settings: LedgerSettings,
): void {
  for (const { name, stamp } of going) {
    const opened = { ...attempt, atMs: nowMs, lifeMs: settings.inFlightMs }
    visitor.set(name, admitted(visitor.get(name), stamp, opened))
  }
}
