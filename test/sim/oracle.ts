/**
 * What must hold, said plainly and slowly, from what the senders were told, what Target received and what the stores
 * really hold: never from what the relay believes.
 */

export interface SimEvent {
  readonly serial: number
  readonly source: string
  readonly visitor: string
  /** Values are unique in the run: a value names its event. */
  readonly attributes: ReadonlyMap<string, string>
  /** The event's place in time among those that touch the same attributes. */
  readonly rank: number
}

interface Sent {
  readonly event: SimEvent
  readonly startMs: number
  refused: boolean
}

export class Violation extends Error {
  override readonly name = 'Violation'
}

export class Oracle {
  readonly #byValue = new Map<string, { event: SimEvent; name: string }>()
  readonly #sent = new Map<string, Sent[]>()
  /** The newest rank that Target applied, and the last. */
  readonly #newest = new Map<string, number>()
  readonly #last = new Map<string, { rank: number; value: string }>()
  readonly #durable = new Map<string, Set<string>>()
  readonly #acknowledged = new Set<SimEvent>()
  /** The first is what ended the run; the relay may have caught it. */
  readonly violations: string[] = []
  readonly callsMs: { atMs: number; units: number }[] = []
  readonly #planted: string[] = []
  /** While a ledger that went back has not been noticed yet, its order is void (PROTOCOL.md). */
  voidedUntilNoticed = false
  #voided = new Set<string>()
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
    this.plant(event.visitor, ...[...event.attributes.values()].map((value) => value.slice(0, 24)))
  }

  /** A call reached Target, whatever it answers. Returns a handle to tell of a refusal. */
  callStarted(visitor: string, pairs: ReadonlyMap<string, string>, units: number, nowMs: number): (ownVerdict: boolean) => void {
    this.callsMs.push({ atMs: nowMs, units })
    const started: Sent[] = []
    for (const [name, value] of pairs) {
      const known = this.#byValue.get(value)
      if (known === undefined || known.name !== name || known.event.visitor !== visitor)
        this.fail(`G6: Target decoded an attribute ${name} that nobody sent so`)
      const key = `${visitor} ${name}`
      const sent = this.#sent.get(key) ?? []
      this.#sent.set(key, sent)
      const newer = sent.find((other) => other.event.rank > known.event.rank && !other.refused)
      if (newer !== undefined) {
        if (this.voidedUntilNoticed) this.#voided.add(key)
        else if (!this.#voided.has(key))
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
      // A verdict on one event's content is one on its earlier tries too (PROTOCOL.md, "Settle").
      if (ownVerdict && this.eventsIn(pairs) === 1)
        for (const [name] of pairs)
          for (const one of this.#sent.get(`${visitor} ${name}`) ?? []) if (one.event === started[0]?.event) one.refused = true
    }
  }

  applied(visitor: string, pairs: ReadonlyMap<string, string>): void {
    for (const [name, value] of pairs) {
      const key = `${visitor} ${name}`
      const rank = this.#byValue.get(value)?.event.rank ?? Number.NaN
      const last = this.#last.get(key)
      if (last !== undefined && rank < last.rank && !this.#voided.has(key))
        this.fail(`G3: ${key} went back from rank ${last.rank} to ${rank}`)
      this.#last.set(key, { rank, value })
      this.#newest.set(key, Math.max(this.#newest.get(key) ?? Number.NEGATIVE_INFINITY, rank))
    }
  }

  /** A backlog entry or dead letter became durable; `values` are those in it. */
  stored(key: string, values: readonly string[]): void {
    this.#durable.set(key, new Set(values))
  }

  deleted(key: string): void {
    const values = this.#durable.get(key)
    this.#durable.delete(key)
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
    if ((this.#newest.get(`${event.visitor} ${name}`) ?? Number.NEGATIVE_INFINITY) >= event.rank) return true
    const value = event.attributes.get(name) ?? ''
    return [...this.#durable.values()].some((values) => values.has(value))
  }

  inBacklog(): number {
    return [...this.#durable.keys()].filter((key) => key.startsWith('b1/')).length
  }

  inDeadLetters(): number {
    return [...this.#durable.keys()].filter((key) => key.startsWith('d1/')).length
  }

  /** How often each value went out: in a gentle run once at most. */
  timesSent(value: string): number {
    const known = this.#byValue.get(value)
    if (known === undefined) return 0
    return (this.#sent.get(`${known.event.visitor} ${known.name}`) ?? []).filter(({ event }) => event === known.event).length
  }

  checkAllKept(): void {
    for (const event of this.#acknowledged) this.#checkKept(event, 'was acknowledged and is lost')
  }

  /** The most units in any window, slid over every call. Answers how many windows were looked at. */
  checkQuota(limit: number, windowMs: number): number {
    let first = 0
    let units = 0
    for (const { atMs, units: own } of this.callsMs) {
      units += own
      for (let oldest = this.callsMs[first]; oldest !== undefined && oldest.atMs <= atMs - windowMs; oldest = this.callsMs[first]) {
        units -= oldest.units
        first++
      }
      if (units > limit + this.forgottenUnits) this.fail(`G1: ${units} units in the window that ends at ${atMs}, of ${limit}`)
    }
    return this.callsMs.length
  }

  /** G8: nothing planted stands in this text. */
  checkDiscreet(where: string, text: string): void {
    const leaked = this.#planted.find((planted) => text.includes(planted))
    if (leaked !== undefined) this.fail(`G8: ${where} shows ${leaked}`)
  }

  #checkKept(event: SimEvent, what: string): void {
    for (const name of event.attributes.keys()) if (!this.safe(event, name)) this.fail(`G2: event ${event.serial} ${what} (${name})`)
  }
}
