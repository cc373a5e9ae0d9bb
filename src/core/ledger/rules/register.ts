/**
 * The rules of docs/rules.md as functions on plain data: registers of (visitor, attribute), event ids, settling. The
 * SQL ledger runs them as they stand here; the Redis scripts say the same in Lua, and a differential test holds both
 * alike.
 */
import { futureToleranceMs, stampArrivalMs, stampName, stampTimeMs } from '../../update/stamp.ts'
import type { Lane, Stamp } from '../../update/update.ts'
import type { LedgerSettings, Outcome, Verdict } from '../port.ts'
import { jumpToleranceMs } from './clock-watch.ts'

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
  /** For how long from then on it may be under way, by the settings of its writer; absent where an older version wrote it. */
  lifeMs?: number
  /** Where its units were taken from, as in its admission; absent where an older version wrote it. */
  bucket?: number
  /** Names the attempt; empty where it is nobody's any more. */
  token: string
  /** An earlier attempt under this very stamp may have got there: unsent now does not mean never sent. */
  again?: true
  /**
   * Older stamps whose fate is open too, newest first. The first is what `open` returns to when this attempt turns out
   * unsent or refused; remembering only that one would, after two refusals, let a value pass below one that may have
   * been delivered.
   */
  below?: readonly Stamp[]
}

/** So many older attempts of open fate are told apart; those beyond count as the oldest of them, which holds more back. */
export const maxBelow = 8

/** The event's first attempt. Its stamp names the content that came under its id. */
export interface EventRecord {
  readonly stamp: Stamp
  readonly atMs: number
  readonly done: boolean
  /** Done, and Target refused it. */
  readonly rejected?: true
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
  | { readonly kind: 'duplicate' | 'rejected' | 'in_flight' | 'id_reused' }
  /** Go on under `stamp`, and keep `record`. */
  | { readonly kind: 'open'; readonly record: EventRecord }

/** docs/rules.md, "Event ids", for live traffic. */
export function judgeEvent(
  seen: EventRecord | undefined,
  { event, stamp }: NamedEvent,
  nowMs: number,
  rules: Pick<Rules, 'youngMs'>,
): EventVerdict {
  const first = { kind: 'open', record: { stamp, atMs: nowMs, done: false } } as const
  if (seen === undefined) return first
  // What was refused is tried again once it is another.
  if (isAnother(seen, { event, stamp })) return seen.rejected === true ? first : { kind: 'id_reused' }
  if (seen.done) return { kind: seen.rejected === true ? 'rejected' : 'duplicate' }
  if (isYoung(seen.atMs, nowMs, rules.youngMs)) return { kind: 'in_flight' }
  return { kind: 'open', record: { ...seen, atMs: nowMs } }
}

/** An event's key, and a stamp of what came under it. */
interface NamedEvent {
  readonly event: string
  readonly stamp: Stamp
}

/**
 * The stamp under which an event first came, and the record where it is to be kept anew; undefined where its id was used
 * for other content before.
 */
export function firstStampOf(
  seen: EventRecord | undefined,
  named: NamedEvent,
  nowMs: number,
): { readonly stamp: Stamp; readonly record?: EventRecord } | undefined {
  const another = seen !== undefined && isAnother(seen, named)
  if (another && seen.rejected !== true) return undefined
  if (seen !== undefined && !another) return { stamp: seen.stamp }
  return { stamp: named.stamp, record: { stamp: named.stamp, atMs: nowMs, done: false } }
}

/**
 * Whether other content came under the id. An older version named stamps by the event's key, which says nothing of it; nor
 * does a record that was settled and never admitted, which has none.
 */
function isAnother(seen: EventRecord, { event, stamp }: NamedEvent): boolean {
  const name = stampName(seen.stamp)
  return name !== '' && name !== stampName(stamp) && name !== stampName(event)
}

/** docs/rules.md, "Admit": the first line that fits. `send` means: if there is quota. */
export function judge(
  register: Register | undefined,
  stamp: Stamp,
  nowMs: number,
  { lane, backoff, erasedMs = 0, lostMs = 0 }: Surroundings,
  rules: Rules,
): Exclude<Verdict, 'quota' | 'paused' | 'shut' | 'held'> {
  const { done, open } = register ?? {}
  if (stampTimeMs(stamp) < nowMs - rules.retentionMs)
    return open !== undefined && open.stamp > stamp ? 'overtaken' : 'expired'
  if (done !== undefined && done >= stamp) return done === stamp ? 'delivered' : 'superseded'
  // Erased by a clock that was ahead: what came in since then can't be told from what was before.
  if (stampTimeMs(stamp) > nowMs + futureToleranceMs || erasedMs > nowMs + jumpToleranceMs) return 'ahead'
  if (stampArrivalMs(stamp) <= erasedMs) return 'erased'
  if (stampTimeMs(stamp) <= lostMs) return 'lost'
  if (open !== undefined && open.stamp > stamp) return 'waits'
  if (open !== undefined && isYoung(open.atMs, nowMs, open.lifeMs ?? rules.youngMs)) return 'contended'
  if (lane === 'replay' && backoff !== undefined && backoff.notBeforeMs > nowMs) return 'backoff'
  return 'send'
}

/** Whether an attempt may be under way. One of a future that the clock has left is not: its jump was waited out. */
function isYoung(atMs: number, nowMs: number, lifeMs: number): boolean {
  return nowMs - atMs <= lifeMs && atMs - nowMs <= jumpToleranceMs
}

/** The register once `stamp` was admitted. */
export function admitted(
  register: Register | undefined,
  stamp: Stamp,
  attempt: Required<Pick<OpenAttempt, 'atMs' | 'lifeMs' | 'token' | 'bucket'>>,
): Register {
  const { done, open } = register ?? {}
  const kept = done === undefined ? {} : { done }
  const mine = { stamp, ...attempt }
  const below = openBelow(
    open?.stamp === stamp ? open.below : open === undefined ? [] : [open.stamp, ...(open.below ?? [])],
    done,
  )
  return { ...kept, open: { ...mine, ...(open?.stamp === stamp ? { again: true as const } : {}), ...below } }
}

/** Older stamps of open fate, as far as none newer was delivered. */
function openBelow(stamps: readonly Stamp[] = [], done: Stamp | undefined): { below?: readonly Stamp[] } {
  const open = stamps.filter((stamp) => done === undefined || stamp > done)
  if (open.length === 0) return {}
  const last = open[maxBelow - 2]
  // The oldest twice: whoever refuses it once still finds it open.
  return { below: open.length > maxBelow && last !== undefined ? [...open.slice(0, maxBelow - 1), last] : open }
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
  const newOpen = mine ? reopened(open, outcome, newDone) : open
  return {
    register: {
      ...(newDone === undefined ? {} : { done: newDone }),
      ...(newOpen === undefined ? {} : { open: newOpen }),
    },
    closed: mine,
  }
}

/** The newest attempt whose fate is still open, and which is known to be under way no more. */
function reopened(
  { stamp, again, below = [] }: OpenAttempt,
  outcome: Outcome,
  done: Stamp | undefined,
): OpenAttempt | undefined {
  if (outcome === 'delivered') return undefined
  const [next, ...older] = outcome === 'unsent' && again === true ? [stamp, ...below] : below
  return next === undefined ? undefined : { stamp: next, atMs: 0, token: '', ...openBelow(older, done) }
}

/** A register that moves in from another ledger, joined with what is known here. */
export function movedIn(register: Register | undefined, moved: { done?: Stamp; open: readonly Stamp[] }): Register {
  const { done: mine, open } = register ?? {}
  const done = moved.done !== undefined && (mine === undefined || moved.done > mine) ? moved.done : mine
  const all = [...(open === undefined ? [] : [open.stamp, ...(open.below ?? [])]), ...moved.open].sort().reverse()
  const [newest, ...older] = all.filter((stamp) => done === undefined || stamp > done)
  if (newest === undefined) return done === undefined ? {} : { done }
  const attempt = open?.stamp === newest ? { ...open } : { stamp: newest, atMs: 0, token: '' }
  delete attempt.below
  return { ...(done === undefined ? {} : { done }), open: { ...attempt, ...openBelow(older, done) } }
}

/** A register's open stamps, newest first. */
export function openStamps({ open }: Register): readonly Stamp[] {
  return open === undefined ? [] : [open.stamp, ...(open.below ?? [])]
}

/**
 * How long a register must live: counted from the newer of now and its stamp, since counted from now alone a
 * future-stamped value would outlive it.
 */
export function registerLivesUntilMs(stamp: Stamp, nowMs: number, settings: LedgerSettings): number {
  return Math.max(nowMs, stampTimeMs(stamp)) + registerLifeMs(settings)
}

/** One lifetime of a register: the longest time behind its newest stamp in which it can hold anything back. */
export function registerLifeMs({ retentionMs, quotaSlackMs, youngMs }: Lifetimes): number {
  return retentionMs + quotaSlackMs + youngMs
}

type Lifetimes = Pick<LedgerSettings, 'retentionMs' | 'quotaSlackMs' | 'youngMs'>

/** So many lifetimes behind its newest stamp a register counts: in the second it still tells `overtaken` from `expired`. */
export const livesCounted = 2
/** One more until it is removed: a clock that ran ahead for a moment has made nothing forgotten. */
export const livesKept = livesCounted + 1

/** Whether a register still says anything. What does not count is as if it were not there, removed or not. */
export function counts(register: Register, nowMs: number, settings: Lifetimes): boolean {
  return newestTimeMs(register) >= nowMs - livesCounted * registerLifeMs(settings)
}

/** Whether a register is to be removed when its row is written. */
export function isOver(register: Register, nowMs: number, settings: Lifetimes): boolean {
  return newestTimeMs(register) < nowMs - livesKept * registerLifeMs(settings)
}

function newestTimeMs({ done, open }: Register): number {
  const times = [done, open?.stamp].filter((stamp) => stamp !== undefined).map(stampTimeMs)
  return Math.max(Number.NEGATIVE_INFINITY, ...times)
}
