/**
 * The composition for Workers: settings, ledger, backlog, door, edge and flush are put together here and nowhere else.
 */
import { DurableObject } from 'cloudflare:workers'
import { kvBacklog } from './core/backlog/kv.ts'
import { createSeal } from './core/backlog/seal.ts'
import { withDeadline } from './core/ledger/deadline.ts'
import { newEpochMemory, type Testimony, type Witness, watchedLedger } from './core/ledger/epoch.ts'
import type { AdmitRequest, Counters, Ledger, Settlement } from './core/ledger/port.ts'
import { sqlLedger } from './core/ledger/sql.ts'
import { objectSqlite } from './core/ledger/sqlite-object.ts'
import { upstashLedger } from './core/ledger/upstash.ts'
import { kvWitness, sqlWitness } from './core/ledger/witness.ts'
import type { Lane, Stamp } from './core/update.ts'
import { createApp, createBrokenApp } from './edge/app.ts'
import { checkSources } from './edge/source.ts'
import { createRelay, type Relay } from './relay.ts'
import { log, randomBytes, systemClock, systemRandom } from './runtime.ts'
import { ledgerSettings, type ParsedSettings, parseSettings, type Settings } from './settings.ts'
import { sources } from './sources.ts'

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
    const settings = settingsOf(env)
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
  settle(settlements: readonly Settlement[], counts?: Counters) {
    return this.#ledger.settle(settlements, counts)
  }
  firstStamps(events: readonly { event: string; stamp: Stamp }[]) {
    return this.#ledger.firstStamps(events)
  }
  usage() {
    return this.#ledger.usage()
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
  pause(paused: boolean) {
    return this.#ledger.pause(paused)
  }
  erase(visitorHash: string) {
    return this.#ledger.erase(visitorHash)
  }
  restate(units: number) {
    return this.#ledger.restate(units)
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
    settle: (settlements, counts) => stub().settle(settlements, counts),
    firstStamps: (events) => stub().firstStamps(events),
    usage: () => stub().usage(),
    lease: (name, holder, ttlMs) => stub().lease(name, holder, ttlMs),
    release: (name, holder) => stub().release(name, holder),
    recall: (name) => stub().recall(name),
    remember: (name, value) => stub().remember(name, value),
    // The object holds itself against its witness whenever it starts.
    check: async () => {},
    pause: (paused) => stub().pause(paused),
    erase: (visitorHash) => stub().erase(visitorHash),
    restate: (units) => stub().restate(units),
  }
}

function redisLedger(settings: Settings & Required<Pick<Settings, 'upstash'>>, stub: () => Stub): Ledger {
  const store = upstashLedger({
    ...settings.upstash,
    settings: ledgerSettings(settings),
    timeoutMs: settings.ledgerTimeoutMs,
    randomHex: systemRandom.hex,
  })
  const witness: Witness = { read: () => stub().testimony(), replace: (seen, next) => stub().testify(seen, next) }
  return watchedLedger(store, { witness, memory: epochMemory, random: systemRandom, log })
}

/** What this isolate knows of the ledger's epoch; plain data, which may outlive a request. */
const epochMemory = newEpochMemory()

/** Parsed once in an isolate's life. */
const parsed = new WeakMap<object, ParsedSettings>()

function settingsOf(env: Env): ParsedSettings {
  const known = parsed.get(env) ?? withSources(parseSettings(env as unknown as Record<string, unknown>))
  parsed.set(env, known)
  return known
}

function withSources(given: ParsedSettings): ParsedSettings {
  const problems = given.ok ? checkSources(sources, { retentionMs: given.settings.retentionHours * 3_600_000 }) : []
  return problems.length === 0 ? given : { ok: false, problems }
}

async function compose(settings: Settings, env: Env, background: (work: Promise<unknown>) => void): Promise<Relay> {
  const stub = stubs(env.LEDGER)
  const { upstash } = settings
  const ledger = upstash === undefined ? objectLedger(stub) : redisLedger({ ...settings, upstash }, stub)
  return createRelay({
    settings,
    sources,
    ledger: withDeadline(ledger, settings.ledgerTimeoutMs, systemClock),
    backlog: kvBacklog(env.BACKLOG, { randomHex: systemRandom.hex, seal: await createSeal(settings.backlogKeys, randomBytes) }),
    clock: systemClock,
    random: systemRandom,
    fetch: (input, init) => fetch(input, init),
    background,
    log,
  })
}

export default {
  async fetch(request, env, ctx) {
    const parsed = settingsOf(env)
    if (!parsed.ok) return createBrokenApp(parsed.problems).fetch(request)
    const relay = await compose(parsed.settings, env, (work) => ctx.waitUntil(work))
    const answer = Promise.resolve(createApp({ ...relay, settings: parsed.settings, sources, clock: systemClock }).fetch(request))
    // From the start, so that a sender that hangs up cancels nothing.
    ctx.waitUntil(answer)
    return answer
  },

  async scheduled(controller, env, ctx) {
    // A run that failed is followed by the next one in a minute; a retry would only overlap it.
    controller.noRetry()
    const parsed = settingsOf(env)
    if (!parsed.ok) {
      log('settings', { problems: parsed.problems.join('; ') })
      return
    }
    const relay = await compose(parsed.settings, env, (work) => ctx.waitUntil(work))
    await relay.flush()
  },
} satisfies ExportedHandler<Env>
