/**
 * What must hold, said plainly and slowly, from what the senders were told, what Target received and what the stores
 * really hold: never from what the relay believes.
 */

export interface SimEvent {
  readonly serial: number
  /** The serial of the event whose id it bears, where it bears another's. */
  readonly id?: number
  readonly source: string
  readonly visitor: string
  /** Values are unique in the run: a value names its event. */
  readonly attributes: ReadonlyMap<string, string>
  /** The event's place in time among those that touch the same attributes. */
  readonly rank: number
  /** Without a time of its own it is ordered by its arrival. */
  readonly timeless?: boolean
  /** Older than a retention that held before, or too large for one way of speaking to Target: a 422 is an honest answer. */
  readonly mayBeRefused?: boolean
}

/** Settings under which calls were made for a while: the promise on the quota. */
export interface QuotaPromise {
  readonly limit: number
  readonly windowMs: number
  readonly fromMs: number
  /** Infinity while it is in force. */
  untilMs: number
}

interface Sent {
  readonly event: SimEvent
  readonly startMs: number
  refused: boolean
}

const plantedOfEach = 3
/** How far ahead a stamp may be and still be sent (docs/rules.md, "Clocks"), and what clocks differ by besides. */
const aheadToleranceMs = 5 * 60_000 + 2_000

export class Violation extends Error {
  override readonly name = 'Violation'
}

export class Oracle {
  readonly #byValue = new Map<string, { event: SimEvent; name: string }>()
  readonly #sent = new Map<string, Sent[]>()
  /** The newest rank that Target applied, and the last. */
  readonly #newest = new Map<string, number>()
  readonly #last = new Map<string, { rank: number; value: string }>()
  readonly #durable = new Map<string, ReadonlySet<string>>()
  /** Under how many keys each value lies. */
  readonly #copies = new Map<string, number>()
  readonly #acknowledged = new Set<SimEvent>()
  /** The first is what ended the run; the relay may have caught it. */
  readonly violations: string[] = []
  readonly callsMs: { atMs: number; units: number }[] = []
  readonly #planted: string[] = []
  /** While a ledger that went back has not been noticed yet, its order is void (docs/rules.md, "What no rule can give"). */
  voidedUntilNoticed = false
  #voided = new Set<string>()
  /** Attributes whose order a wrong clock may have changed (`clocks.ts`), and whether Target has applied anything of them. */
  readonly #unordered = new Set<string>()
  /** Before when an event must not be sent, by real time: a fast clock put it that far ahead. */
  readonly #notBefore = new Map<SimEvent, number>()
  readonly #aheadUntil = new Map<SimEvent, number>()
  readonly #lastTried = new Map<SimEvent, number>()
  readonly #erased = new Map<string, number>()
  /** Visitors whose entries may stay, and keys that may. */
  readonly #excused = new Set<string>()
  /** What was promised on the quota, and when. */
  readonly promises: QuotaPromise[] = []
  /** Else nobody can tell what is ahead. */
  ledgerClockIsRight = true
  /** Visitors of whom Target has ever given cause to think ill of it. */
  readonly failedFor = new Set<string>()
  /** Units that a failover forgot: what no rule can give back. */
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
    // Each is looked for in every log line, key and answer: a few of each event will do.
    if (!this.#planted.includes(event.visitor)) this.plant(event.visitor)
    this.plant(
      ...[...event.attributes.values()]
        .slice(0, plantedOfEach)
        .flatMap((value) => (value === '' ? [] : [value.slice(0, 24)])),
    )
  }

  /** A call reached Target, whatever it answers. Returns a handle to tell of a refusal. */
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
        this.fail(`G6: Target decoded an attribute ${name} that nobody sent so`)
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

  /** A backlog entry or dead letter became durable; `values` are those in it. */
  stored(key: string, values: readonly string[]): void {
    this.#forget(key)
    this.#durable.set(key, new Set(values))
    for (const value of this.#durable.get(key) ?? []) this.#copies.set(value, (this.#copies.get(value) ?? 0) + 1)
  }

  deleted(key: string): void {
    const values = this.#forget(key)
    for (const value of values ?? []) {
      const known = this.#byValue.get(value)
      if (known !== undefined && !this.safe(known.event, known.name))
        this.fail(`G2: event ${known.event.serial} left the backlog undelivered (${known.name})`)
    }
  }

  serialOf(value: string): number | undefined {
    return this.#byValue.get(value)?.event.serial
  }

  /** Of how many events a call carries values: more than one is a merge. */
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
    return this.#erased.has(event.visitor) || (this.#copies.get(event.attributes.get(name) ?? '') ?? 0) > 0
  }

  /** A wrong clock took it in, which may have put it elsewhere in the order of its attributes. */
  unorder(event: SimEvent): void {
    for (const name of event.attributes.keys()) this.#unordered.add(`${event.visitor} ${name}`)
  }

  /** The ledger forgot what it admitted since then, and with it the order of what is in flight (a known hole). */
  forgetOrderSince(ms: number): void {
    for (const [key, sent] of this.#sent) if (sent.some(({ startMs }) => startMs >= ms)) this.#unordered.add(key)
  }

  /** A sender is about to give it to a clock that shows `arrivalMs`, at `nowMs`. */
  tried(event: SimEvent, arrivalMs: number, nowMs: number): void {
    this.#lastTried.set(event, Math.max(nowMs, arrivalMs))
    if (event.timeless !== true) return
    // Whichever try was recorded first.
    this.#notBefore.set(event, Math.min(arrivalMs, this.#notBefore.get(event) ?? Number.POSITIVE_INFINITY))
    this.#aheadUntil.set(event, Math.max(arrivalMs, this.#aheadUntil.get(event) ?? 0))
  }

  /** Until when what waits may have to wait, because a fast clock took it in. */
  aheadUntilMs(): number {
    return Math.max(
      0,
      ...[...this.#durable]
        .flatMap(([key, values]) => (key.startsWith('b1/') ? this.#eventsOf(values) : []))
        .map((event) => this.#aheadUntil.get(event) ?? 0),
    )
  }

  /** From now on nothing of the visitor need be kept; what was tried before must not be sent again. */
  erased(visitor: string, nowMs: number): void {
    this.#erased.set(visitor, nowMs)
  }

  /** Entries of this visitor, or this key alone, may stay in the backlog. */
  excuse(visitorOrKey: string): void {
    this.#excused.add(visitorOrKey)
  }

  /** The visitors of all events that carry this mark. */
  excuseHolders(mark: string): void {
    for (const [value, { event }] of this.#byValue) if (value.includes(mark)) this.excuse(event.visitor)
  }

  /** Entries that have no excuse to be there. */
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
    return [...this.#durable.keys()].filter((key) => key.startsWith('d1/')).length
  }

  /** How often each value went out: in a gentle run once at most. */
  timesSent(value: string): number {
    const known = this.#byValue.get(value)
    if (known === undefined) return 0
    return (this.#sent.get(`${known.event.visitor} ${known.name}`) ?? []).filter(({ event }) => event === known.event)
      .length
  }

  checkAllKept(): void {
    for (const event of this.#acknowledged) this.#checkKept(event, 'was acknowledged and is lost')
  }

  /** New settings hold from now on; the old ones `untilMs`, where some isolates still have them. */
  promise(limit: number, windowMs: number, nowMs: number, oldUntilMs = nowMs): void {
    for (const old of this.promises) old.untilMs = Math.min(old.untilMs, oldUntilMs)
    this.promises.push({ limit, windowMs, fromMs: nowMs, untilMs: Number.POSITIVE_INFINITY })
  }

  /**
   * The units in every window that ends at a call. Where settings changed within it, the strictest promise that held
   * throughout: no more than the largest of their limits in the shortest of their windows. Answers how many were looked at.
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
          this.fail(`G1: ${units} units in the ${windowMs} ms that end at ${atMs}, of ${limit}`)
      }
    }
    return this.callsMs.length
  }

  /** G8: nothing planted stands in this text. */
  checkDiscreet(where: string, text: string): void {
    const leaked = this.#planted.find((planted) => text.includes(planted))
    if (leaked !== undefined) this.fail(`G8: ${where} shows ${leaked}`)
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
