/** Attempts on SQL: admitted, settled, cancelled. Within a transaction. */
import type { Limits } from '../../limits.ts'
import { stampTimeMs } from '../../update/stamp.ts'
import type { Lane, Stamp } from '../../update/update.ts'
import type { Admission, AdmitRequest, Settlement } from '../port.ts'
import type { ClockReading } from '../rules/clock-watch.ts'
import { afterTry, isLastTry } from '../rules/denials.ts'
import { afterSignal, gateOf, type Health, isDoubtful, probed, traitsOf } from '../rules/health.ts'
import { admitted, judge, judgeEvent, registerLivesUntilMs, settled } from '../rules/register.ts'
import { retentionAt } from '../rules/retention.ts'
import { type LedgerSettings, laneCeiling } from '../rules/settings.ts'
import type { OwnState } from './format.ts'
import type { SqlRows } from './rows.ts'
import type { SqlWindow } from './window.ts'

/** The time of one step, and what the ledger knows of itself. */
export interface Time extends ClockReading {
  readonly own: OwnState
}

/** One step of the ledger: the time, and what it reads first and writes last. */
export interface Step extends Time {
  readonly whole: SqlWindow
  /** A source's own account. */
  account(name: string): SqlWindow
  health: Health
  readonly lostMs: number
}

export interface SqlAttempts {
  admit(request: AdmitRequest, lane: Lane, step: Step): Admission
  settle(settlement: Settlement, step: Step): void
  /** Answers how many units were given back. */
  cancel(request: AdmitRequest, step: Step): number
}

export function openAttempts(rows: SqlRows, settings: LedgerSettings, limits: Limits): SqlAttempts {
  const { openVisitor, readEvent, writeEvent } = rows
  return { admit, settle, cancel }

  function admit(request: AdmitRequest, lane: Lane, step: Step): Admission {
    const { nowMs } = step
    let firstStamp: Stamp | undefined
    if (request.event !== undefined) {
      const own = request.attributes[0]?.stamp ?? ''
      const seen = readEvent(request.event, nowMs)
      const verdict = judgeEvent(seen, { event: request.event, stamp: own }, nowMs, settings)
      if (verdict.kind !== 'open') return { event: verdict.kind }
      writeEvent(request.event, verdict.record, seen?.keptUntilMs ?? 0, nowMs)
      if (verdict.record.stamp !== own) firstStamp = verdict.record.stamp
    }
    const visitor = openVisitor(request.visitorHash, nowMs)
    const wanted = request.attributes.map(({ name, stamp }) => ({ name, stamp: firstStamp ?? stamp }))
    const around = { lane, backoff: visitor.backoff, erasedMs: visitor.erasedMs, lostMs: step.lostMs }
    const rulesOf = (stamp: Stamp) => ({
      ...settings,
      retentionMs: retentionAt(step.own.retentions, stampTimeMs(stamp)),
    })
    const judged = wanted.map(({ name, stamp }) => judge(visitor.get(name), stamp, nowMs, around, rulesOf(stamp)))
    const base = {
      event: 'open' as const,
      attempts: visitor.backoff?.attempts ?? 0,
      ...(firstStamp === undefined ? {} : { firstStamp }),
    }
    if (!judged.includes('send')) return { ...base, verdicts: judged }
    const instead = (other: 'held' | 'backoff' | 'paused' | 'shut' | 'quota') =>
      judged.map((verdict) => (verdict === 'send' ? other : verdict))

    if (request.hold === true) return { ...base, verdicts: instead('held') }
    if (request.firstTry === true && base.attempts > 0)
      return { ...base, verdicts: instead('backoff'), failedBefore: true }
    const traits = traitsOf(
      request.visitorHash,
      request.sources ?? [],
      wanted.filter((_, index) => judged[index] === 'send').map(({ name }) => name),
    )
    const gate = gateOf(
      step.health,
      { traits, failedBefore: base.attempts > 0, lastResort: request.lastResort === true },
      nowMs,
    )
    if (gate === 'paused') return { ...base, verdicts: instead(gate) }
    if (gate === 'shut') return { ...base, verdicts: instead(gate), shutTraits: step.health.breaker?.traits ?? [] }
    const own = request.source === undefined ? undefined : step.account(request.source.name)
    const overShare = own !== undefined && own.total + request.units > (request.source?.units ?? 0)
    const ceiling = Math.min(
      laneCeiling(settings, lane),
      overShare ? laneCeiling(settings, 'bulk') : Number.POSITIVE_INFINITY,
    )
    const taken = step.whole.take(request.units, ceiling)
    if (!taken.ok)
      return {
        ...base,
        verdicts: instead('quota'),
        ...(taken.retryAtMs === undefined ? {} : { retryAtMs: taken.retryAtMs }),
      }
    own?.charge(request.units)
    own?.forget()
    const cause = step.health.breaker?.cause
    const doubt = isDoubtful(step.health) ? { systemic: true as const } : {}
    if (gate === 'probe') step.health = probed(step.health, nowMs)
    let untilMs = 0
    wanted.forEach(({ name, stamp }, index) => {
      if (judged[index] !== 'send') return
      visitor.set(
        name,
        admitted(visitor.get(name), stamp, {
          atMs: nowMs,
          lifeMs: settings.inFlightMs,
          token: request.token,
          bucket: taken.bucket,
        }),
      )
      untilMs = Math.max(untilMs, registerLivesUntilMs(stamp, nowMs, settings))
    })
    visitor.save(untilMs)
    return {
      ...base,
      verdicts: judged,
      bucket: taken.bucket,
      ...doubt,
      ...(gate === 'probe' && cause !== undefined ? { probe: cause } : {}),
      ...(lane === 'replay' && isLastTry(visitor.denials, step.health, request.visitorHash, nowMs, limits)
        ? { lastTry: true as const }
        : {}),
    }
  }

  function settle(settlement: Settlement, step: Step): void {
    const {
      visitorHash,
      token,
      attributes,
      giveBack,
      eventDone,
      eventRejected,
      backoff,
      signal,
      judged = false,
    } = settlement
    const { nowMs } = step
    let failedBefore = false
    if (attributes.length > 0 || backoff !== undefined || signal !== undefined) {
      const visitor = openVisitor(visitorHash, nowMs)
      failedBefore = (visitor.backoff?.attempts ?? 0) > 0
      let closed = false
      let untilMs = backoff === undefined && signal !== 'wrong' ? 0 : nowMs + settings.retentionMs
      for (const { name, stamp, outcome } of attributes) {
        const after = settled(visitor.get(name), stamp, outcome, token)
        visitor.set(name, after.register)
        closed ||= after.closed
        untilMs = Math.max(untilMs, registerLivesUntilMs(stamp, nowMs, settings))
      }
      if (attributes.some(({ outcome }) => outcome === 'delivered')) visitor.backoff = undefined
      else if (backoff !== undefined)
        visitor.backoff = { attempts: backoff.attempts, notBeforeMs: nowMs + backoff.waitMs }
      if (signal !== undefined)
        visitor.denials = afterTry(visitor.denials, { signal, visitorHash, judged }, step.health, nowMs)
      visitor.save(untilMs)
      if (closed && giveBack !== undefined) {
        step.whole.giveBack(giveBack.bucket, giveBack.units)
        if (giveBack.source !== undefined) step.account(giveBack.source).giveBack(giveBack.bucket, giveBack.units)
      }
    }
    if (signal !== undefined) {
      const traits = traitsOf(
        visitorHash,
        settlement.sources ?? [],
        attributes.map(({ name }) => name),
      )
      const after = afterSignal(
        step.health,
        { signal, visitorHash, traits, failedBefore, probe: settlement.probe === true },
        nowMs,
      )
      // The health of a steady day is never rewritten.
      if (JSON.stringify(after) !== JSON.stringify(step.health)) step.health = after
    }
    if (eventDone !== undefined) {
      const seen = readEvent(eventDone, nowMs)
      const stamp = seen?.stamp ?? attributes[0]?.stamp ?? ''
      const rejected = eventRejected === true ? { rejected: true as const } : {}
      writeEvent(
        eventDone,
        { stamp, atMs: seen?.atMs ?? nowMs, done: true, ...rejected },
        seen?.keptUntilMs ?? 0,
        nowMs,
      )
    }
  }

  function cancel({ visitorHash, token, attributes, units, source }: AdmitRequest, step: Step): number {
    const visitor = openVisitor(visitorHash, step.nowMs)
    const mine = attributes.filter(({ name }) => visitor.get(name)?.open?.token === token)
    const bucket = mine.map(({ name }) => visitor.get(name)?.open?.bucket).find((one) => one !== undefined)
    if (mine.length === 0) return 0
    settle(
      {
        visitorHash,
        token,
        attributes: mine.map((attribute) => ({ ...attribute, outcome: 'unsent' })),
        ...(bucket === undefined
          ? {}
          : { giveBack: { bucket, units, ...(source === undefined ? {} : { source: source.name }) } }),
      },
      step,
    )
    return bucket === undefined ? 0 : units
  }
}
