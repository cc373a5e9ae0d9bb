/** One isolate of the relay: the real edge, core and cron, with ports that are slow, fail, and end with it at any step. */
import { type Kv, kvBacklog } from '../../src/core/backlog/kv.ts'
import type { Seal } from '../../src/core/backlog/seal.ts'
import type { Clock, Random } from '../../src/core/clock.ts'
import { withDeadline } from '../../src/core/ledger/deadline.ts'
import { newEpochMemory, type Witness, watchedLedger } from '../../src/core/ledger/epoch.ts'
import type { LedgerStore } from '../../src/core/ledger/port.ts'
import type { FlushReport } from '../../src/cron/report.ts'
import { composeRelay } from '../../src/relay.ts'
import type { Settings } from '../../src/settings.ts'
import type { Coverage } from './coverage.ts'
import { type Outages, type Weather, within } from './faults.ts'
import type { Oracle } from './oracle.ts'
import { simulatedSources as sources } from './sources.ts'
import type { VirtualTime } from './time.ts'

export interface Shared {
  readonly time: VirtualTime
  readonly random: Random
  readonly oracle: Oracle
  readonly coverage: Coverage
  readonly store: LedgerStore
  readonly witness: Witness
  readonly kv: Kv
  readonly seal: Seal
  readonly fetch: typeof globalThis.fetch
  readonly weather: () => Weather
  readonly outages: () => Outages
  readonly settings: () => Settings
  readonly trace: (line: string) => void
}

export interface Isolate {
  readonly name: string
  readonly alive: () => boolean
  /** Undefined where the isolate died before it answered. */
  request(request: Request): Promise<Response | undefined>
  flush(): Promise<FlushReport | undefined>
  die(): void
}

const never = new Promise<never>(() => {})

export async function createIsolate(name: string, shared: Shared): Promise<Isolate> {
  const { time, random, oracle, coverage, store, witness } = shared
  let alive = true
  let ended = () => {}
  const death = new Promise<undefined>((resolve) => {
    ended = () => resolve(undefined)
  })
  const die = (where: string) => {
    if (!alive) return
    shared.trace(`${name} dies ${where}`)
    alive = false
    ended()
  }

  type StepKind = 'ledger step' | 'KV step' | 'call'
  /** A step to the outside: the isolate may end before it, or behind it without hearing of it. */
  async function step<T>(kind: StepKind, effect: () => Promise<T>): Promise<T> {
    if (!alive) return never
    if (random.fraction() < shared.weather().death) {
      const before = random.fraction() < 0.5
      coverage[`deaths ${before ? 'before' : 'after'} a ${kind}`]++
      if (!before) await effect().catch(() => undefined)
      die(`${before ? 'before' : 'after'} a ${kind}`)
      return never
    }
    try {
      const result = await effect()
      return alive ? result : never
    } catch (error) {
      if (!alive) return never
      throw error
    }
  }

  async function overNetwork<T>(effect: () => Promise<T>): Promise<T> {
    const slow = random.fraction() < shared.weather().ledgerSlow ? random.fraction() * 4_000 : 0
    await time.sleep(1 + random.fraction() * 10 + slow)
    if (within(shared.outages().ledger, time.nowMs)) {
      coverage['ledger outages']++
      if (random.fraction() < 0.5) return never
      throw new Error('ledger: unreachable')
    }
    const lost = random.fraction() < shared.weather().ledgerLost
    if (lost && random.fraction() < 0.5) return never
    const result = await effect()
    if (lost) {
      coverage['ledger answers lost']++
      return never
    }
    await time.sleep(1 + random.fraction() * 10)
    // Answers travel as JSON.
    return result === undefined ? result : (structuredClone(result) as T)
  }
  const ask = <T>(effect: () => Promise<T>) => step('ledger step', () => overNetwork(effect))

  const skewMs = Math.round((random.fraction() - 0.5) * 3_000)
  const clock: Clock = {
    now: () => Math.round(time.nowMs + skewMs),
    after: (ms) => {
      const { elapsed, cancel } = time.after(ms)
      return { elapsed: elapsed.then(() => (alive ? undefined : never)), cancel }
    },
  }
  const log = (event: string, details: object = {}) => {
    const line = JSON.stringify({ event, ...details })
    oracle.checkDiscreet('a log line', line)
    if (event === 'ledger_lost' || event === 'ledger_went_back') shared.trace(`${name} ${line}`)
  }
  const settings = shared.settings()
  const { kv } = shared
  const ledger = withDeadline(
    watchedLedger(
      {
        kind: 'embedded',
        admit: (...parts) => ask(() => store.admit(...parts)),
        settle: (...parts) => ask(() => store.settle(...parts)),
        firstStamps: (...parts) => ask(() => store.firstStamps(...parts)),
        summary: () => ask(() => store.summary()),
        usage: () => ask(() => store.usage()),
        confirmClock: () => ask(() => store.confirmClock()),
        // Now and then the lease fails to keep others out: nothing may rest on it.
        lease: async (...parts) => (await ask(() => store.lease(...parts))) || random.fraction() < 0.5,
        release: (...parts) => ask(() => store.release(...parts)),
        recall: (...parts) => ask(() => store.recall(...parts)),
        remember: (...parts) => ask(() => store.remember(...parts)),
        pause: (...parts) => ask(() => store.pause(...parts)),
        erase: (...parts) => ask(() => store.erase(...parts)),
        restate: (...parts) => ask(() => store.restate(...parts)),
        visitor: (...parts) => ask(() => store.visitor(...parts)),
        moveOut: (...parts) => ask(() => store.moveOut(...parts)),
        moveIn: (...parts) => ask(() => store.moveIn(...parts)),
        granted: (...parts) => ask(() => store.granted(...parts)),
        begin: (...parts) => ask(() => store.begin(...parts)),
        charge: (...parts) => ask(() => store.charge(...parts)),
      },
      {
        witness: {
          read: () => step('ledger step', () => witness.read()),
          replace: (...parts) => step('ledger step', () => witness.replace(...parts)),
        },
        memory: newEpochMemory(),
        random,
        log,
      },
    ),
    settings.ledgerTimeoutMs,
    clock,
  )
  const relay = await composeRelay({
    settings,
    sources,
    ledger,
    backlog: kvBacklog(
      {
        put: (...parts) => step('KV step', () => kv.put(...parts)),
        delete: (...parts) => step('KV step', () => kv.delete(...parts)),
        get: (...parts) => step('KV step', () => kv.get(...parts)),
        list: (...parts) => step('KV step', () => kv.list(...parts)),
      },
      { randomHex: random.hex, seal: shared.seal },
    ),
    clock,
    random,
    fetch: (...parts) => step('call', () => shared.fetch(...parts)),
    background: () => {},
    log,
  })

  return {
    name,
    alive: () => alive,
    request: async (request) => (alive ? Promise.race([Promise.resolve(relay.app.fetch(request)), death]) : undefined),
    flush: async () => (alive ? Promise.race([relay.flush(), death]) : undefined),
    die: () => die('in a deploy'),
  }
}
