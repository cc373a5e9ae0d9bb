/**
 * The relay on Cloudflare Workers: the object that holds the embedded ledger, the storage that it and KV make, and the
 * handlers of a Worker.
 */
import { DurableObject } from 'cloudflare:workers'
import { kvBacklog } from '../core/backlog/kv.ts'
import { errorName } from '../core/errors.ts'
import { newEpochMemory, type Testimony, type Witness, watchedLedger } from '../core/ledger/loss/epoch.ts'
import { kvWitness, sqlWitness } from '../core/ledger/loss/witness.ts'
import type { AdmitRequest, Counters, Leads, Ledger, MovedState, Settlement } from '../core/ledger/port.ts'
import { sqlLedger } from '../core/ledger/sql/ledger.ts'
import { objectSqlite } from '../core/store/sqlite-object.ts'
import type { Lane, Stamp } from '../core/update/update.ts'
import { answerOf, createBrokenApp } from '../edge/app.ts'
import type { Source } from '../edge/source/source.ts'
import { newRelayMemory, type Relay } from '../relay/compose.ts'
import { createRelay, parseAll } from '../relay/create.ts'
import { log, systemClock, systemRandom } from '../relay/runtime.ts'
import { ledgerSettings, type ParsedSettings, parseSettings, type Settings } from '../relay/settings.ts'
import type { Storage } from '../relay/storage.ts'

export interface Env {
  BACKLOG: KVNamespace
  LEDGER: DurableObjectNamespace<LedgerObject>
}

/**
 * One object for the whole deployment, on SQLite: the embedded ledger, and the witness of the one in Redis. One thread,
 * and every method one storage transaction, so that each step is atomic.
 */
export class LedgerObject extends DurableObject<Env> {
  readonly #ledger: Ledger
  readonly #witness: Witness

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    const settings = parseSettings(env as unknown as Record<string, unknown>)
    if (!settings.ok) throw new Error(`settings: ${settings.problems.join('; ')}`)
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
  }

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
  confirmClock() {
    return this.#ledger.confirmClock()
  }
  lease(name: string, holder: string, ttlMs: number) {
    return this.#ledger.lease(name, holder, ttlMs)
  }
  release(name: string, holder: string) {
    return this.#ledger.release(name, holder)
  }
  recall(name: string) {
    return this.#ledger.recall(name)
  }
  remember(name: string, value: string) {
    return this.#ledger.remember(name, value)
  }
  rememberFirst(name: string, value: string) {
    return this.#ledger.rememberFirst(name, value)
  }
  pause(paused: boolean) {
    return this.#ledger.pause(paused)
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

type Stub = Omit<Ledger, 'kind' | 'check'> & {
  testimony(): Promise<Testimony | undefined>
  testify(seen: Testimony | undefined, next: Testimony): Promise<Testimony>
}

/** A stub that saw a failure may stay broken: take a new one each time, it costs nothing. */
function stubs(namespace: DurableObjectNamespace<LedgerObject>): () => Stub {
  return () => namespace.get(namespace.idFromName('ledger')) as unknown as Stub
}

/** The object's methods as the port; the deadline is the caller's. */
function objectLedger(stub: () => Stub): Ledger {
  return {
    kind: 'embedded',
    admit: (requests, lane) => stub().admit(requests, lane),
    cancel: (requests) => stub().cancel(requests),
    settle: (settlements, counts, leads) => stub().settle(settlements, counts, leads),
    firstStamps: (events) => stub().firstStamps(events),
    summary: () => stub().summary(),
    usage: () => stub().usage(),
    confirmClock: () => stub().confirmClock(),
    lease: (name, holder, ttlMs) => stub().lease(name, holder, ttlMs),
    release: (name, holder) => stub().release(name, holder),
    recall: (name) => stub().recall(name),
    remember: (name, value) => stub().remember(name, value),
    rememberFirst: (name, value) => stub().rememberFirst(name, value),
    // The object holds itself against its witness whenever it starts.
    check: async () => {},
    pause: (paused) => stub().pause(paused),
    erase: (visitorHash) => stub().erase(visitorHash),
    restate: (units) => stub().restate(units),
    visitor: (visitorHash) => stub().visitor(visitorHash),
    moveOut: (cursor) => stub().moveOut(cursor),
    moveIn: (part) => stub().moveIn(part),
    restored: () => stub().restored(),
  }
}

/** What this isolate knows of the ledger's epoch; plain data, which may outlive a request. */
const epochMemory = newEpochMemory()
const relayMemory = newRelayMemory()

/** What must outlive a request lies in KV and in the object. Asks for nothing until it is used. */
export function workersStorage(env: Env): Storage {
  const stub = stubs(env.LEDGER)
  return {
    embeddedLedger: () => objectLedger(stub),
    witness: { read: () => stub().testimony(), replace: (seen, next) => stub().testify(seen, next) },
    memory: epochMemory,
    relayMemory,
    backlog: (seal) => kvBacklog(env.BACKLOG, { randomHex: systemRandom.hex, seal }),
  }
}

/** The handlers of a Worker that is nothing but a relay. */
export function createWorker({
  sources,
}: {
  readonly sources: readonly Source[]
}): Required<Pick<ExportedHandler<Env>, 'fetch' | 'scheduled'>> {
  /** Parsed once in an isolate's life. */
  const parsed = new WeakMap<object, ParsedSettings>()
  const settingsOf = (env: Env): ParsedSettings => {
    const known = parsed.get(env) ?? parseAll(env as unknown as Record<string, unknown>, sources)
    parsed.set(env, known)
    return known
  }
  const open = (settings: Settings, env: Env, ctx: Pick<ExecutionContext, 'waitUntil'>): Promise<Relay> =>
    createRelay({ sources, settings, storage: workersStorage(env), background: (work) => ctx.waitUntil(work) })

  return {
    async fetch(request, env, ctx) {
      const given = settingsOf(env)
      if (!given.ok) return createBrokenApp(given.problems).fetch(request)
      const { app } = await open(given.settings, env, ctx)
      const answer = answerOf(app, request, log)
      // From the start, so that a sender that hangs up cancels nothing.
      ctx.waitUntil(answer)
      return answer
    },

    async scheduled(controller, env, ctx) {
      // A run that failed is followed by the next one in a minute; a retry would only overlap it.
      controller.noRetry()
      const given = settingsOf(env)
      if (!given.ok) {
        log('settings', { problems: given.problems.join('; ') })
        return
      }
      try {
        const relay = await open(given.settings, env, ctx)
        await relay.flush()
      } catch (error) {
        log('flush_failed', { error: errorName(error) })
      }
    },
  }
}
