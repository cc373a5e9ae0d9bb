/**
 * The object that holds the embedded ledger on Workers, and how the Worker calls it: both ends of the RPC.
 */
import { DurableObject } from 'cloudflare:workers'
import { errorName } from '../core/errors.ts'
import { newEpochMemory, type Testimony, type Witness, watchedLedger } from '../core/ledger/loss/epoch.ts'
import { kvWitness, sqlWitness } from '../core/ledger/loss/witness.ts'
import { delegated } from '../core/ledger/methods.ts'
import type { MovedState } from '../core/ledger/moved.ts'
import type { AdmitRequest, Counters, Leads, Ledger, Settlement } from '../core/ledger/port.ts'
import { sqlLedger } from '../core/ledger/sql/ledger.ts'
import { objectSqlite } from '../core/store/sqlite-object.ts'
import type { Lane, Stamp } from '../core/update/update.ts'
import { log, systemClock, systemRandom } from '../relay/runtime.ts'
import { ledgerSettings, parseSettings } from '../relay/settings.ts'
import type { BacklogObject } from './backlog-object.ts'
import type { FlushObject, Starters } from './flush-object.ts'

export interface Env {
  BACKLOG: KVNamespace
  LEDGER: DurableObjectNamespace<LedgerObject>
  /** For `BACKLOG_STORE=object`, and as long as anything waits there. */
  BACKLOG_OBJECT?: DurableObjectNamespace<BacklogObject>
  /** For `FLUSH_RUNS` above 1. */
  FLUSH_OBJECT?: DurableObjectNamespace<FlushObject>
}

/** The cron is silent once it did not come for so many of its intervals. */
const intervalsSilent = 3

/**
 * One object for the whole deployment, on SQLite: the embedded ledger, and the witness of the one in Redis. One thread,
 * and every method one storage transaction, so that each step is atomic.
 *
 * Its alarm is the second starter of the flush: every run of the cron puts it off, so that it only rings while the cron
 * is silent; then it starts a run at each interval, in the Worker, which makes the calls to the outside.
 * Known hole: an object that nobody has called since it was made has no alarm yet.
 */
export class LedgerObject extends DurableObject<Env> {
  readonly #ledger: Ledger
  readonly #witness: Witness
  /** How often the cron comes; 0: there is no second starter. */
  readonly #cronEveryMs: number

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    const settings = parseSettings(env as unknown as Record<string, unknown>)
    if (!settings.ok) throw new Error(`settings: ${settings.problems.join('; ')}`)
    this.#cronEveryMs = settings.settings.flushEveryMs
    const sql = objectSqlite(ctx.storage)
    this.#witness = sqlWitness(sql)
    this.#ledger = watchedLedger(sqlLedger(sql, ledgerSettings(settings.settings), systemClock), {
      witness: kvWitness(env.BACKLOG, { now: systemClock.now, randomHex: systemRandom.hex }),
      memory: newEpochMemory(),
      random: systemRandom,
      log,
    })
    // Before anything is admitted: an object that lost its storage starts here, and never without its constructor.
    if (settings.settings.upstash === undefined) void ctx.blockConcurrencyWhile(() => this.#ledger.check())
    void ctx.blockConcurrencyWhile(async () => {
      // A cron that never came is silent, too.
      if ((await ctx.storage.getAlarm()) === null) await this.cronCame()
    })
  }

  /** Puts the alarm off. */
  async cronCame(): Promise<void> {
    await (this.#cronEveryMs === 0
      ? this.ctx.storage.deleteAlarm()
      : this.ctx.storage.setAlarm(systemClock.now() + intervalsSilent * this.#cronEveryMs))
  }

  override async alarm(): Promise<void> {
    if (this.#cronEveryMs === 0) return
    const { FlushStarter } = this.ctx.exports as Starters
    log('cron_silent', { started: FlushStarter === undefined ? 'no' : 'yes' })
    // First: a run that dies must not be the last one.
    await this.ctx.storage.setAlarm(systemClock.now() + this.#cronEveryMs)
    await FlushStarter?.flush().catch((error: unknown) => log('flush_failed', { error: errorName(error) }))
  }

  // Spelled out: RPC finds only methods of the prototype. `Stub` says which there must be.
  admit(requests: readonly AdmitRequest[], lane: Lane) {
    return this.#ledger.admit(requests, lane)
  }
  cancel(requests: readonly AdmitRequest[]) {
    return this.#ledger.cancel(requests)
  }
  settle(settlements: readonly Settlement[], counts?: Counters, leads?: Leads) {
    return this.#ledger.settle(settlements, counts, leads)
  }
  firstStamps(events: readonly { event: string; stamp: Stamp }[]) {
    return this.#ledger.firstStamps(events)
  }
  summary() {
    return this.#ledger.summary()
  }
  usage() {
    return this.#ledger.usage()
  }
  series(fromMs: number) {
    return this.#ledger.series(fromMs)
  }
  look(fromMs: number, memos: readonly string[]) {
    return this.#ledger.look(fromMs, memos)
  }
  confirmClock() {
    return this.#ledger.confirmClock()
  }
  lease(name: string, holder: string, ttlMs: number) {
    return this.#ledger.lease(name, holder, ttlMs)
  }
  release(name: string, holder: string) {
    return this.#ledger.release(name, holder)
  }
  leaseAndRecall(name: string, holder: string, ttlMs: number, memos: readonly string[]) {
    return this.#ledger.leaseAndRecall(name, holder, ttlMs, memos)
  }
  rememberAndRelease(name: string, holder: string, memo: string, value: string) {
    return this.#ledger.rememberAndRelease(name, holder, memo, value)
  }
  recall(name: string) {
    return this.#ledger.recall(name)
  }
  recallAll(names: readonly string[]) {
    return this.#ledger.recallAll(names)
  }
  remember(name: string, value: string) {
    return this.#ledger.remember(name, value)
  }
  rememberFirst(name: string, value: string) {
    return this.#ledger.rememberFirst(name, value)
  }
  compareAndSet(name: string, before: string | undefined, value: string) {
    return this.#ledger.compareAndSet(name, before, value)
  }
  recordAct(act: string) {
    return this.#ledger.recordAct(act)
  }
  acts() {
    return this.#ledger.acts()
  }
  pause(paused: boolean) {
    return this.#ledger.pause(paused)
  }
  closeBreaker() {
    return this.#ledger.closeBreaker()
  }
  erase(visitorHash: string) {
    return this.#ledger.erase(visitorHash)
  }
  restate(units: number) {
    return this.#ledger.restate(units)
  }
  visitor(visitorHash: string) {
    return this.#ledger.visitor(visitorHash)
  }
  history(visitorHash: string) {
    return this.#ledger.history(visitorHash)
  }
  moveOut(cursor?: string) {
    return this.#ledger.moveOut(cursor)
  }
  moveIn(part: MovedState) {
    return this.#ledger.moveIn(part)
  }
  restored() {
    return this.#ledger.restored()
  }
  testimony() {
    return this.#witness.read()
  }
  testify(seen: Testimony | undefined, next: Testimony) {
    return this.#witness.replace(seen, next)
  }
}

export type Stub = Omit<Ledger, 'kind' | 'check'> & {
  testimony(): Promise<Testimony | undefined>
  testify(seen: Testimony | undefined, next: Testimony): Promise<Testimony>
  cronCame(): Promise<void>
}

/** A stub that saw a failure may stay broken: a new one for each call costs nothing. */
export function stubs(namespace: DurableObjectNamespace<LedgerObject>): () => Stub {
  return () => namespace.get(namespace.idFromName('ledger')) as unknown as Stub
}

/** The object's methods as the port; the deadline is the caller's. */
export function objectLedger(stub: () => Stub): Ledger {
  // The object checks itself against its witness whenever it starts.
  return { kind: 'embedded', ...delegated(stub), check: async () => {} }
}
