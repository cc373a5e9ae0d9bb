/**
 * The ledger: the strongly consistent memory. Quota spent, the register of every (visitor, attribute), event ids seen,
 * leases, counters. Two implementations (`redis/ledger.ts`, `sql/ledger.ts`) answer this port alike;
 * `test/contract/ledger.ts` holds both to it, and docs/rules.md has the rules.
 *
 * Every method is one atomic step per request and rejects when the ledger can't answer within its deadline. The caller
 * then sends nothing (G1): a rejected `admit` may have taken effect all the same.
 */
import type { Lane, Stamp } from '../update/update.ts'
import type { Life, MovedState } from './moved.ts'
import type { Counters, Lines, Slot } from './rules/figures.ts'
import type { BreakerCause, Health, Signal, Traits } from './rules/health.ts'
import type { Note } from './rules/history.ts'
import type { Outcome, Verdict } from './rules/register.ts'

/** May this update be sent? All its attributes belong to one visitor. */
export interface AdmitRequest {
  readonly visitorHash: string
  /** `hash`: of its value, where its source skips what is unchanged (`rules/unchanged.ts`). */
  readonly attributes: readonly { readonly name: string; readonly stamp: Stamp; readonly hash?: string }[]
  /** Live only: the event's key. Its first stamp, where one is recorded, replaces the stamps above. */
  readonly event?: string
  /** An upper bound of the units that sending takes, at least 1; all or nothing. */
  readonly units: number
  /** Names this attempt: at least 16 random hex digits, never reused. */
  readonly token: string
  /** On whose account: a source with a share of its own, in units a window. Over its share it has `bulk`'s ceiling. */
  readonly source?: SourceShare
  /** Whose updates it carries: what the breaker may be about (`rules/health.ts`). */
  readonly sources?: readonly string[]
  /** Not to be sent yet: what would go is `held`, and nothing is taken or recorded but the event. */
  readonly hold?: true
  /** Only if no try of its visitor failed before: the flush comes back to it when nothing else waits. */
  readonly firstTry?: true
  /** It may be the breaker's probe although tries of its visitor failed: nothing else waits. */
  readonly lastResort?: true
}

export interface SourceShare {
  readonly name: string
  readonly units: number
}

export type Admission =
  /**
   * The event was settled before: `duplicate`, or `rejected` where Target refused it. `in_flight`: its first attempt is
   * still in flight. `id_reused`: its id came before with other content.
   */
  | { readonly event: 'duplicate' | 'rejected' | 'in_flight' | 'id_reused' }
  | {
      readonly event: 'open'
      /** In the order of the request's attributes. */
      readonly verdicts: readonly Verdict[]
      /** The event's first stamp where it differs from the request's. */
      readonly firstStamp?: Stamp
      /**
       * Where the units were taken from, when any attribute is to be sent: the last millisecond of the bucket, epoch
       * ms.
       */
      readonly bucket?: number
      /** When `units` will be free, epoch ms, where the quota refused. */
      readonly retryAtMs?: number
      /** How many tries of this visitor have failed in a row. */
      readonly attempts: number
      /** Let through an open breaker to see whether Target is well again; the breaker's cause. */
      readonly probe?: BreakerCause
      /** Sent while Target refuses everybody, or before its first yes: its no is no verdict. */
      readonly systemic?: true
      /** What the breaker is about, where a verdict is `shut`. */
      readonly shutTraits?: Traits
      /**
       * Replay only: denied so often, so long, and while others were delivered, that one more denial is a verdict
       * (`rules/denials.ts`).
       */
      readonly lastTry?: true
      /** It is due, and `backoff` only because first tries were asked for. */
      readonly failedBefore?: true
    }

export interface Settlement {
  readonly visitorHash: string
  readonly token: string
  /** `hash`: as in its request. */
  readonly attributes: readonly {
    readonly name: string
    readonly stamp: Stamp
    readonly outcome: Outcome
    readonly hash?: string
  }[]
  /** The event's key once it is settled: delivered, refused, or durably in the backlog. */
  readonly eventDone?: string
  /** With `eventDone`: Target refused it, and the same content is answered so again. */
  readonly eventRejected?: true
  /**
   * Units not used, and the bucket they came from. Honoured once: only where this settlement closes at least one open
   * attempt of its token, so that a repeated settlement gives nothing back.
   */
  readonly giveBack?: { readonly bucket: number; readonly units: number; readonly source?: string }
  /**
   * After a failed try: for how long replay leaves this visitor alone, counted by the ledger's clock. A delivery clears
   * it.
   */
  readonly backoff?: { readonly attempts: number; readonly waitMs: number }
  /** Whose updates the attempt carried, as in its request. */
  readonly sources?: readonly string[]
  /** Its denial was a verdict: its visitor's denials are counted from zero. */
  readonly judged?: true
  /** For its visitor's time line. Dropped where the visitor was erased since it came in. */
  readonly note?: Note
  /** What the attempt says of Target, and whether it was a probe. */
  readonly signal?: Signal
  readonly probe?: true
}

export type { Counters }

/** By source, how far its clock is ahead of ours, ms. */
export type Leads = Readonly<Record<string, number>>

/** What costs the ledger the same however much it holds. */
export interface Summary {
  readonly limit: number
  readonly used: number
  readonly remaining: number
  readonly health: Health
  /** When state was last found lost, epoch ms by the ledger's clock. */
  readonly lostAtMs?: number
  /** Present while nothing is admitted since the ledger's clock jumped; 0 where that was confirmed just now. */
  readonly clock?: { readonly jumpedByMs: number }
  /** The largest of about the last day, of sources that had one. */
  readonly leads: Leads
}

export interface Usage extends Summary {
  /** When the oldest counted unit is free again, epoch ms; absent where none is counted. */
  readonly nextFreeAtMs?: number
  /** Units by bucket, oldest first: start of the bucket in epoch ms, by today's width, and units. */
  readonly buckets: readonly (readonly [startMs: number, units: number])[]
  /** All that was ever counted: by name, and by line (`rules/figures.ts`) and name. */
  readonly counters: Counters
  readonly totals: Lines
}

/** What operators are shown, of one moment. */
export interface Look {
  readonly usage: Usage
  readonly slots: readonly Slot[]
  /** In the order of the names that were asked for. */
  readonly memos: readonly (string | undefined)[]
}

/** What the ledger knows of one attribute. */
export interface KnownAttribute {
  readonly name: string
  /** The newest stamp that Target accepted, and the newest whose fate is open. */
  readonly done?: Stamp
  readonly open?: Stamp
}

export interface Ledger {
  /** `upstash` or `embedded`: what `/readyz` and the log say. */
  readonly kind: 'upstash' | 'embedded'
  /**
   * At most `maxBatch` requests, decided in order, one answer each. Rejects with `ClockJumped` while its clock is off.
   */
  admit(requests: readonly AdmitRequest[], lane: Lane): Promise<readonly Admission[]>
  /**
   * Undoes an admission whose caller has given up: returns its units and its reservation, and settles its registers as
   * `unsent`. If the admission arrives only afterwards, within `cancelledLivesMs`, it is rejected. Idempotent. Nothing
   * may have been sent on it.
   *
   * @param requests as they were given to `admit`
   * @returns the units that were given back
   */
  cancel(requests: readonly AdmitRequest[]): Promise<number>
  /** Settles attempts, adds `counts` to the figures of now, and keeps the largest lead of each source. */
  settle(settlements: readonly Settlement[], counts?: Counters, leads?: Leads): Promise<void>
  /**
   * The first stamp of each event; an event not known is recorded with the stamp given here. Null where its id came
   * before with other content, which the stamps tell apart.
   */
  firstStamps(events: readonly { readonly event: string; readonly stamp: Stamp }[]): Promise<readonly (Stamp | null)[]>
  summary(): Promise<Summary>
  usage(): Promise<Usage>
  /**
   * What was counted in the day from `fromMs` on (epoch ms), by slot, oldest first; nothing older than 72 h, and no slot
   * without counts.
   */
  series(fromMs: number): Promise<readonly Slot[]>
  /** `usage`, `series` and `recallAll`, in one request. */
  look(fromMs: number, memos: readonly string[]): Promise<Look>
  /**
   * An operator's word that the ledger's clock is right as it is: what is dated in the future counts as granted now,
   * and nothing is admitted until what may be in flight has ended. G1 rests on it.
   */
  confirmClock(): Promise<void>
  /** Takes or renews a lease. False where another holder has it. */
  lease(name: string, holder: string, ttlMs: number): Promise<boolean>
  /** Gives a lease back, if `holder` still has it. */
  release(name: string, holder: string): Promise<void>
  /** As `lease`, and as `recallAll`, in one step; undefined where another holder has the lease. */
  leaseAndRecall(
    name: string,
    holder: string,
    ttlMs: number,
    memos: readonly string[],
  ): Promise<readonly (string | undefined)[] | undefined>
  /** Remembers a memo, even if another holder has the lease, and releases the lease as `release` does, in one step. */
  rememberAndRelease(name: string, holder: string, memo: string, value: string): Promise<void>
  /** Small state that must be right (where the flush stopped, when it last ran). Undefined where nothing is kept. */
  recall(name: string): Promise<string | undefined>
  /** As `recall` for each name, in one request. */
  recallAll(names: readonly string[]): Promise<readonly (string | undefined)[]>
  remember(name: string, value: string): Promise<void>
  /** Keeps `value` where nothing is kept under this name; answers what is kept then, alike to all who ask at once. */
  rememberFirst(name: string, value: string): Promise<string>
  /** As `remember` where `before` is what is kept, or nothing is and it is undefined; else false, and nothing changes. */
  compareAndSet(name: string, before: string | undefined, value: string): Promise<boolean>
  /** Keeps what an operator did, as text; of more than `actsKept` of `Limits` the oldest goes. */
  recordAct(act: string): Promise<void>
  /** The acts that are kept, newest first. */
  acts(): Promise<readonly string[]>
  /** Checks the ledger against its witness (`loss/epoch.ts`), and tells the witness how much was granted. */
  check(): Promise<void>
  /** Stops or resumes all calls to Target; updates are deferred meanwhile. */
  pause(paused: boolean): Promise<void>
  /**
   * An operator's word that calls may go again: the breaker is closed, and what led to it forgotten.
   *
   * @returns whether it was open
   */
  closeBreaker(): Promise<boolean>
  /**
   * Forgets a visitor's registers. What it had before now is `erased` from then on, for as long as a register lives.
   *
   * @returns false, having done nothing, while its clock is off: nobody could say what was before
   */
  erase(visitorHash: string): Promise<boolean>
  /** States how many units were really spent in the window that ends now, after a loss. An operator's word: G1 rests on it. */
  restate(units: number): Promise<void>
  /**
   * What is known of a visitor's attributes, by name; at most `attributesListed` of `Limits`, and then maybe not of
   * all.
   */
  visitor(visitorHash: string): Promise<readonly KnownAttribute[]>
  /** A visitor's time line as it is kept (`historyOf`); undefined where there is none. */
  history(visitorHash: string): Promise<string | undefined>
  /** One part of the state, and where the next one begins; pause before, or it is not one moment's. */
  moveOut(cursor?: string): Promise<{ readonly part: MovedState; readonly cursor?: string }>
  /**
   * Takes a part in. Registers and events join what is known; units add to what is spent, those of a part with an `id`
   * once. A ledger that lives in another epoch stays who it is.
   */
  moveIn(part: MovedState): Promise<void>
  /**
   * An operator's word that its store was put back to an earlier moment, and maybe its witness with it: the whole quota
   * counts as spent, and what is no newer than now is `lost`. G1 and G3 rest on it.
   */
  restored(): Promise<void>
}

/** Names an admission as a whole: by the token of its first attempt, which is never used again. */
export function grantOf(requests: readonly AdmitRequest[]): string {
  return requests[0]?.token ?? ''
}

/** What an implementation provides; `watchedLedger` makes a `Ledger` of it. */
export interface LedgerStore extends Omit<Ledger, 'admit' | 'check' | 'restored'> {
  /**
   * As `Ledger.admit`; undefined, having touched nothing, where the store does not live in `epoch`. `granted`: so far
   * in it. `unknown`: units that now count as spent, since more of the past counts than is still known.
   */
  admit(
    epoch: string,
    requests: readonly AdmitRequest[],
    lane: Lane,
  ): Promise<
    { readonly granted: number; readonly admissions: readonly Admission[]; readonly unknown?: number } | undefined
  >
  /** Undefined where no epoch was begun. */
  life(): Promise<Life | undefined>
  /**
   * Begins an epoch and answers the current life. A first start leaves an epoch that is there alone. After a loss the
   * epoch is replaced once: the whole quota counts as spent, and what is no newer than now is `lost`. One that already
   * replaced `after` is left alone: another machine, with a witness of its own, has noticed the same loss.
   *
   */
  begin(epoch: string, options: BeginOptions): Promise<Life>
  /** Counts units as granted up to `granted` where fewer are known; then what is no newer than now is `lost`. */
  charge(granted: number): Promise<void>
}

export interface BeginOptions {
  /** After a loss; else it is a first start. */
  readonly lost: boolean
  /** The epoch whose loss was noticed. */
  readonly after?: string | undefined
}
