/**
 * The rules of PROTOCOL.md as functions on plain data: registers of (visitor, attribute), event ids, settling. The SQL
 * ledger runs them as they stand here; the Redis scripts say the same in Lua, and a differential test holds both alike.
 */
import { stampArrivalMs, stampTimeMs } from '../stamp.ts'
import type { Lane, Stamp } from '../update.ts'
import type { LedgerSettings, Outcome, Verdict } from './port.ts'

/** The register of one (visitor, attribute). */
export interface Register {
  /** Newest stamp that Target accepted. */
  done?: Stamp
  /** Newest stamp admitted and not settled. */
  open?: OpenAttempt
}

export interface OpenAttempt {
  stamp: Stamp
  /** When it was admitted, epoch ms; 0 where it is known to be under way no more. */
  atMs: number
  /** Names the attempt; empty where it is nobody's any more. */
  token: string
  /** What `stamp` returns to when the attempt turns out unsent. */
  was?: Stamp
  /** What it returns to when Target refuses it. */
  below?: Stamp
}

/** The event's first attempt. */
export interface EventRecord {
  readonly stamp: Stamp
  readonly atMs: number
  readonly done: boolean
}

export interface Backoff {
  readonly attempts: number
  readonly notBeforeMs: number
}

/** What else decides on an attribute, besides its register. */
export interface Surroundings {
  readonly lane: Lane
  readonly backoff?: Backoff | undefined
  /** When the visitor was last erased, epoch ms. */
  readonly erasedMs?: number | undefined
  /** When the ledger last lost state, epoch ms. */
  readonly lostMs?: number | undefined
}

type Rules = Pick<LedgerSettings, 'retentionMs' | 'youngMs'>

export type EventVerdict =
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'in_flight' }
  /** Go on under `stamp`, and keep `record`. */
  | { readonly kind: 'open'; readonly record: EventRecord }

/** PROTOCOL.md, "Event ids", for live traffic. */
export function judgeEvent(seen: EventRecord | undefined, stamp: Stamp, nowMs: number, rules: Rules): EventVerdict {
  if (seen === undefined) return { kind: 'open', record: { stamp, atMs: nowMs, done: false } }
  if (seen.done) return { kind: 'duplicate' }
  if (nowMs - seen.atMs <= rules.youngMs) return { kind: 'in_flight' }
  return { kind: 'open', record: { ...seen, atMs: nowMs } }
}

/** PROTOCOL.md, "Admit": the first line that fits. `send` means: if there is quota. */
export function judge(
  register: Register | undefined,
  stamp: Stamp,
  nowMs: number,
  { lane, backoff, erasedMs = 0, lostMs = 0 }: Surroundings,
  rules: Rules,
): Exclude<Verdict, 'quota' | 'paused' | 'shut'> {
  const { done, open } = register ?? {}
  if (stampTimeMs(stamp) < nowMs - rules.retentionMs) return open !== undefined && open.stamp > stamp ? 'overtaken' : 'expired'
  if (done !== undefined && done >= stamp) return done === stamp ? 'delivered' : 'superseded'
  if (stampArrivalMs(stamp) <= erasedMs) return 'erased'
  if (stampTimeMs(stamp) <= lostMs) return 'lost'
  if (open !== undefined && open.stamp > stamp) return 'waits'
  if (open !== undefined && nowMs - open.atMs <= rules.youngMs) return 'contended'
  if (lane === 'replay' && backoff !== undefined && backoff.notBeforeMs > nowMs) return 'backoff'
  return 'send'
}

/** The register once `stamp` was admitted under `token`. */
export function admitted(register: Register | undefined, stamp: Stamp, nowMs: number, token: string): Register {
  const { done, open } = register ?? {}
  const kept = done === undefined ? {} : { done }
  if (open?.stamp === stamp) {
    const below = open.below === undefined ? {} : { below: open.below }
    return { ...kept, open: { stamp, atMs: nowMs, token, was: stamp, ...below } }
  }
  const before = open !== undefined && (done === undefined || open.stamp > done) ? { was: open.stamp, below: open.stamp } : {}
  return { ...kept, open: { stamp, atMs: nowMs, token, ...before } }
}

/** The register once an attempt's outcome is known, and whether this closed an attempt of `token`. */
export function settled(
  register: Register | undefined,
  stamp: Stamp,
  outcome: Outcome,
  token: string,
): { readonly register: Register; readonly closed: boolean } {
  const { done, open } = register ?? {}
  const mine = outcome !== 'unknown' && open !== undefined && open.token !== '' && open.token === token
  const newDone = outcome === 'delivered' && (done === undefined || stamp > done) ? stamp : done
  const newOpen = mine ? reopened(outcome === 'unsent' ? open.was : outcome === 'refused' ? open.below : undefined) : open
  return {
    register: { ...(newDone === undefined ? {} : { done: newDone }), ...(newOpen === undefined ? {} : { open: newOpen }) },
    closed: mine,
  }
}

/** An earlier attempt whose fate is still open, and which is known to be under way no more. */
function reopened(stamp: Stamp | undefined): OpenAttempt | undefined {
  return stamp === undefined ? undefined : { stamp, atMs: 0, token: '' }
}

/**
 * How long a register must live: counted from the newer of now and its stamp, since counted from now alone a
 * future-stamped value would outlive it.
 */
export function registerLivesUntilMs(stamp: Stamp, nowMs: number, settings: LedgerSettings): number {
  return Math.max(nowMs, stampTimeMs(stamp)) + settings.retentionMs + settings.quotaSlackMs + settings.youngMs
}
