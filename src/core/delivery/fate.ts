/** What becomes of an attribute at the door, and what follows from it for its register, its sender and the backlog. */
import type { DeadReason } from '../backlog/port.ts'
import type { Outcome, Verdict } from '../ledger/rules/register.ts'
import type { DeferReason, SetAsideReason } from '../update/reasons.ts'
import type { Target } from '../wire/port.ts'

/** The result of one call. */
export type Sent = Awaited<ReturnType<Target['send']>>

/** What became of one attribute: its verdict where it was not sent, else the outcome of its call. */
export type Fate =
  | Exclude<Verdict, 'send'>
  | 'sent_delivered'
  | 'sent_refused'
  /** Refused, but not by Target's own no: set aside like it, and no verdict on earlier tries. */
  | 'sent_turned_away'
  /** Denied again (401, 403, 3xx), alone and on its last try: set aside, and no verdict on earlier tries. */
  | 'sent_denied'
  /** In a call that carried several events: no verdict on any one of them. */
  | 'refused_together'
  /** Fits in no call: it was accepted under another `TARGET_METHOD`. */
  | 'unfit'
  | 'sent_unknown'
  | 'unsent'

/**
 * Only Target's own yes is a delivery, and only its no to the content is a refusal. In every other case the fate is
 * open.
 *
 * @param systemic while Target refuses everybody, its no is no verdict on this one
 * @param together whether the call carried several events
 * @param lastTry whether one more denial is a verdict
 */
export function fateOf(sent: Sent, systemic: boolean, together: boolean, lastTry: boolean): Fate {
  switch (sent.kind) {
    case 'delivered':
      return 'sent_delivered'
    case 'refused':
      if (systemic) return 'sent_unknown'
      if (together) return 'refused_together'
      return sent.own ? 'sent_refused' : 'sent_turned_away'
    case 'unsent':
      return 'unsent'
    case 'misconfigured':
      return lastTry && !together ? 'sent_denied' : 'sent_unknown'
    case 'disbelieved':
    case 'unavailable':
    case 'unanswered':
      return 'sent_unknown'
  }
}

/** Target failed in a way that may be temporary, or that means our address or token is wrong. */
export type Failure = 'unavailable' | 'misconfigured'

export function failureOf(sent: Sent, systemic: boolean): Failure | undefined {
  if (sent.kind === 'misconfigured' || (systemic && sent.kind === 'refused')) return 'misconfigured'
  return sent.kind === 'unavailable' || sent.kind === 'unanswered' || sent.kind === 'disbelieved'
    ? 'unavailable'
    : undefined
}

export function outcomeOf(fate: Fate): Outcome | undefined {
  switch (fate) {
    case 'sent_delivered':
      return 'delivered'
    case 'sent_refused':
      return 'refused'
    case 'sent_unknown':
      return 'unknown'
    // An earlier try of one of them may have reached Target all the same: clearing it would let an older value
    // overtake.
    case 'refused_together':
    case 'sent_turned_away':
    case 'sent_denied':
    case 'unsent':
      return 'unsent'
    default:
      return undefined
  }
}

/** What an attribute's fate means to the caller. */
export type Standing = 'done' | 'dead' | 'open'

/**
 * `done`: Target has it, its very value or something newer, or its visitor was erased. `dead`: for a person to look at. `open`: still
 * to be sent.
 */
export function standing(fate: Fate): Standing {
  switch (fate) {
    case 'sent_delivered':
    case 'delivered':
    case 'superseded':
    case 'unchanged':
    case 'erased':
      return 'done'
    case 'sent_refused':
    case 'sent_turned_away':
    case 'sent_denied':
    case 'unfit':
    case 'expired':
    case 'overtaken':
    case 'lost':
      return 'dead'
    case 'sent_unknown':
    case 'refused_together':
    case 'unsent':
    case 'waits':
    case 'contended':
    case 'backoff':
    case 'paused':
    case 'shut':
    case 'quota':
    case 'held':
    case 'ahead':
      return 'open'
  }
}

/** Why an attribute that is still open was not delivered. */
function deferReason(fate: Fate): DeferReason {
  switch (fate) {
    case 'quota':
      return 'quota'
    case 'waits':
    case 'contended':
      return 'contended'
    case 'unsent':
      return 'slow'
    case 'paused':
      return 'paused'
    case 'held':
      return 'delayed'
    case 'ahead':
      return 'clock'
    default:
      return 'target_unavailable'
  }
}

/** That of the first open fate, as the sender is told; undefined where none is. */
export function firstDeferReason(fates: readonly (Fate | undefined)[]): DeferReason | undefined {
  const open = fates.find((fate) => fate !== undefined && standing(fate) === 'open')
  return open === undefined ? undefined : deferReason(open)
}

/** The reason of a dead letter, from the fates of its attributes. */
export function deadReason(fates: readonly Fate[]): DeadReason {
  if (fates.some(isRefused)) return 'rejected'
  if (fates.includes('sent_denied')) return 'refused_repeatedly'
  const reason = setAsideReason(fates)
  // Its detail says what is wrong.
  return reason === 'unfit' ? 'rejected' : reason
}

/** The reason of a dead letter for which Target was not asked. */
export function setAsideReason(fates: readonly Fate[]): SetAsideReason {
  if (fates.includes('unfit')) return 'unfit'
  if (fates.includes('lost')) return 'ledger_lost'
  return fates.includes('overtaken') ? 'overtaken_unconfirmed' : 'expired'
}

/** Whether Target, or a proxy in front of it, refused it. */
export function isRefused(fate: Fate): boolean {
  return fate === 'sent_refused' || fate === 'sent_turned_away'
}
