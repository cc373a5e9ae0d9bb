/**
 * The rules of docs/rules.md as functions on plain data: registers of (visitor, attribute). The SQL ledger runs them as
 * they stand here; `redis/scripts/registers.ts` says the same in Lua, under the same names, and a differential test
 * keeps both alike.
 */
import { futureToleranceMs, stampArrivalMs, stampTimeMs } from '../../update/stamp.ts'
import type { Lane, Stamp } from '../../update/update.ts'
import { jumpToleranceMs } from './clock-watch.ts'
import { isInFlight } from './in-flight.ts'
import type { LedgerSettings } from './settings.ts'
import { type DeliveredValue, deliveredValue, isUnchanged, knownFor } from './unchanged.ts'

/**
 * What becomes of one attribute, the first that fits (docs/rules.md, "Admit"):
 * - `expired`: older than the retention. `overtaken`: the same, while a newer attempt's fate is open.
 * - `delivered`: this very stamp was delivered. `superseded`: a newer one was. `erased`: its visitor was erased since.
 * - `ahead`: its event time is further ahead of the ledger's clock than a clock may be, or its visitor's erasure is.
 * - `lost`: no newer than a loss of the ledger's state, so that its order can't be known.
 * - `waits`: a newer attempt's fate is open. `contended`: an attempt is in flight.
 * - `backoff`: replay only, the visitor's next try is not due, or one failed and first tries were asked for.
 * - `held`: the request asked for it. `paused`: an operator said stop. `shut`: the breaker is open. `quota`: no units.
 * - `unchanged`: Target has this very value from a delivery within the retention (`unchanged.ts`). `send`: go.
 */
export type Verdict =
  | 'expired'
  | 'overtaken'
  | 'delivered'
  | 'superseded'
  | 'erased'
  | 'ahead'
  | 'lost'
  | 'waits'
  | 'contended'
  | 'backoff'
  | 'held'
  | 'paused'
  | 'shut'
  | 'quota'
  | 'unchanged'
  | 'send'

/** `unknown` leaves the register as it is: the attempt's fate stays open. */
export type Outcome = 'delivered' | 'unsent' | 'refused' | 'unknown'

/** The register of one (visitor, attribute). */
export interface Register {
  /** Newest stamp that Target accepted. */
  done?: Stamp
  /** Newest stamp admitted and not settled. */
  open?: OpenAttempt
  /** What was delivered last, of a source that skips what is unchanged. Only where nothing is open. */
  value?: DeliveredValue
}

export interface OpenAttempt {
  stamp: Stamp
  /** When it was admitted, epoch ms; 0 once it is known not to be in flight. */
  atMs: number
  /** How long from then on it may be in flight, by its writer's settings; absent where an older version wrote it. */
  lifeMs?: number
  /** Where its units were taken from, as in its admission; absent where an older version wrote it. */
  bucket?: number
  /** Names the attempt; empty once no attempt owns it. */
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

/** Older attempts of open fate that are kept apart. Those beyond count as the oldest of them, which holds more back. */
export const maxBelow = 8

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

type Rules = Pick<LedgerSettings, 'retentionMs' | 'inFlightMs'>

/**
 * docs/rules.md, "Admit": the first line that fits. `send` means: if there is quota.
 *
 * @param hash of its value, where its source skips what is unchanged
 */
export function judge(
  register: Register | undefined,
  stamp: Stamp,
  nowMs: number,
  { lane, backoff, erasedMs = 0, lostMs = 0 }: Surroundings,
  rules: Rules,
  hash?: string,
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
  if (open !== undefined && isInFlight(open.atMs, nowMs, open.lifeMs ?? rules.inFlightMs)) return 'contended'
  if (lane === 'replay' && backoff !== undefined && backoff.notBeforeMs > nowMs) return 'backoff'
  const forgottenMs = Math.max(erasedMs, lostMs, nowMs - rules.retentionMs - 1)
  return isUnchanged(register, hash, forgottenMs, nowMs) ? 'unchanged' : 'send'
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

/** Older stamps of open fate, without those that a newer delivery has settled. */
function openBelow(stamps: readonly Stamp[] = [], done: Stamp | undefined): { below?: readonly Stamp[] } {
  const open = stamps.filter((stamp) => done === undefined || stamp > done)
  if (open.length === 0) return {}
  const last = open[maxBelow - 2]
  // The oldest twice: after one refusal it must still be open.
  return { below: open.length > maxBelow && last !== undefined ? [...open.slice(0, maxBelow - 1), last] : open }
}

/**
 * The register once an attempt's outcome is known, and whether this closed an attempt of `token`.
 *
 * @param hash of the value that was sent, where its source skips what is unchanged
 */
export function settled(
  register: Register | undefined,
  stamp: Stamp,
  outcome: Outcome,
  token: string,
  hash?: string,
): { readonly register: Register; readonly closed: boolean } {
  const { done, open, value } = register ?? {}
  const mine = outcome !== 'unknown' && open !== undefined && open.token !== '' && open.token === token
  const newDone = outcome === 'delivered' && (done === undefined || stamp > done) ? stamp : done
  const newOpen = mine ? reopened(open, outcome, newDone) : open
  const delivered = mine && outcome === 'delivered' ? deliveredValue(stamp, hash, open.atMs) : value
  return {
    register: {
      ...(newDone === undefined ? {} : { done: newDone }),
      ...(newOpen === undefined ? knownFor(delivered, newDone) : { open: newOpen }),
    },
    closed: mine,
  }
}

/** The newest attempt whose fate is still open; it is known not to be in flight. */
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

/** One lifetime of a register, counted from its newest stamp: it can hold nothing back after that. */
export function registerLifeMs({ retentionMs, quotaSlackMs, inFlightMs }: Lifetimes): number {
  return retentionMs + quotaSlackMs + inFlightMs
}

type Lifetimes = Pick<LedgerSettings, 'retentionMs' | 'quotaSlackMs' | 'inFlightMs'>

/** Lifetimes during which a register counts: in the second it still tells `overtaken` from `expired`. */
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
