/**
 * What must hold, in a plain and slow form, judged by what the senders were told, what Target received and what the
 * stores really hold, never by what the relay believes.
 */

import { isDeadKey } from '../../src/core/backlog/entry-format.ts'
import { historyBytes, historyOf } from '../../src/core/ledger/rules/history.ts'
import type { PlanAction } from '../../src/core/operator/dead/plan.ts'
import { classOf } from './crypto.ts'

export interface SimEvent {
  readonly serial: number
  /** The serial of the event whose id it uses, if it uses another's. */
  readonly id?: number
  readonly source: string
  readonly visitor: string
  /** Values are unique in the run: a value identifies its event. */
  readonly attributes: ReadonlyMap<string, string>
  /** The event's place in time among those that touch the same attributes. */
  readonly rank: number
  /** It has no time of its own and is ordered by its arrival. */
  readonly timeless?: boolean
  /** Older than a retention that was set before, or too large for one TARGET_METHOD: a 422 is a correct answer. */
  readonly mayBeRefused?: boolean
}

/** The quota settings under which calls were made for a while. */
export interface QuotaPromise {
  readonly limit: number
  readonly windowMs: number
  readonly fromMs: number
  /** Infinity while they are in force. */
  untilMs: number
}

interface Sent {
  readonly event: SimEvent
  readonly startMs: number
  refused: boolean
}

const plantedOfEach = 3
/** Clocks of isolates and of the ledger, and a second of rounding. */
const clocksApartMs = 10_000
/** How far ahead a stamp may be and still be sent (docs/rules.md, "Clocks"), plus the normal difference of clocks. */
const aheadToleranceMs = 5 * 60_000 + 2_000

export class Violation extends Error {
  override readonly name = 'Violation'
}

export class Oracle {
  readonly #byValue = new Map<string, { event: SimEvent; name: string }>()
  readonly #sent = new Map<string, Sent[]>()
  /** The newest rank that Target applied, and the last one. */
  readonly #newest = new Map<string, number>()
  readonly #last = new Map<string, { rank: number; value: string }>()
  readonly #durable = new Map<string, ReadonlySet<string>>()
  /** Of dead letters, also of those that have left. */
  readonly #letters = new Map<string, ReadonlySet<string>>()
  /** Under how many keys each value is stored. */
  readonly #copies = new Map<string, number>()
  /** Letters of plans that were run, and values in letters that were dropped. */
  readonly #planned = new Set<string>()
  readonly #dropped = new Set<string>()
  readonly #acknowledged = new Set<SimEvent>()
  /** The first one ended the run; the relay may have caught it. */
  readonly violations: string[] = []
  readonly callsMs: { atMs: number; units: number }[] = []
  readonly #planted: string[] = []
  /** Until it is noticed that the ledger went back, its order is void (docs/rules.md, "What no rule can give"). */
  voidedUntilNoticed = false
  #voided = new Set<string>()
  /** Attributes whose order a wrong clock may have changed (`clocks.ts`). */
  readonly #unordered = new Set<string>()
  /** The real time before which an event must not be sent: a fast clock dated it that far ahead. */
  readonly #notBefore = new Map<SimEvent, number>()
  readonly #aheadUntil = new Map<SimEvent, number>()
  readonly #lastTried = new Map<SimEvent, number>()
  readonly #erased = new Map<string, number>()
  /** Calls that Target accepted, by visitor. */
  readonly #appliedCalls = new Map<string, number>()
  /** Visitors and keys whose entries may stay. */
  readonly #excused = new Set<string>()
  /** The quota settings over time. */
  readonly promises: QuotaPromise[] = []
  /** Otherwise nobody can tell which stamps are ahead. */
  ledgerClockIsRight = true
  /** Visitors for whom Target has ever failed. */
  readonly failedFor = new Set<string>()
  /** Units that a failover forgot, which no rule can restore. */
  forgottenUnits = 0

  fail(message: string): never {
    this.violations.push(message)
    throw new Violation(message)
  }

  plant(...texts: string[]): void {
    this.#planted.push(...texts)
  }

  register(event: SimEvent): void {
    for (const [name, value] of event.attributes) this.#byValue.set(value, { event, name })
    // Each is searched for in every log line, key and answer: a few of each event are enough.
    if (!this.#planted.includes(event.visitor)) this.plant(event.visitor)
    this.plant(
      ...[...event.attributes.values()]
        .slice(0, plantedOfEach)
        .flatMap((value) => (value === '' ? [] : [value.slice(0, 24)])),
    )
  }

  /** A call reached Target, whatever it answers. Returns a handle to report a refusal. */
  callStarted(
    visitor: string,
    pairs: ReadonlyMap<string, string>,
    units: number,
    nowMs: number,
  ): (ownVerdict: boolean) => void {
    this.callsMs.push({ atMs: nowMs, units })
    const started: Sent[] = []
    for (const [name, value] of pairs) {
      const known = this.#byValue.get(value)
      if (known === undefined || known.name !== name || known.event.visitor !== visitor)
        this.fail(`G6: Target decoded an attribute ${name} that nobody sent with that value`)
      const key = `${visitor} ${name}`
      const sent = this.#sent.get(key) ?? []
      this.#sent.set(key, sent)
      const { event } = known
      if (this.ledgerClockIsRight && nowMs + aheadToleranceMs < (this.#notBefore.get(event) ?? 0))
        this.fail(
          `G3: event ${event.serial} was sent at ${nowMs}, ${(this.#notBefore.get(event) ?? 0) - nowMs} ms ahead of its time`,
        )
      if ((this.#erased.get(visitor) ?? Number.POSITIVE_INFINITY) < nowMs - 10_000 && this.#triedBeforeErase(event))
        this.fail(
          `G2: event ${event.serial} was sent at ${nowMs}, after its visitor was erased at ${this.#erased.get(visitor)}`,
        )
      const newer = sent.find((other) => other.event.rank > known.event.rank && !other.refused)
      if (newer !== undefined) {
        if (this.voidedUntilNoticed) this.#voided.add(key)
        else if (!this.#isVoid(key))
          this.fail(
            `G3: event ${known.event.serial} (rank ${known.event.rank}) was sent at ${nowMs} after event ${newer.event.serial} (rank ${newer.event.rank}) at ${newer.startMs}, ${key}`,
          )
      }
      const one: Sent = { event: known.event, startMs: nowMs, refused: false }
      sent.push(one)
      started.push(one)
    }
    return (ownVerdict) => {
      for (const one of started) one.refused = true
      // A verdict on one event's content is one on its earlier tries too (docs/rules.md, "Settle").
      if (ownVerdict && this.eventsIn(pairs) === 1)
        for (const [name] of pairs)
          for (const one of this.#sent.get(`${visitor} ${name}`) ?? [])
            if (one.event === started[0]?.event) one.refused = true
    }
  }

  applied(visitor: string, pairs: ReadonlyMap<string, string>): void {
    this.#appliedCalls.set(visitor, (this.#appliedCalls.get(visitor) ?? 0) + 1)
    for (const [name, value] of pairs) {
      const key = `${visitor} ${name}`
      const rank = this.#byValue.get(value)?.event.rank ?? Number.NaN
      const last = this.#last.get(key)
      if (last !== undefined && rank < last.rank && !this.#isVoid(key))
        this.fail(`G3: ${key} went back from rank ${last.rank} to ${rank}`)
      this.#last.set(key, { rank, value })
      this.#newest.set(key, Math.max(this.#newest.get(key) ?? Number.NEGATIVE_INFINITY, rank))
    }
  }

  /** The ledger says that Target has this value already, one of these, with this time. */
  skipped(candidates: readonly string[], timeMs: number, nowMs: number): void {
    const all = candidates.flatMap((value) => ({ value, ...(this.#byValue.get(value) ?? this.fail('never sent')) }))
    const one = all.find(({ event }) => event.rank === timeMs)
    // A wrong clock took it in, and dated it: nobody can tell which it is.
    if (one === undefined) {
      for (const { event } of all) this.unorder(event)
      return
    }
    const { event, name, value } = one
    const key = `${event.visitor} ${name}`
    const last = this.#last.get(key)
    if (this.voidedUntilNoticed) this.#voided.add(key)
    if (!this.#isVoid(key) && (last === undefined || classOf(last.value) !== classOf(value)))
      this.fail(`G2: event ${event.serial} was skipped at ${nowMs}, and Target has another value of ${key}`)
    const older = this.#sent.get(key) ?? []
    const newer = older.find((other) => other.event.rank > event.rank && !other.refused)
    if (newer !== undefined && !this.#isVoid(key))
      this.fail(`G3: event ${event.serial} was skipped at ${nowMs}, after event ${newer.event.serial} was sent, ${key}`)
    // From now on it counts as delivered: nothing older may be sent, or applied.
    this.#sent.set(key, [...older, { event, startMs: nowMs, refused: false }])
    this.#last.set(key, { rank: Math.max(event.rank, last?.rank ?? event.rank), value })
    this.#newest.set(key, Math.max(this.#newest.get(key) ?? Number.NEGATIVE_INFINITY, event.rank))
  }

  /** A backlog entry or dead letter became durable; `values` are those in it. */
  stored(key: string, values: readonly string[]): void {
    this.#forget(key)
    this.#durable.set(key, new Set(values))
    if (isDeadKey(key)) this.#letters.set(key, new Set(values))
    for (const value of this.#durable.get(key) ?? []) this.#copies.set(value, (this.#copies.get(value) ?? 0) + 1)
  }

  /** An operator is about to run a plan of exactly these letters. */
  planRuns({ action, asNew, keys }: { action: PlanAction; asNew: boolean; keys: readonly string[] }): void {
    for (const key of keys) {
      this.#planned.add(key)
      if (action === 'drop') for (const value of this.#durable.get(key) ?? []) this.#dropped.add(value)
      if (!asNew) continue
      // Its old value may overtake: somebody said so, also of one that another plan removes meanwhile.
      for (const value of this.#letters.get(key) ?? []) {
        const known = this.#byValue.get(value)
        if (known !== undefined) this.unorder(known.event)
      }
    }
  }

  /** How many letters left by plans. */
  letterDeletes = 0

  deleted(key: string): void {
    const values = this.#forget(key)
    if (isDeadKey(key)) this.#letterDeleted(key, values ?? new Set())
    for (const value of values ?? []) {
      const known = this.#byValue.get(value)
      if (known !== undefined && !this.#dropped.has(value) && !this.safe(known.event, known.name))
        this.fail(`G2: event ${known.event.serial} left the backlog undelivered (${known.name})`)
    }
  }

  serialOf(value: string): number | undefined {
    return this.#byValue.get(value)?.event.serial
  }

  /** How many events' values a call carries: more than one is a merge. */
  eventsIn(pairs: ReadonlyMap<string, string>): number {
    return new Set([...pairs.values()].map((value) => this.#byValue.get(value)?.event)).size
  }

  acknowledged(event: SimEvent): void {
    this.#acknowledged.add(event)
    this.#checkKept(event, 'was acknowledged and is nowhere')
  }

  /** Delivered, superseded, or durably kept. */
  safe(event: SimEvent, name: string): boolean {
    const key = `${event.visitor} ${name}`
    const newest = this.#newest.get(key)
    if (newest !== undefined && (newest >= event.rank || this.#unordered.has(key))) return true
    return (
      this.#erased.has(event.visitor) ||
      this.#dropped.has(event.attributes.get(name) ?? '') ||
      (this.#copies.get(event.attributes.get(name) ?? '') ?? 0) > 0
    )
  }

  /** A wrong clock took it in, which may have changed its place in the order of its attributes. */
  unorder(event: SimEvent): void {
    for (const name of event.attributes.keys()) this.#unordered.add(`${event.visitor} ${name}`)
  }

  /** The ledger forgot what it admitted since then, including the order of what is in flight (a known hole). */
  forgetOrderSince(ms: number): void {
    for (const [key, sent] of this.#sent) if (sent.some(({ startMs }) => startMs >= ms)) this.#unordered.add(key)
  }

  /** A sender is about to send it at `nowMs` to an isolate whose clock shows `arrivalMs`. */
  tried(event: SimEvent, arrivalMs: number, nowMs: number): void {
    this.#lastTried.set(event, Math.max(nowMs, arrivalMs))
    // Of one that has a time of its own, what its source delays waits by that clock.
    if (event.timeless === true || arrivalMs > nowMs)
      this.#aheadUntil.set(event, Math.max(arrivalMs, this.#aheadUntil.get(event) ?? 0))
    if (event.timeless !== true) return
    // Any of the tries may have been recorded first.
    this.#notBefore.set(event, Math.min(arrivalMs, this.#notBefore.get(event) ?? Number.POSITIVE_INFINITY))
  }

  /** Until when entries may have to wait because a fast clock took them in. */
  aheadUntilMs(): number {
    return Math.max(
      0,
      ...[...this.#durable]
        .flatMap(([key, values]) => (key.startsWith('b1/') ? this.#eventsOf(values) : []))
        .map((event) => this.#aheadUntil.get(event) ?? 0),
    )
  }

  /** From now on nothing of the visitor needs to be kept; what was tried before must not be sent again. */
  erased(visitor: string, nowMs: number): void {
    this.#erased.set(visitor, nowMs)
  }

  /** A visitor's time line says nothing that did not happen, and nothing of before it was erased. */
  checkHistory(visitor: string, text: string | undefined): void {
    const all = historyOf(text)
    if (all.length > 8 || (text ?? '').length > historyBytes)
      this.fail(`G9: a time line has ${all.length} happenings and ${text?.length} bytes`)
    const sent = all.filter(({ kind }) => kind === 's' || kind === 'r')
    if (sent.length > (this.#appliedCalls.get(visitor) ?? 0))
      this.fail(
        `G9: the time line of ${visitor} has ${sent.length} calls, Target ${this.#appliedCalls.get(visitor) ?? 0}`,
      )
    const never = sent.flatMap(({ names }) => names).find((name) => !this.#last.has(`${visitor} ${name}`))
    if (never !== undefined) this.fail(`G9: the time line of ${visitor} says that ${never} was sent`)
    const erasedMs = this.#erased.get(visitor) ?? Number.POSITIVE_INFINITY
    const before = all.find(({ atS, afterS }) => 1_000 * (atS - afterS) < erasedMs - clocksApartMs)
    if (this.ledgerClockIsRight && Number.isFinite(erasedMs) && before !== undefined)
      this.fail(`G9: the time line of ${visitor} shows what came in before it was erased at ${erasedMs}`)
  }

  /** Entries of this visitor, or this key alone, may stay in the backlog. */
  excuse(visitorOrKey: string): void {
    this.#excused.add(visitorOrKey)
  }

  /** Excuses the visitors of all events that carry this mark. */
  excuseHolders(mark: string): void {
    for (const [value, { event }] of this.#byValue) if (value.includes(mark)) this.excuse(event.visitor)
  }

  /** Entries that should not be there. */
  inBacklog(): number {
    let count = 0
    for (const [key, values] of this.#durable)
      if (
        key.startsWith('b1/') &&
        !this.#excused.has(key) &&
        !this.#eventsOf(values).some(({ visitor }) => this.#excused.has(visitor))
      )
        count++
    return count
  }

  inDeadLetters(): number {
    return [...this.#durable.keys()].filter(isDeadKey).length
  }

  /** How often each value was sent: in a gentle run at most once. */
  timesSent(value: string): number {
    const known = this.#byValue.get(value)
    if (known === undefined) return 0
    return (this.#sent.get(`${known.event.visitor} ${known.name}`) ?? []).filter(({ event }) => event === known.event)
      .length
  }

  checkAllKept(): void {
    for (const event of this.#acknowledged) this.#checkKept(event, 'was acknowledged and is lost')
  }

  /** New settings apply from now on; the old ones until `untilMs`, while some isolates still have them. */
  promise(limit: number, windowMs: number, nowMs: number, oldUntilMs = nowMs): void {
    for (const old of this.promises) old.untilMs = Math.min(old.untilMs, oldUntilMs)
    this.promises.push({ limit, windowMs, fromMs: nowMs, untilMs: Number.POSITIVE_INFINITY })
  }

  /**
   * Checks the units in every window that ends at a call. If settings changed within it, the strictest rule that held
   * throughout: at most the largest of their limits in the shortest of their windows. Returns how many were checked.
   */
  checkQuota(): number {
    const lengths = [...new Set(this.promises.map(({ windowMs }) => windowMs))]
    for (const windowMs of lengths) {
      let first = 0
      let units = 0
      for (const { atMs, units: own } of this.callsMs) {
        units += own
        for (
          let oldest = this.callsMs[first];
          oldest !== undefined && oldest.atMs <= atMs - windowMs;
          oldest = this.callsMs[first]
        ) {
          units -= oldest.units
          first++
        }
        const held = this.promises.filter(({ fromMs, untilMs }) => fromMs <= atMs && untilMs > atMs - windowMs)
        if (held.some((promise) => promise.windowMs < windowMs)) continue
        const limit = Math.max(...held.map((promise) => promise.limit))
        if (units > limit + this.forgottenUnits)
          this.fail(`G1: ${units} units in the ${windowMs} ms that end at ${atMs}, with a limit of ${limit}`)
      }
    }
    return this.callsMs.length
  }

  /** G8: nothing planted appears in this text. */
  checkDiscreet(where: string, text: string): void {
    const leaked = this.#planted.find((planted) => text.includes(planted))
    if (leaked !== undefined) this.fail(`G8: ${where} shows ${leaked}`)
  }

  /** Only a plan, or an erasure of its visitor, removes a letter. */
  #letterDeleted(key: string, values: ReadonlySet<string>): void {
    this.letterDeletes++
    if (this.#planned.has(key)) return
    if (this.#eventsOf(values).some(({ visitor }) => this.#erased.has(visitor)) || values.size === 0) return
    this.fail(`G9: the letter ${key} was removed, and is of no plan`)
  }

  #isVoid(key: string): boolean {
    return this.#voided.has(key) || this.#unordered.has(key) || this.#erased.has(key.slice(0, key.lastIndexOf(' ')))
  }

  #triedBeforeErase(event: SimEvent): boolean {
    // Clocks differ by a second or two.
    return (this.#lastTried.get(event) ?? Number.POSITIVE_INFINITY) < (this.#erased.get(event.visitor) ?? 0) - 5_000
  }

  #eventsOf(values: ReadonlySet<string>): readonly SimEvent[] {
    return [...values].flatMap((value) => this.#byValue.get(value)?.event ?? [])
  }

  #forget(key: string): ReadonlySet<string> | undefined {
    const values = this.#durable.get(key)
    this.#durable.delete(key)
    for (const value of values ?? []) this.#copies.set(value, (this.#copies.get(value) ?? 1) - 1)
    return values
  }

  #checkKept(event: SimEvent, what: string): void {
    for (const name of event.attributes.keys())
      if (!this.safe(event, name)) this.fail(`G2: event ${event.serial} ${what} (${name})`)
  }
}
