/** One isolate of the relay: the real edge, core and cron, with ports that are slow, fail, or die with it at any step. */

import { kvBacklog } from '../../src/core/backlog/kv.ts'
import type { Backlog } from '../../src/core/backlog/port.ts'
import type { BacklogRows } from '../../src/core/backlog/rows.ts'
import { createSeal } from '../../src/core/backlog/seal.ts'
import { rowsBacklog } from '../../src/core/backlog/sqlite.ts'
import { twoStores } from '../../src/core/backlog/two-stores.ts'
import type { Clock, Random } from '../../src/core/clock.ts'
import { withDeadline } from '../../src/core/ledger/deadline.ts'
import { newEpochMemory, type Witness, watchedLedger } from '../../src/core/ledger/loss/epoch.ts'
import type { AdmitRequest, LedgerStore, Settlement } from '../../src/core/ledger/port.ts'
import type { Limits } from '../../src/core/limits.ts'
import type { PlanAsked } from '../../src/core/operator/dead/make-plan.ts'
import type { Plan } from '../../src/core/operator/dead/plan.ts'
import type { Erase } from '../../src/core/operator/erase.ts'
import type { Kv } from '../../src/core/store/kv.ts'
import type { Lane, Visitor } from '../../src/core/update/update.ts'
import type { FlushReport } from '../../src/cron/report.ts'
import type { Segment } from '../../src/cron/segments.ts'
import type { Source } from '../../src/edge/source/types.ts'
import { composeRelay } from '../../src/relay/compose.ts'
import type { Settings } from '../../src/relay/settings.ts'
import type { WrongClock } from './clocks.ts'
import type { Coverage } from './coverage.ts'
import { type Outages, type Weather, within } from './faults.ts'
import type { Oracle } from './oracle.ts'
import { type Cell, Invocation, interrupted, invocations, type RunPart } from './reach.ts'
import type { VirtualTime } from './time.ts'

export interface Shared {
  readonly time: VirtualTime
  readonly random: Random
  readonly oracle: Oracle
  readonly coverage: Coverage
  readonly reached: Set<Cell>
  /** All invocations of the night, to end them. */
  readonly invocations: Invocation[]
  readonly storeFor: (settings: Settings) => LedgerStore
  readonly witness: Witness
  readonly kv: Kv
  /** The object's rows, and where a new isolate keeps what is new; undefined where there is no object. */
  readonly rows: BacklogRows | undefined
  readonly keepsIn: () => 'kv' | 'object'
  /** `fetch` with a time-out. */
  readonly fetchFor: (timeoutMs: number) => typeof globalThis.fetch
  readonly weather: () => Weather
  readonly outages: () => Outages
  readonly settings: () => Settings
  readonly sources: readonly Source[]
  readonly limits: Limits
  /** Subrequests that the platform allows for each invocation. */
  readonly subrequests: number
  /** How long the isolate is suspended at this point, ms; undefined if it is not. */
  readonly suspension: () => number | undefined
  /** The wrong clock of a new isolate; undefined if its clock is right. */
  readonly clock: () => WrongClock | undefined
  /** Target's last answer about this visitor's attribute, if it was a no. */
  readonly lastNo: (
    visitorHash: string,
    name: string,
  ) => 'refused_together' | 'sent_turned_away' | 'sent_denied' | undefined
  /** Starts a run of this segment at some isolate. */
  readonly startRun: (segment: Segment, part: RunPart) => Promise<FlushReport>
  readonly trace: (line: string) => void
}

export interface Isolate {
  readonly name: string
  readonly settings: Settings
  readonly alive: () => boolean
  readonly asleep: () => boolean
  /** How far its clock is ahead of real time, ms. */
  readonly clockErrorMs: () => number
  /** Undefined if the isolate died before it answered. */
  request(request: Request): Promise<Response | undefined>
  flush(): Promise<FlushReport | undefined>
  /** One of several runs. */
  flushPart(segment: Segment, part: RunPart): Promise<FlushReport | undefined>
  /** What an operator is told. */
  status(): Promise<object | undefined>
  /** Goes on from `cursor`, the end of an incomplete erasure. */
  erase(visitor: Visitor, cursor?: string): Promise<Awaited<ReturnType<Erase>> | undefined>
  readonly dead: {
    plan(asked: PlanAsked): Promise<Plan | undefined>
    find(id: string): Promise<Plan | undefined>
    run(id: string): Promise<Plan | undefined>
    cancel(id: string): Promise<Plan | undefined>
  }
  die(): void
}

/** Cloudflare's limit for those that wait for an answer. */
const platformConnections = 6

export async function createIsolate(name: string, shared: Shared): Promise<Isolate> {
  const { time, random, oracle, coverage, witness } = shared
  const settings = shared.settings()
  const store = shared.storeFor(settings)
  const underWay = new Set<Invocation>()
  const laneOf = new Map<string, Lane>()
  let alive = true
  /** Its own: one for all would hold every isolate that ever awaited it. */
  const never = new Promise<never>(() => {})
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

  let suspendedUntilMs = 0
  /** Here the whole isolate may be suspended: its requests go on outside, and its timers fire when it wakes. */
  async function maySleep(): Promise<void> {
    const forMs = shared.suspension()
    if (forMs !== undefined) {
      coverage.suspensions++
      shared.trace(`${name} is suspended for ${forMs} ms`)
      suspendedUntilMs = Math.max(suspendedUntilMs, time.nowMs + forMs)
      for (const invocation of underWay) invocation.interrupted('suspended')
    }
    await awake()
  }
  async function awake(): Promise<void> {
    while (time.nowMs < suspendedUntilMs) await time.sleep(suspendedUntilMs - time.nowMs)
  }

  type StepKind = 'ledger step' | 'KV step' | 'call'
  /** A step outside the isolate, which may die before it, or after it without seeing its result. */
  async function step<T>(kind: StepKind, effect: () => Promise<T>): Promise<T> {
    // A call may be suspended while it connects.
    if (kind !== 'call') await maySleep()
    if (!alive) return never
    if (random.fraction() < shared.weather().death) {
      const when = random.fraction() < 0.5 ? 'before' : 'after'
      coverage[`deaths ${when} a ${kind}`]++
      if (when === 'after') await effect().catch(() => undefined)
      interrupted(`death ${when} a ${kind}`)
      die(`${when} a ${kind}`)
      return never
    }
    try {
      const result = await effect()
      await awake()
      return alive ? result : never
    } catch (error) {
      await awake()
      if (!alive) return never
      throw error
    }
  }

  /** Counts a subrequest as the platform does, and refuses it beyond the limit. */
  function counted<T>(message: string, effect: () => Promise<T>): Promise<T> {
    const invocation = invocations.getStore()
    if (invocation !== undefined && ++invocation.subrequests > shared.subrequests) {
      coverage['subrequests refused']++
      interrupted('too many subrequests')
      return Promise.reject(new Error(message))
    }
    return effect()
  }

  /** A Worker's invocation has six connections; what a run does beside each other is counted. */
  async function connected<T>(kind: 'call' | 'store', effect: () => Promise<T>): Promise<T> {
    const invocation = invocations.getStore()
    if (invocation?.isRun !== true) return effect()
    const { open } = invocation
    open[kind]++
    if (open.call + open.store > platformConnections) oracle.fail('G7: a run uses more connections than there are')
    if (open.call > 0 && open.store > 0) coverage['calls while a run cleans up']++
    try {
      return await effect()
    } finally {
      open[kind]--
    }
  }

  async function overNetwork<T>(effect: () => Promise<T>): Promise<T> {
    const slow = random.fraction() < shared.weather().ledgerSlow ? random.fraction() * 4_000 : 0
    if (slow > settings.ledgerTimeoutMs) interrupted('ledger slow')
    await time.sleep(1 + random.fraction() * 10 + slow)
    if (within(shared.outages().ledger, time.nowMs)) {
      coverage['ledger outages']++
      interrupted('ledger outage')
      if (random.fraction() < 0.5) return never
      throw new Error('ledger: unreachable')
    }
    const lost = random.fraction() < shared.weather().ledgerLost
    if (lost) interrupted('ledger answer lost')
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
  const wrong = shared.clock()
  const clockErrorMs = () => skewMs + (wrong?.errorMs() ?? 0)
  for (const atMs of wrong?.jumpsAtMs ?? [])
    time.at(atMs, () => {
      if (!alive) return
      coverage['clock jumps']++
      for (const invocation of underWay) invocation.interrupted('clock jump')
    })
  const clock: Clock = {
    now: () => Math.round(time.nowMs + clockErrorMs()),
    after: (ms) => {
      const { elapsed, cancel } = time.after(ms / (wrong?.rate ?? 1))
      return { elapsed: elapsed.then(awake).then(() => (alive ? undefined : never)), cancel }
    },
  }
  const log = (event: string, details: object = {}) => {
    const line = JSON.stringify({ event, ...details })
    oracle.checkDiscreet('a log line', line)
    if (event === 'ledger_returned') coverage['ledger was itself again']++
    if (event.startsWith('ledger_')) shared.trace(`${name} ${line}`)
  }
  const { kv } = shared
  /** Of runs that share the ring no two ask about one visitor. */
  const oneRunEach = ({ index, visitors }: RunPart, requests: readonly AdmitRequest[]) => {
    for (const { visitorHash } of requests) {
      const other = visitors.get(visitorHash) ?? index
      if (other !== index) oracle.fail(`G7: runs ${other} and ${index} of several ask about the same visitor`)
      visitors.set(visitorHash, index)
    }
  }
  const noteFates = (settlements: readonly Settlement[]) => {
    const invocation = invocations.getStore()
    for (const { token, visitorHash, attributes } of settlements)
      for (const { name: attribute, outcome } of attributes)
        invocation?.saw(
          'fate',
          outcome === 'unsent' ? (shared.lastNo(visitorHash, attribute) ?? 'unsent') : `sent_${outcome}`,
          laneOf.get(token) ?? 'replay',
        )
  }
  const ledger = withDeadline(
    watchedLedger(
      {
        kind: 'embedded',
        admit: (epoch, requests, lane) => {
          const invocation = invocations.getStore()
          invocation?.begin()
          if (invocation?.part !== undefined) oneRunEach(invocation.part, requests)
          if (invocation?.isRun === true && invocation.open.call + invocation.open.store > 0)
            coverage['admissions while a run calls or cleans up']++
          for (const { token } of requests) laneOf.set(token, lane)
          return ask(() => store.admit(epoch, requests, lane))
        },
        cancel: (...parts) => ask(() => store.cancel(...parts)),
        settle: (settlements, counts) => {
          noteFates(settlements)
          return ask(() => store.settle(settlements, counts))
        },
        firstStamps: (...parts) => ask(() => store.firstStamps(...parts)),
        summary: () => ask(() => store.summary()),
        usage: () => ask(() => store.usage()),
        series: (...parts) => ask(() => store.series(...parts)),
        look: (...parts) => ask(() => store.look(...parts)),
        confirmClock: () => ask(() => store.confirmClock()),
        // Now and then the lease fails to keep others out: nothing may depend on it.
        lease: async (...parts) => (await ask(() => store.lease(...parts))) || random.fraction() < 0.5,
        release: (...parts) => ask(() => store.release(...parts)),
        leaseAndRecall: async (...parts) => {
          const [, , , memos] = parts
          const texts = await ask(() => store.leaseAndRecall(...parts))
          return texts ?? (random.fraction() < 0.5 ? store.recallAll(memos) : undefined)
        },
        rememberAndRelease: (...parts) => ask(() => store.rememberAndRelease(...parts)),
        recall: (...parts) => ask(() => store.recall(...parts)),
        recallAll: (...parts) => ask(() => store.recallAll(...parts)),
        remember: (...parts) => ask(() => store.remember(...parts)),
        rememberFirst: (...parts) => ask(() => store.rememberFirst(...parts)),
        compareAndSet: (...parts) => ask(() => store.compareAndSet(...parts)),
        pause: (...parts) => ask(() => store.pause(...parts)),
        closeBreaker: () => ask(() => store.closeBreaker()),
        recordAct: (...parts) => ask(() => store.recordAct(...parts)),
        acts: () => ask(() => store.acts()),
        erase: (...parts) => ask(() => store.erase(...parts)),
        restate: (...parts) => ask(() => store.restate(...parts)),
        visitor: (...parts) => ask(() => store.visitor(...parts)),
        history: (...parts) => ask(() => store.history(...parts)),
        moveOut: (...parts) => ask(() => store.moveOut(...parts)),
        moveIn: (...parts) => ask(() => store.moveIn(...parts)),
        life: (...parts) => ask(() => store.life(...parts)),
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
    { background: () => {}, log },
  )
  const seal = await createSeal(settings.backlogKeys, (bytes) => Uint8Array.from(Buffer.from(random.hex(bytes), 'hex')))
  const tooManyKv = 'Too many API requests by single Worker invocation.'
  const onKv = <T>(effect: () => Promise<T>) =>
    counted(tooManyKv, () => connected('store', () => step('KV step', effect)))
  const fetch = shared.fetchFor(settings.targetTimeoutMs)
  /** A body is read once the connection is established; with a GET nothing checks the clock at that point. */
  const connectAndSend: typeof globalThis.fetch = async (input, init) => {
    if (!(init?.body instanceof ReadableStream)) return fetch(input, init)
    const reader = init.body.getReader()
    const { value: first } = await reader.read()
    await maySleep()
    if (!alive) return never
    init.signal?.throwIfAborted()
    const { value: rest } = await reader.read()
    return fetch(input, { ...init, body: Buffer.concat([first, rest] as Uint8Array[]).toString() })
  }
  const bounds = { limits: shared.limits }
  const backlogParts = { randomHex: random.hex, seal, ...bounds }
  const inKv = kvBacklog(
    {
      put: (...parts) => onKv(() => kv.put(...parts)),
      delete: (...parts) => onKv(() => kv.delete(...parts)),
      get: (...parts) => onKv(() => kv.get(...parts)),
      list: (...parts) => onKv(() => kv.list(...parts)),
    },
    backlogParts,
  )
  const backlog = shared.rows === undefined ? inKv : movingBacklog(shared.rows)
  const relay = await composeRelay({
    settings,
    sources: shared.sources,
    ledger,
    backlog,
    clock,
    random,
    fetch: (...parts) =>
      counted('Too many subrequests by single Worker invocation.', () =>
        connected('call', () => step('call', () => connectAndSend(...parts))),
      ),
    streamBody: true,
    startRun,
    background: () => {},
    log,
    ...bounds,
  })

  function movingBacklog(rows: BacklogRows): Backlog {
    const reached = Object.fromEntries(
      Object.entries(rows).map(([method, ask]) => [
        method,
        (...asked: never[]) =>
          counted(tooManyKv, () => step('KV step', () => (ask as (...asked: never[]) => Promise<unknown>)(...asked))),
      ]),
    ) as unknown as BacklogRows
    const inObject = rowsBacklog(reached, backlogParts)
    const keepsIn = shared.keepsIn()
    coverage[keepsIn === 'object' ? 'isolates on the object' : 'isolates on KV beside the object']++
    const sides = { kv: inKv, sql: inObject, keepsIn: keepsIn === 'object' ? 'sql' : 'kv' } as const
    return twoStores({ ...sides, now: clock.now, memory: {} })
  }

  async function startRun(segment: Segment): Promise<FlushReport> {
    const invocation = invocations.getStore()
    if (invocation === undefined) throw new Error('a run that is no invocation starts others')
    if (invocation.part === undefined) coverage['runs that started others']++
    invocation.part ??= { index: 0, visitors: new Map() }
    const started = shared.startRun(segment, { index: segment.index, visitors: invocation.part.visitors })
    const [report] = await Promise.allSettled([started])
    await awake()
    if (!alive) return never
    if (report.status === 'rejected') throw report.reason
    return report.value
  }

  /** Undefined if the isolate dies first. */
  async function invoke<T>(work: () => Promise<T>, isRun = false, part?: RunPart): Promise<T | undefined> {
    if (!alive) return undefined
    const invocation = new Invocation(shared.reached, isRun, part)
    shared.invocations.push(invocation)
    underWay.add(invocation)
    try {
      return await Promise.race([invocations.run(invocation, work), death])
    } finally {
      underWay.delete(invocation)
    }
  }

  return {
    name,
    settings,
    alive: () => alive,
    asleep: () => time.nowMs < suspendedUntilMs,
    clockErrorMs,
    request: (request) => invoke(async () => relay.app.fetch(request)),
    flush: () => invoke(() => relay.flush(), true),
    flushPart: (segment, part) => invoke(() => relay.flushPart(segment), true, part),
    status: () => invoke(() => relay.operator.status()),
    erase: (visitor, cursor) => invoke(() => relay.operator.erase(visitor, cursor)),
    dead: {
      plan: (asked) => invoke(() => relay.operator.dead.plan(asked)),
      find: (id) => invoke(() => relay.operator.dead.findPlan(id)),
      run: (id) => invoke(() => relay.operator.dead.run(id)),
      cancel: (id) => invoke(() => relay.operator.dead.cancel(id)),
    },
    die: () => {
      for (const invocation of underWay) invocation.interrupted('deploy')
      die('in a deploy')
    },
  }
}
