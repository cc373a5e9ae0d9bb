/** Settlement on SQL (`redis/scripts/settle.ts` is the same on Redis). Within a transaction. */
import { stampArrivalMs } from '../../update/stamp.ts'
import type { Settlement } from '../port.ts'
import { afterTry } from '../rules/denials.ts'
import { settledEvent } from '../rules/event.ts'
import { afterSignal, type Signal, traitsOf } from '../rules/health.ts'
import { noted } from '../rules/history.ts'
import { registerLivesUntilMs, settled } from '../rules/register.ts'
import type { AttemptParts } from './admit.ts'
import type { VisitorRows } from './rows.ts'
import type { Step } from './step.ts'

export type SettleParts = Pick<AttemptParts, 'rows' | 'events' | 'settings'>

/**
 * Settles one attempt: its registers and units, its visitor's backoff and denials, what it says of Target, its event.
 */
export function settleOne(settlement: Settlement, step: Step, parts: SettleParts): void {
  const { visitorHash, attributes, giveBack, eventDone, eventRejected, backoff, signal, note } = settlement
  let failedBefore = false
  if (attributes.length > 0 || backoff !== undefined || signal !== undefined || note !== undefined) {
    const visitor = parts.rows.openVisitor(visitorHash, step.nowMs)
    failedBefore = (visitor.backoff?.attempts ?? 0) > 0
    const { closed } = settleVisitor(settlement, visitor, step, parts)
    if (closed && giveBack !== undefined) {
      step.whole.giveBack(giveBack.bucket, giveBack.units)
      if (giveBack.source !== undefined) step.account(giveBack.source).giveBack(giveBack.bucket, giveBack.units)
    }
  }
  if (signal !== undefined) hear(signal, settlement, failedBefore, step)
  if (eventDone !== undefined) {
    const seen = parts.events.readEvent(eventDone, step.nowMs)
    const record = settledEvent(seen, attributes[0]?.stamp ?? '', step.nowMs, eventRejected === true)
    parts.events.writeEvent(eventDone, record, seen, step.nowMs)
  }
}

/** @returns whether it closed an open attempt of its token */
function settleVisitor(
  { visitorHash, token, attributes, backoff, signal, judged, note }: Settlement,
  visitor: VisitorRows,
  { nowMs, health }: Step,
  { settings }: SettleParts,
): { readonly closed: boolean } {
  let closed = false
  let untilMs = backoff === undefined && signal !== 'wrong' && note === undefined ? 0 : nowMs + settings.retentionMs
  for (const { name, stamp, outcome, hash } of attributes) {
    const after = settled(visitor.get(name), stamp, outcome, token, hash)
    visitor.set(name, after.register)
    closed ||= after.closed
    untilMs = Math.max(untilMs, registerLivesUntilMs(stamp, nowMs, settings))
  }
  if (attributes.some(({ outcome }) => outcome === 'delivered')) visitor.backoff = undefined
  else if (backoff !== undefined) visitor.backoff = { attempts: backoff.attempts, notBeforeMs: nowMs + backoff.waitMs }
  if (signal !== undefined)
    visitor.denials = afterTry(visitor.denials, { signal, visitorHash, judged: judged === true }, health, nowMs)
  // What came in before the visitor was erased leaves no trace.
  if (note !== undefined && stampArrivalMs(note.stamp) > (visitor.erasedMs ?? 0))
    visitor.history = noted(visitor.history, note, stampArrivalMs(note.stamp), nowMs)
  visitor.save(untilMs)
  return { closed }
}

/** The health of a steady day is never rewritten. */
function hear(signal: Signal, settlement: Settlement, failedBefore: boolean, step: Step): void {
  const { visitorHash, sources = [], attributes } = settlement
  const traits = traitsOf(
    visitorHash,
    sources,
    attributes.map(({ name }) => name),
  )
  const after = afterSignal(
    step.health,
    { signal, visitorHash, traits, failedBefore, probe: settlement.probe === true },
    step.nowMs,
  )
  if (JSON.stringify(after) !== JSON.stringify(step.health)) step.health = after
}
