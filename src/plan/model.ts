/**
 * A relay on a virtual clock: what becomes of each update, by the rules of admission, merge and flush (docs/rules.md), in
 * numbers instead of texts. It assumes that Target takes each call, that the ledger answers, and that updates arrive in
 * the order of their stamps. `test/plan/model.test.ts` runs the relay itself on the same traffic. Times are whole ms from
 * any moment at least a day before the first update, below 2^32.
 */
import { createDelays } from './delays.ts'
import type { ModelSettings, Totals } from './model-shapes.ts'
import { Rows } from './rows.ts'
import { createWaiting, leastFirst, orderKey, placeOf } from './waiting.ts'

/** What a run may still spend. */
interface Left {
  units: number
  calls: number
  operations: number
  ms: number
}

/** `openRegisters`: of what waits, those that no newer value has overtaken. Serial numbers are of updates and replays. */
const [newestWaitMs, behindSinceMs, openRegisters, replaySerial, replayedAtMs, calledAtMs] = [0, 1, 2, 3, 4, 5] as const
/** What was sent last of a register, and the newest that was deferred. */
const [sentSerial, sentAtMs, waitSerial] = [0, 1, 2] as const
const [sentValue, waitValue] = [0, 1] as const
const keysPerList = 1_000
/** Visitors that one admission holds: those behind a refused one are still asked about. */
const chunk = 16
const largeBacklog = 2_000
const lookEveryMs = 600_000
/** What becomes of one attribute of an update. */
const [leftOut, goes, waits] = [0, 1, 2]

export class RelayModel {
  readonly totals: Totals = {
    ...{ updates: 0, live: 0, deferred: 0, contended: 0, unchanged: 0, replayed: 0, entriesReplayed: 0 },
    ...{ superseded: 0, expired: 0, busyRuns: 0, lists: 0 },
  }
  /** How long profiles were behind: from the first value that was deferred until Target had all of the visitor. */
  readonly delays = createDelays()
  readonly #settings: ModelSettings
  readonly #waiting = createWaiting()
  readonly #stretch: Int32Array
  readonly #keys: Float64Array
  #entriesWaiting = 0
  #position = 0
  #nextLookMs = 0
  #serial = 0
  readonly #visitors = new Rows(8)
  /** Alone: a run goes through them in the order of the ring. */
  readonly #waitsSinceMs = new Rows(1)
  readonly #entries = new Rows(1)
  readonly #registers = new Rows(4)
  /** Only where values are compared. */
  readonly #values = new Rows(2)
  #going: Uint8Array = new Uint8Array(32)

  constructor(settings: ModelSettings) {
    this.#settings = settings
    this.#stretch = new Int32Array(settings.run.entriesTogether)
    this.#keys = new Float64Array(settings.run.entriesTogether)
  }

  get entriesWaiting(): number {
    return this.#entriesWaiting
  }

  get visitorsWaiting(): number {
    return this.#waiting.count
  }

  /**
   * One update arrives.
   *
   * @param mayCall whether its lane has a unit left
   * @returns whether a call was made
   */
  arrive(
    atMs: number,
    visitor: number,
    registers: Int32Array,
    values: Int32Array,
    count: number,
    mayCall: boolean,
  ): boolean {
    if (count > this.#going.length) this.#going = new Uint8Array(count)
    const serial = ++this.#serial
    const going = this.#going
    let [toSend, held] = [0, 0]
    for (let at = 0; at < count; at++) {
      const register = registers[at] ?? 0
      this.#noteReplay(register, visitor)
      const inFlight = atMs - this.#registers.get(register, sentAtMs) < this.#settings.callMs
      const skipped = !inFlight && this.#isUnchanged(register, values[at] ?? 0, atMs)
      if (skipped) this.#standsAt(register, visitor, serial)
      going[at] = inFlight ? waits : skipped ? leftOut : goes
      if (inFlight) held++
      else if (!skipped) toSend++
    }
    this.totals.updates++
    const calls = toSend > 0 && mayCall
    if (calls) {
      this.#visitors.set(visitor, calledAtMs, atMs)
      for (let at = 0; at < count; at++)
        if (going[at] === goes) this.#send(registers[at] ?? 0, visitor, serial, values[at] ?? 0, atMs)
    }
    if (calls) this.totals.live++
    if (held > 0 || (toSend > 0 && !calls)) {
      this.totals.deferred++
      if (held > 0) this.totals.contended++
      for (let at = 0; at < count; at++)
        if (going[at] === waits || (going[at] === goes && !calls))
          this.#defer(registers[at] ?? 0, visitor, serial, values[at] ?? 0, atMs)
      this.#putEntry(visitor, atMs)
    } else if (toSend === 0) this.totals.unchanged++
    if (this.#visitors.get(visitor, behindSinceMs) !== 0 && this.#visitors.get(visitor, openRegisters) === 0)
      this.#caughtUp(visitor, atMs)
    return calls
  }

  /**
   * One run of the flush, in a moment.
   *
   * @param units that replay may spend
   * @returns units that it spent
   */
  flush(nowMs: number, units: number): number {
    if (this.#waiting.count === 0 || (units === 0 && !this.#isWorthALook(nowMs))) return 0
    const { run } = this.#settings
    const left: Left = { units, calls: run.maxCalls, operations: run.maxOperations, ms: run.maxMs }
    this.totals.busyRuns++
    // Once around the ring.
    for (let toRead = this.#waiting.count; toRead > 0; ) {
      const { read, next, whole } = this.#readStretch()
      this.#position = next
      toRead -= read
      if (this.#work(read, nowMs, left) || whole) break
    }
    return units - left.units
  }

  /** A run without units only finds what is too old or was overtaken: in a large backlog a plan looks now and then. */
  #isWorthALook(nowMs: number): boolean {
    if (this.#waiting.count <= largeBacklog) return true
    if (nowMs < this.#nextLookMs) return false
    this.#nextLookMs = nowMs + lookEveryMs
    return true
  }

  /** Counts what still waits at the end as late by its age. */
  end(nowMs: number): void {
    for (let visitor = 0; visitor < this.#visitors.count; visitor++)
      if (this.#visitors.get(visitor, openRegisters) > 0) this.#caughtUp(visitor, nowMs)
  }

  /** How long the profile is behind that has been for longest; 0 without any. */
  longestOpenMs(nowMs: number): number {
    let longest = 0
    for (let visitor = 0; visitor < this.#visitors.count; visitor++)
      if (this.#visitors.get(visitor, openRegisters) > 0)
        longest = Math.max(longest, nowMs - this.#visitors.get(visitor, behindSinceMs))
    return longest
  }

  #readStretch() {
    let entries = 0
    const stretch = this.#waiting.stretch(this.#position, this.#stretch, (visitor) => {
      entries += this.#entries.get(visitor, 0)
      return entries >= this.#settings.run.entriesTogether
    })
    this.totals.lists += Math.max(1, Math.ceil(entries / keysPerList))
    return stretch
  }

  /** Works on a stretch, who has waited longest first. @returns whether the run must end */
  #work(read: number, nowMs: number, left: Left): boolean {
    for (let place = 0; place < read; place++)
      this.#keys[place] = orderKey(this.#waitsSinceMs.get(this.#stretch[place] ?? 0, 0), place)
    let refused = false
    for (let done = 0; done < read; ) {
      const rest = this.#keys.subarray(done, read)
      const wanted = Math.ceil((Math.min(left.units, left.calls, left.operations) + 1) / chunk) * chunk
      const together = Math.min(rest.length, wanted)
      leastFirst(rest, together)
      for (let at = 0; at < together; at++) {
        const became = this.#replay(this.#stretch[placeOf(rest[at] ?? 0)] ?? 0, nowMs, left)
        if (became === 'spent') return true
        refused ||= became === 'refused'
        if (refused && (at + 1) % chunk === 0) return true
      }
      done += together
    }
    return refused
  }

  /** @returns `refused` where there is no unit for this visitor, `spent` where the run ends before it */
  #replay(visitor: number, nowMs: number, left: Left): 'done' | 'refused' | 'spent' {
    const { run, retentionMs, callMs } = this.#settings
    const entries = this.#entries.get(visitor, 0)
    if (left.operations <= 0 || left.ms <= 0 || left.calls <= 0) return 'spent'
    if (this.#visitors.get(visitor, newestWaitMs) < nowMs - retentionMs) {
      this.totals.expired += entries
      this.#leave(visitor, entries)
      if (this.#visitors.get(visitor, behindSinceMs) !== 0) this.#caughtUp(visitor, nowMs)
      return 'done'
    }
    // What a live call has in flight waits for the next run.
    if (nowMs - this.#visitors.get(visitor, calledAtMs) < callMs) return 'done'
    const needsCall = this.#visitors.get(visitor, openRegisters) > 0
    if (needsCall) {
      if (left.units <= 0) return 'refused'
      left.units--
      left.calls--
      left.ms -= run.msPerCall
      this.totals.replayed++
      this.#visitors.set(visitor, replaySerial, ++this.#serial)
      this.#visitors.set(visitor, replayedAtMs, nowMs)
      this.#visitors.set(visitor, openRegisters, 0)
      this.#caughtUp(visitor, nowMs)
    }
    // What a run has no operations for stays, and the next one finds it delivered.
    const leaving = Math.min(entries, left.operations)
    left.operations -= leaving
    left.ms -= leaving * run.msPerEntry
    if (needsCall) this.totals.entriesReplayed += leaving
    else this.totals.superseded += leaving
    this.#leave(visitor, leaving)
    return 'done'
  }

  /** What a run has sent since of this register. */
  #noteReplay(register: number, visitor: number): void {
    const waited = this.#registers.get(register, waitSerial)
    const replayed = this.#visitors.get(visitor, replaySerial)
    if (waited > this.#registers.get(register, sentSerial) && waited < replayed) {
      this.#registers.set(register, sentSerial, waited)
      if (this.#settings.skipUnchanged) this.#values.set(register, sentValue, this.#values.get(register, waitValue))
      this.#registers.set(register, sentAtMs, this.#visitors.get(visitor, replayedAtMs))
    }
  }

  #isUnchanged(register: number, value: number, atMs: number): boolean {
    return (
      this.#settings.skipUnchanged &&
      value !== 0 &&
      this.#values.get(register, sentValue) === value &&
      this.#registers.get(register, sentAtMs) >= atMs - this.#settings.retentionMs
    )
  }

  #send(register: number, visitor: number, serial: number, value: number, atMs: number): void {
    this.#standsAt(register, visitor, serial)
    if (this.#settings.skipUnchanged) this.#values.set(register, sentValue, value)
    this.#registers.set(register, sentAtMs, atMs)
  }

  /** Whatever waits of it is older from now on. */
  #standsAt(register: number, visitor: number, serial: number): void {
    if (this.#isWaiting(register, visitor)) this.#visitors.add(visitor, openRegisters, -1)
    this.#registers.set(register, sentSerial, serial)
  }

  #isWaiting(register: number, visitor: number): boolean {
    const waited = this.#registers.get(register, waitSerial)
    return waited > this.#registers.get(register, sentSerial) && waited > this.#visitors.get(visitor, replaySerial)
  }

  #defer(register: number, visitor: number, serial: number, value: number, atMs: number): void {
    if (!this.#isWaiting(register, visitor)) {
      if (this.#visitors.get(visitor, openRegisters) === 0) this.#visitors.set(visitor, behindSinceMs, atMs)
      this.#visitors.add(visitor, openRegisters, 1)
    }
    this.#registers.set(register, waitSerial, serial)
    if (this.#settings.skipUnchanged) this.#values.set(register, waitValue, value)
  }

  #putEntry(visitor: number, atMs: number): void {
    if (this.#entries.get(visitor, 0) === 0) {
      this.#waiting.add(visitor)
      this.#waitsSinceMs.set(visitor, 0, atMs)
    }
    this.#entries.add(visitor, 0, 1)
    this.#visitors.set(visitor, newestWaitMs, atMs)
    this.#entriesWaiting++
  }

  #leave(visitor: number, entries: number): void {
    this.#entriesWaiting -= entries
    if (this.#entries.add(visitor, 0, -entries) === 0) this.#waiting.remove(visitor)
  }

  #caughtUp(visitor: number, atMs: number): void {
    this.delays.add(atMs - this.#visitors.get(visitor, behindSinceMs))
    this.#visitors.set(visitor, behindSinceMs, 0)
    this.#visitors.set(visitor, openRegisters, 0)
  }
}
