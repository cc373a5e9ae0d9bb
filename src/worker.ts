/**
 * The composition for Workers: settings, ledger, backlog, door, edge and flush are put together here and nowhere else.
 */
import { DurableObject } from 'cloudflare:workers'
import { kvBacklog } from './core/backlog/kv.ts'
import { withDeadline } from './core/ledger/deadline.ts'
import type { AdmitRequest, Counters, Ledger, Settlement } from './core/ledger/port.ts'
import { sqlLedger } from './core/ledger/sql.ts'
import { objectSqlite } from './core/ledger/sqlite-object.ts'
import { upstashLedger } from './core/ledger/upstash.ts'
import type { Lane, Stamp } from './core/update.ts'
import { createApp, createBrokenApp } from './edge/app.ts'
import { createRelay, type Relay } from './relay.ts'
import { log, systemClock, systemRandom } from './runtime.ts'
import { ledgerSettings, parseSettings, type Settings } from './settings.ts'
import { sources } from './sources.ts'

export interface Env {
  BACKLOG: KVNamespace
  LEDGER: DurableObjectNamespace<LedgerObject>
}

/**
 * The embedded ledger: one SQLite object for the whole deployment. One thread, and every method one storage
 * transaction, so that each step is atomic.
 */
export class LedgerObject extends DurableObject<Env> {
  readonly #ledger: Ledger

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    const parsed = parseSettings(env as unknown as Record<string, unknown>)
    if (!parsed.ok) throw new Error(`settings: ${parsed.problems.join('; ')}`)
    this.#ledger = sqlLedger(objectSqlite(ctx.storage), ledgerSettings(parsed.settings), { now: () => Date.now() })
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
}

/** The object's methods as the port; the deadline is the caller's. */
function objectLedger(namespace: DurableObjectNamespace<LedgerObject>): Ledger {
  // A stub that saw a failure may stay broken: take a new one each time, it costs nothing.
  const stub = () => namespace.get(namespace.idFromName('ledger')) as unknown as Omit<Ledger, 'kind'>
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
  }
}

async function compose(settings: Settings, env: Env, background: (work: Promise<unknown>) => void): Promise<Relay> {
  const ledger =
    settings.upstash === undefined
      ? objectLedger(env.LEDGER)
      : upstashLedger({
          ...settings.upstash,
          settings: ledgerSettings(settings),
          timeoutMs: settings.ledgerTimeoutMs,
          randomHex: systemRandom.hex,
        })
  return createRelay({
    settings,
    ledger: withDeadline(ledger, settings.ledgerTimeoutMs, systemClock),
    backlog: kvBacklog(env.BACKLOG, { randomHex: systemRandom.hex }),
    clock: systemClock,
    random: systemRandom,
    fetch: (input, init) => fetch(input, init),
    background,
    log,
  })
}

export default {
  async fetch(request, env, ctx) {
    const parsed = parseSettings(env as unknown as Record<string, unknown>)
    if (!parsed.ok) return createBrokenApp(parsed.problems).fetch(request)
    const relay = await compose(parsed.settings, env, (work) => ctx.waitUntil(work))
    const answer = Promise.resolve(createApp({ ...relay, settings: parsed.settings, sources, now: systemClock.now }).fetch(request))
    // From the start, so that a sender that hangs up cancels nothing.
    ctx.waitUntil(answer)
    return answer
  },

  async scheduled(controller, env, ctx) {
    // A run that failed is followed by the next one in a minute; a retry would only overlap it.
    controller.noRetry()
    const parsed = parseSettings(env as unknown as Record<string, unknown>)
    if (!parsed.ok) {
      log('settings', { problems: parsed.problems.join('; ') })
      return
    }
    const relay = await compose(parsed.settings, env, (work) => ctx.waitUntil(work))
    await relay.flush()
  },
} satisfies ExportedHandler<Env>
