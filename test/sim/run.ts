/** One run of the simulator, which its seed determines completely. */
import { DatabaseSync } from 'node:sqlite'
import { isDeadKey, unpackDead, unpackEntry } from '../../src/core/backlog/entry-format.ts'
import { createSeal, type Seal } from '../../src/core/backlog/seal.ts'
import { newEpochMemory, watchedLedger } from '../../src/core/ledger/loss/epoch.ts'
import type { Admission, AdmitRequest, LedgerStore } from '../../src/core/ledger/port.ts'
import { lateMs } from '../../src/core/ledger/rules/in-flight.ts'
import { sqlLedger } from '../../src/core/ledger/sql/ledger.ts'
import { defaultLimits } from '../../src/core/limits.ts'
import { createPlans } from '../../src/core/operator/dead/plan.ts'
import { nodeSqlite } from '../../src/core/store/sqlite-node.ts'
import { createHasher } from '../../src/core/update/hash.ts'
import type { Visitor } from '../../src/core/update/update.ts'
import type { StatusAnswer } from '../../src/edge/contract/status.ts'
import { ledgerSettings, type Settings } from '../../src/relay/settings.ts'
import { seededRandom } from '../support/clock.ts'
import { memoryWitness } from '../support/ledger.ts'
import { ringKey } from '../support/seal.ts'
import { testSecrets } from '../support/secrets.ts'
import { putState, takeState } from '../support/sqlite-state.ts'
import { anyErrors, ledgerClocks, type WrongClock, wrongClock } from './clocks.ts'
import { type Coverage, noCoverage } from './coverage.ts'
import { forgetHashes, valuesHashedAs } from './crypto.ts'
import { between, type DrawOptions, magnitude, type Night, nightOf, pick } from './draws.ts'
import { type Outages, outagesOf, type Weather, weatherOf } from './faults.ts'
import { createIsolate, type Isolate, type Shared } from './isolate.ts'
import { bulkToken, firstKnobs, highToken, type Knobs, knobNames, limitsOf, settingsOf, turned } from './knobs.ts'
import { simulatedKv } from './kv.ts'
import { Oracle } from './oracle.ts'
import { planAndRun } from './plans.ts'
import { type Cell, type Invocation, interrupted, invocations } from './reach.ts'
import { simulatedRows } from './rows.ts'
import { simulatedSources } from './sources.ts'
import { poisonMark, refusedMark, simulatedTarget } from './target.ts'
import { VirtualTime } from './time.ts'
import { drawTraffic, type Traffic } from './traffic.ts'

export interface RunResult {
  readonly seed: number
  readonly coverage: Coverage
  readonly reached: readonly Cell[]
  readonly violation?: string
  readonly trace: readonly string[]
}

export interface RunOptions extends DrawOptions {
  readonly traced?: boolean
}

const startMs = 1_790_000_000_000
const clear: Outages = { ledger: [], kv: [], target: [], paused: [] }
const calm: Weather = {
  gentle: true,
  death: 0,
  ledgerSlow: 0,
  ledgerLost: 0,
  kvSlow: 0,
  kvFail: 0,
  kvStaleMs: 0,
  target: { fail: 0, throttle: 0, hang: 0, reset: 0, late: 0, disbelieve: 0 },
}
const isolateCount = 3
const minuteMs = 60_000
const hourMs = 60 * minuteMs
/**
 * Runs in which all must have been counted right: each has only a few operations for it. A count of dead letters that is
 * under way ends first, and the next one is due after 15 minutes.
 */
const censusRuns = 60
/** After the last fault everything must have drained within this. */
const drainMs = 3 * hourMs
/** How long, at most, some isolates have the old settings while others have the new ones. */
const sideBySideMs = minuteMs
/** The limits of Cloudflare's Free plan, and smaller ones. */
const subrequests = [40, 60] as const

export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const coverage = noCoverage()
  const trace: string[] = []
  const reached = new Set<Cell>()
  const traced = options.traced === true
  forgetHashes()
  try {
    await simulate({ seed, options, coverage, reached, traced, note: (line) => trace.push(line) })
    return { seed, coverage, reached: [...reached], trace }
  } catch (error) {
    return {
      seed,
      coverage,
      reached: [...reached],
      trace,
      violation:
        error instanceof Error
          ? error.name === 'Violation'
            ? error.message
            : (error.stack ?? error.message)
          : String(error),
    }
  }
}

interface Simulation {
  readonly seed: number
  readonly options: RunOptions
  readonly coverage: Coverage
  readonly reached: Set<Cell>
  readonly traced: boolean
  readonly note: (line: string) => void
}

async function simulate({ seed, options, coverage, reached, traced, note }: Simulation): Promise<void> {
  const random = seededRandom(seed)
  const time = new VirtualTime(startMs)
  const oracle = new Oracle()
  const trace = (line: string) => {
    if (traced) note(`${((time.nowMs - startMs) / 1_000).toFixed(3)} ${line}`)
  }
  let weather = weatherOf(random)
  const { gentle } = weather
  const night = nightOf(seed, gentle, options)
  const traffic: Traffic = drawTraffic(random, startMs, !gentle, night)
  const endMs = startMs + traffic.lengthMs
  let outages = outagesOf(random, startMs, traffic.lengthMs, gentle)
  const windowMs = 120_000
  const quotaLimit = 10 + Math.floor(random.fraction() * 60)
  const method = random.fraction() < 0.8 ? 'post' : 'auto'
  oracle.plant(
    ...Object.values(testSecrets)
      .map(String)
      .filter((secret) => secret.length < 80),
    testSecrets.hook('kiosk'),
    testSecrets.hook('sign-up'),
    highToken,
    bulkToken,
  )

  const database = new DatabaseSync(':memory:')
  const sealed = random.fraction() < 0.5
  let knobs = firstKnobs(night, { quotaLimit, windowMs, method, sealed })
  let settings = settingsOf(knobs)
  const limits = limitsOf(night)
  oracle.promise(settings.quotaLimit, settings.quotaWindowMs, startMs)
  trace(`night: ${JSON.stringify({ weather, outages, env: { ...knobs.env, ...knobs.beyond }, limits })}`)

  const failedFor = (hash: string) => [...oracle.failedFor].some((visitor) => hashOf.get(visitor) === hash)
  const hashOf = await visitorHashes(new Set(traffic.visitors()))
  const refused = night.has('refused visitor') ? refusedVisitor(night, traffic.visitors(), hashOf, oracle) : undefined
  let toBeConfirmed = false
  const ledgerClock = night.has('ledger clock')
    ? ledgerClocks(night.random('ledger clock'), time, endMs, night.has('knobs'))
    : undefined
  oracle.ledgerClockIsRight = ledgerClock === undefined
  for (const atMs of ledgerClock?.clock.jumpsAtMs ?? [])
    time.at(atMs, () => {
      coverage['jumps of the ledger clock']++
      trace(`the clock of the ledger jumps to ${ledgerClock?.clock.errorMs()}`)
      for (const invocation of shared.invocations) invocation.interrupted('clock jump')
    })
  if (ledgerClock?.confirmedAtMs !== undefined)
    time.at(ledgerClock.confirmedAtMs, () => {
      trace('an operator confirms the clock')
      coverage['clocks confirmed']++
      void storeOf(settings).confirmClock()
      // The jump only shows from the first call on (storeOf).
      toBeConfirmed ||= oracle.callsMs.length === 0
    })

  const opener = await createSeal(
    ['k', 'n', 'z'].map((id) => ringKey(id)),
    () => new Uint8Array(12),
  )
  const lastNo = new Map<string, 'refused_together' | 'sent_turned_away' | 'sent_denied'>()
  const parts = { time, random, oracle, coverage, trace, weather: () => weather, outages: () => outages }
  const sicknesses = [
    ...(night.has('sick key') ? (['fails', 'fails'] as const) : []),
    ...(night.has('slow key') ? (['slow'] as const) : []),
  ]
  const keptValues = async (key: string, value: string, metadata: unknown) => {
    const values = await valuesIn(opener, key, value, metadata)
    // An update on which Target fails each time waits until it expires.
    if (isDeadKey(key) && !values.some((one) => one.includes(poisonMark)))
      lastReasons.push(await reasonIn(opener, key, value))
    return values
  }
  const object = night.has('object store') ? night.random('object store') : undefined
  const rows = object && simulatedRows({ ...parts, valuesIn: keptValues })
  const isMoving = object !== undefined && object.fraction() < 0.7
  /** In each store; an entry is in one of them. */
  const keysIn = (prefix: string): readonly (readonly string[])[] => [kv.keys(prefix), rows?.keysOf(prefix) ?? []]
  const countOf = (...prefixes: readonly string[]) => prefixes.flatMap(keysIn).flat().length
  const kv = simulatedKv({
    ...parts,
    valuesIn: keptValues,
    bytesPerRead: limits === defaultLimits ? 25_000_000 : Math.floor(limits.bytesPerRead * 1.25),
    sickens: () => (night.random('sick key').fraction() < 0.4 ? undefined : sicknesses.shift()),
  })
  /** The reasons of dead letters, newest last. */
  const lastReasons: string[] = []
  const stores = new Map<string, LedgerStore>()
  /** Whether one ledger serves all settings, as the object does; otherwise each has its own, like processes on one file. */
  const oneObject = night.has('knobs') && night.random('knobs').fraction() < 0.5
  const wrongClocks: WrongClock[] = []
  let weatherIsClear = false

  // If its clock stopped as well, nobody knows that it was suspended (a known hole).
  const suspended =
    night.has('suspended') && !night.has('clocks') && ledgerClock?.machine !== true
      ? night.random('suspended')
      : undefined
  const oftenSuspended = suspended === undefined ? 0 : magnitude(suspended, 1, 30) / 1_000

  const witness = memoryWitness()
  const shared: Shared = {
    ...parts,
    reached,
    invocations: [],
    storeFor: (own) => (oneObject ? movingStore(() => storeOf(settings)) : storeOf(own)),
    witness,
    kv,
    rows,
    keepsIn: () => (isMoving && object.fraction() < 0.5 ? 'kv' : 'object'),
    fetchFor: (timeoutMs) =>
      simulatedTarget({
        ...parts,
        timeoutMs,
        lateMs,
        traced,
        denies: night.has('denials'),
        saidNo: (visitor, names, how) => {
          for (const name of names) {
            const key = `${hashOf.get(visitor)} ${name}`
            if (how === undefined) lastNo.delete(key)
            else lastNo.set(key, how)
          }
        },
      }),
    settings: () => settings,
    sources: simulatedSources(night),
    limits,
    subrequests: night.has('subrequests')
      ? between(night.random('subrequests'), ...subrequests)
      : Number.POSITIVE_INFINITY,
    suspension: () => {
      if (suspended === undefined || weatherIsClear || suspended.fraction() > oftenSuspended) return undefined
      return magnitude(suspended, 500, 30 * minuteMs)
    },
    clock: () => {
      if (ledgerClock?.machine === true) return ledgerClock.clock
      if (!night.has('clocks') || weatherIsClear || night.random('clocks').fraction() < 0.5) return undefined
      const clock = wrongClock(night.random('clocks'), time, endMs, anyErrors)
      wrongClocks.push(clock)
      return clock
    },
    startRun: async (segment, part) => {
      coverage['runs of a segment']++
      // Some die before they begin.
      const begins = weatherIsClear || night.random('segments').fraction() < 0.85
      const isolate = await anIsolate()
      const report = begins ? await isolate.flushPart(segment, part) : undefined
      trace(`run of segment ${segment.index} at ${isolate.name} ${JSON.stringify(report)}`)
      if (report?.stopped === 'leased') coverage['segments that were taken']++
      if (report !== undefined) return report
      coverage['runs of a segment that died']++
      // Whoever waits for it may not hear of it.
      if (night.random('segments').fraction() < 0.7) throw new Error('the run died')
      coverage['runs of a segment that hung']++
      return new Promise(() => {})
    },
    lastNo: (hash, name) => lastNo.get(`${hash} ${name}`),
  }

  // A process opens its file when it starts.
  storeOf(settings)

  const isolates: (Isolate | undefined)[] = []
  /** Includes those that are suspended and no longer get requests. */
  const born: Isolate[] = []
  const living = () => born.filter((isolate) => isolate.alive())
  const restart = () => {
    for (const isolate of living()) isolate.die()
  }
  const anIsolate = async (): Promise<Isolate> => {
    const index = Math.floor(random.fraction() * isolateCount)
    const held = isolates[index]
    if (held?.alive() === true && !held.asleep()) return held
    const fresh = await createIsolate(`isolate ${born.length + 1}`, shared)
    isolates[index] = fresh
    born.push(fresh)
    return fresh
  }
  const orViolation = (error: unknown) => {
    if (oracle.violations.length === 0)
      oracle.violations.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
  }
  const world = { time, random, oracle, coverage, trace, gentle, isolate: anIsolate }
  for (const sender of traffic.senders) time.at(sender.atMs, () => void sender.run(world).catch(orViolation))

  /** Plans that were run and are not known to be over. */
  const plansAtWork = new Set<string>()
  let running = 0
  const cron = async () => {
    const isolate = await anIsolate()
    if (running > 0) coverage['overlapping flushes']++
    running++
    coverage.flushes++
    const report = await isolate.flush()
    running--
    if (report === undefined) return
    trace(`flush at ${isolate.name} ${JSON.stringify(report)}`)
    coverage.merges += report.merged
    if (report.stopped === 'operations') coverage['runs out of operations']++
    if (report.platformOperations !== undefined || report.platformCalls !== undefined)
      coverage['runs that know what the platform allows']++
    if (report.stopped === 'time') coverage['runs out of time']++
    if (report.stopped === 'part_left') coverage['parts left behind']++
    if (report.unreadable > 0) coverage['entries that nobody can read'] += report.unreadable
  }
  const minutely = () => {
    void cron().catch(orViolation)
    // The cron fires twice, or an operator is impatient.
    if (random.fraction() < 0.2) time.at(time.nowMs + random.fraction() * 2_000, () => void cron().catch(orViolation))
  }
  for (let atMs = startMs + minuteMs; atMs <= endMs; atMs += minuteMs)
    if (gentle || random.fraction() > 0.1) time.at(atMs, minutely)

  if (!gentle && random.fraction() < 0.3)
    time.at(startMs + random.fraction() * traffic.lengthMs, () => {
      coverage.deploys++
      if (random.fraction() < 0.3)
        deploy({
          ...knobs,
          env: { ...knobs.env, TARGET_METHOD: knobs.env['TARGET_METHOD'] === 'post' ? 'auto' : 'post' },
        })
      restart()
    })
  // A ledger that loses its state while its clock is wrong unnoticed can't know when that was (a known hole).
  if (!gentle && random.fraction() < 0.12 && ledgerClock === undefined) loseLedger()
  // An erasure that another ledger recorded must be repeated (a known hole).
  else if (night.has('another ledger') && ledgerClock === undefined && !night.has('erase')) mistakeLedger()
  // So must one that was made after the backup.
  else if (night.has('restored backup') && ledgerClock === undefined && !night.has('erase')) restoreBackup()
  for (const { fromMs, toMs } of outages.paused) {
    time.at(fromMs, () => void storeOf(settings).pause(true))
    time.at(toMs, () => void storeOf(settings).pause(false))
  }
  if (night.has('knobs')) turnKnobs(night)
  if (night.has('garbage')) plantGarbage(night)
  if (night.has('erase')) eraseSomebody(night)
  if (night.has('plans')) planLetters(night)

  await runUntil(endMs)
  // The faults end: what is left must drain (G7).
  weather = calm
  outages = clear
  weatherIsClear = true
  for (const clock of [...wrongClocks, ...(ledgerClock === undefined ? [] : [ledgerClock.clock])]) clock.heal()
  if (toBeConfirmed) {
    trace('an operator confirms the clock once more')
    await storeOf(settings).confirmClock()
  }
  if (night.has('census')) await compareCensus()
  await storeOf(settings).pause(false)
  // An update on which Target fails each time waits for its whole retention.
  if (settings.retentionHours > 2) oracle.excuseHolders(poisonMark)
  if (night.has('plans')) await endPlans()
  const giveUpMs = Math.max(endMs, night.has('plans') ? time.nowMs : 0) + drainMs
  await drain(giveUpMs)
  // Losers of a merge whose winner expires follow one per run.
  const aheadUntilMs = oracle.aheadUntilMs() + 12 * hourMs
  if (oracle.inBacklog() > 0 && aheadUntilMs > time.nowMs) {
    trace(`what is ahead waits until ${aheadUntilMs - startMs}`)
    await drain(aheadUntilMs)
  }
  // Once no other updates arrive, a visitor that is refused each time looks like a refusal of all: no verdict (health.ts).
  if ((await storeOf(settings).usage()).health.breaker?.cause === 'systemic') oracle.excuseHolders(refusedMark)
  if (oracle.inBacklog() > 0 && settings.retentionHours > 2) {
    // An entry that waits for a newer attempt whose outcome stays unknown expires; nothing else may.
    lastReasons.length = 0
    await drain(endMs + (settings.retentionHours + 24) * hourMs)
    // Nothing is lost by waiting: a delayed one, taken in by a clock that was ahead, may be of before the night's loss.
    const other = lastReasons.find((reason) => reason !== 'overtaken_unconfirmed' && reason !== 'ledger_lost')
    if (other !== undefined) oracle.fail(`G7: after the last fault something waited until it was ${other}`)
  }
  if (oracle.inBacklog() > 0)
    oracle.fail(`G7: ${oracle.inBacklog()} entries are left ${drainMs / minuteMs} minutes after the last fault`)
  if (night.has('knobs') && settings.retentionHours > 1) await comeLate()
  oracle.checkAllKept()
  for (const [visitor, hash] of hashOf) oracle.checkHistory(visitor, await storeOf(settings).history(hash))
  coverage['windows checked'] += oracle.checkQuota()
  coverage['dead letters'] += oracle.inDeadLetters()
  if (gentle && options.only === undefined)
    for (const value of traffic.values())
      if (oracle.timesSent(value) > 1)
        oracle.fail(`G4: a value was sent ${oracle.timesSent(value)} times although nothing failed`)
  for (const table of tablesOf(database))
    oracle.checkDiscreet(`the ledger's ${table}`, JSON.stringify(database.prepare(`SELECT * FROM ${table}`).all()))
  database.close()
  for (const invocation of shared.invocations as Invocation[]) invocation.end()

  async function drain(untilMs: number): Promise<void> {
    const thorough = (['tiny budgets', 'tiny limits', 'segments', 'subrequests'] as const).some((draw) =>
      night.has(draw),
    )
    while (time.nowMs < untilMs && (oracle.inBacklog() > 0 || time.nowMs < endMs + 3 * minuteMs)) {
      time.at(time.nowMs, () => void cron().catch(orViolation))
      const early = time.nowMs < endMs + 20 * minuteMs || (thorough && time.nowMs < giveUpMs)
      await runUntil(time.nowMs + (early ? minuteMs : time.nowMs < giveUpMs ? 5 * minuteMs : 30 * minuteMs))
    }
  }

  /** While nothing comes and goes, an operator is told what is really there (G9). */
  async function compareCensus(): Promise<void> {
    const before = knobs
    const flushMaxOps = between(night.random('census'), 20, 80)
    if (night.has('tiny limits')) deploy({ ...knobs, beyond: { ...knobs.beyond, flushMaxOps, flushLearnsOps: false } })
    restart()
    await storeOf(settings).pause(true)
    // What the last isolates do, and until lists show it.
    await runUntil(time.nowMs + 3 * minuteMs)
    let told = ''
    let seen = ''
    /** The last one: a run that reads slow keys takes longer than until the next comparison. */
    let answer: StatusAnswer | undefined
    for (let runs = 0; runs < censusRuns; runs++) {
      void (async () => {
        await cron()
        answer = (await (await anIsolate()).status()) as StatusAnswer
      })().catch((error: unknown) => trace(`no status: ${String(error)}`))
      await runUntil(time.nowMs + 2 * minuteMs)
      const waiting = keysIn('b1/').flat()
      const dead = countOf('d1/', 'd2/')
      const visitors = new Set(waiting.map((key) => key.split('/')[1])).size
      const there = JSON.stringify([waiting.length, visitors, waiting.length, waiting.length, dead, dead, true])
      // What expires meanwhile is set aside behind a count that is under way: the next one begins anew.
      if (there !== seen) runs = 0
      seen = there
      const { backlog, dead: letters } = answer ?? {}
      const sum = (counts: Readonly<Record<string, number>> = {}) => Object.values(counts).reduce((a, b) => a + b, 0)
      told = JSON.stringify([
        backlog?.waiting,
        backlog?.visitors,
        sum(backlog?.bySource),
        sum(backlog?.byReason),
        letters?.count,
        sum(letters?.bySource),
        backlog?.complete,
      ])
      if (told === there) {
        coverage['censuses compared']++
        coverage['entries counted'] += waiting.length
        coverage['runs of a census'] += runs + 1
        deploy(before)
        restart()
        return
      }
      trace(`the census says ${told}, there is ${there}`)
    }
    oracle.fail(
      `G9: ${censusRuns} runs without a change, and an operator is told ${told}, but there is ${JSON.stringify([countOf('b1/'), countOf('d1/', 'd2/')])}`,
    )
  }

  async function runUntil(untilMs: number): Promise<void> {
    for (let atMs = time.nowMs; atMs < untilMs; ) {
      atMs = Math.min(untilMs, atMs + 5_000)
      await time.run(atMs)
      const [violation] = oracle.violations
      if (violation !== undefined) throw Object.assign(new Error(violation), { name: 'Violation' })
    }
  }

  function noteSkipped(request: AdmitRequest | undefined, admission: Extract<Admission, { readonly event: 'open' }>) {
    for (const [index, { stamp, hash = '' }] of (request?.attributes ?? []).entries()) {
      if (admission.verdicts[index] !== 'unchanged') continue
      coverage['values skipped as unchanged']++
      const timeMs = Number((admission.firstStamp ?? stamp).slice(1, 14))
      oracle.skipped(valuesHashedAs(hash), timeMs, time.nowMs)
    }
  }

  /** The watched ledger with these settings, opened when the first isolate with them starts. */
  function storeOf(own: Settings): LedgerStore {
    const rules = ledgerSettings(own)
    const name = JSON.stringify(rules)
    const opened = stores.get(name)
    if (opened !== undefined) return opened
    // It takes the clock for right unless the store has seen a later time, so setting the clock right looks like a jump.
    toBeConfirmed ||= ledgerClock !== undefined && Math.abs(ledgerClock.clock.errorMs()) > 0
    const clock = {
      // Before anything was granted, a ledger without a companion could not notice a jump.
      now: () => Math.round(time.nowMs + (oracle.callsMs.length === 0 ? 0 : (ledgerClock?.clock.errorMs() ?? 0))),
      ...(ledgerClock?.watched === false ? {} : { elapsed: () => time.nowMs }),
    }
    const store = sqlLedger(nodeSqlite(database), rules, clock, limits)
    const watched: LedgerStore = {
      ...store,
      admit: async (...asked) => {
        const [, requests, lane] = asked
        if (requests.some(({ visitorHash }) => visitorHash === refused?.hash)) {
          coverage['admissions refused for one visitor']++
          interrupted('ledger refused')
          if (refused?.silently === true) await time.sleep(20_000)
          throw new Error('ledger: a row is too large')
        }
        const answer = await store.admit(...asked)
        if (traced)
          trace(
            `admit ${lane} ${requests.map(({ visitorHash, attributes }, index) => `${visitorHash.slice(0, 6)} ${attributes.map(({ name, stamp }) => `${name}@${Number(stamp.slice(1, 14)) - startMs}`).join(' ')} -> ${JSON.stringify(answer?.admissions[index])}`).join('; ')}`,
          )
        for (const admission of answer?.admissions ?? []) {
          if (admission.event !== 'open') invocations.getStore()?.saw('verdict', admission.event, lane)
          else {
            if (admission.probe !== undefined) coverage.probes++
            for (const verdict of admission.verdicts) invocations.getStore()?.saw('verdict', verdict, lane)
            noteSkipped(requests[answer?.admissions.indexOf(admission) ?? -1], admission)
          }
        }
        return answer
      },
      settle: async (settlements, counts) => {
        if (traced) trace(`settle ${JSON.stringify(settlements)}`)
        // A call that a suspended isolate gave up when it woke looks like a silent Target.
        for (const { signal, visitorHash } of settlements)
          if ((signal === 'down' || signal === 'wrong') && suspended === undefined && !failedFor(visitorHash))
            oracle.fail(`G7: a settlement says ${signal}, but Target never failed for this visitor`)
        return store.settle(settlements, counts)
      },
      charge: async (granted) => {
        await store.charge(granted)
        oracle.voidedUntilNoticed = false
      },
      begin: async (epoch, options) => {
        const life = await store.begin(epoch, options)
        if (options.lost) oracle.voidedUntilNoticed = false
        return life
      },
    }
    stores.set(name, watched)
    return watched
  }

  /** From now on isolates start with these settings. */
  function deploy(next: Knobs, oldUntilMs = time.nowMs): void {
    knobs = next
    settings = settingsOf(next)
    oracle.promise(settings.quotaLimit, settings.quotaWindowMs, time.nowMs, oneObject ? time.nowMs : oldUntilMs)
    storeOf(settings)
  }

  function turnKnobs(of: Night): void {
    const own = of.random('knobs')
    for (let left = between(own, 1, 3); left > 0; left--) {
      const names = Array.from({ length: between(own, 1, 2) }, () => pick(own, knobNames))
      const sideBySide = own.fraction() < 0.5
      time.at(startMs + own.fraction() * traffic.lengthMs, () => {
        coverage.deploys++
        coverage['knobs turned'] += names.length
        if (names.includes('keys')) coverage['keys of the ring changed']++
        if (sideBySide) coverage['old and new settings side by side']++
        const next = names.reduce((before, name) => turned(before, name, own), knobs)
        trace(`deploy ${sideBySide ? 'side by side ' : ''}of ${JSON.stringify(next.env)}`)
        deploy(next, time.nowMs + (sideBySide ? sideBySideMs : 0))
        for (const isolate of living())
          if (sideBySide) time.at(time.nowMs + own.fraction() * sideBySideMs, () => isolate.die())
          else isolate.die()
      })
    }
  }

  /** Once registers have expired, values arrive that are older than what Target has but not than the retention. */
  async function comeLate(): Promise<void> {
    const quietMs = (3 + 2 * night.random('knobs').fraction()) * hourMs
    await runUntil(time.nowMs + quietMs)
    const first = settings.retentionHours
    if (first * hourMs < quietMs) return
    const senders = traffic.late(time.nowMs, [quietMs, Math.min(first * hourMs, 2 * quietMs)])
    coverage['late events under a longer retention'] += senders.length
    for (const sender of senders) time.at(sender.atMs, () => void sender.run(world).catch(orViolation))
    await runUntil(time.nowMs + 10 * minuteMs)
    await drain(time.nowMs + drainMs)
  }

  function planLetters(of: Night): void {
    const own = of.random('plans')
    const plans = {
      ...{ random: own, time, oracle, coverage, trace, isolate: anIsolate },
      // A text that was written anew while the backlog moved may lie in both stores.
      peek: (prefix: string) => [
        ...new Map(
          [kv, ...(rows === undefined ? [] : [{ keys: rows.keysOf, peek: rows.peek }])].flatMap(({ keys, peek }) => {
            const values = peek(prefix)
            return keys(prefix).map((key, index) => [key, values[index] ?? ''] as const)
          }),
        ).values(),
      ],
      clocksAreRight: !night.has('clocks') && ledgerClock === undefined,
    }
    for (let left = between(own, 1, 5); left > 0; left--)
      time.at(startMs + Math.sqrt(own.fraction()) * traffic.lengthMs, () => {
        void planAndRun(plans)
          .then((id) => id !== undefined && plansAtWork.add(id))
          .catch(orViolation)
      })
  }

  /** What was run comes to its end, and every letter of it is accounted for. */
  async function endPlans(): Promise<void> {
    for (let runs = 0; runs < 200; runs++) {
      const kept = createPlans(storeOf(settings))
      for (const id of plansAtWork) {
        const plan = await kept.find(id)
        // Its place is another one's: it was over.
        if (plan === undefined) {
          plansAtWork.delete(id)
          continue
        }
        if (plan.state === 'done') {
          coverage['plans done']++
          if (plan.done + plan.failed !== plan.letters)
            oracle.fail(`G9: of ${plan.letters} letters ${plan.done} are done and ${plan.failed} stay`)
        }
        if (plan.state !== 'running') plansAtWork.delete(plan.id)
      }
      if (plansAtWork.size === 0) break
      time.at(time.nowMs, () => void cron().catch(orViolation))
      await runUntil(time.nowMs + minuteMs)
    }
    if (plansAtWork.size > 0) oracle.fail(`G9: ${plansAtWork.size} plans do not come to their end`)
    coverage['letters put back or dropped'] += oracle.letterDeletes
  }

  function plantGarbage(of: Night): void {
    const own = of.random('garbage')
    for (let left = between(own, 1, 4); left > 0; left--)
      time.at(startMs + own.fraction() * traffic.lengthMs, () => {
        const key = `b1/${own.hex(16)}/t${String(time.nowMs).padStart(13, '0').repeat(2)}${own.hex(8)}-${own.hex(8)}`
        const sealedAway = { v: 2, k: 'gone', c: Buffer.from(own.hex(40), 'hex').toString('base64') }
        const [value, metadata] = pick(own, [
          ['', sealedAway],
          [JSON.stringify(sealedAway), undefined],
          ['not JSON', undefined],
          ['', { v: 1, i: 'nobody' }],
          [JSON.stringify({ v: 9 }), undefined],
        ] as const)
        kv.plant(key, value, metadata)
      })
  }

  function eraseSomebody(of: Night): void {
    const own = of.random('erase')
    time.at(startMs + own.fraction() * traffic.lengthMs, () => {
      const visitor = pick(own, traffic.visitors())
      void (async () => {
        trace(`${visitor} is erased`)
        let cursor: string | undefined
        let beganMs = time.nowMs
        for (let tries = 0; tries < 50; tries++) {
          const isolate = await anIsolate()
          // From the first try on, since what it removed stays removed even if it did not answer.
          oracle.erased(visitor, Number.POSITIVE_INFINITY)
          // Updates that arrive during the erasure are new.
          if (cursor === undefined) beganMs = time.nowMs
          const erased = await isolate.erase(asVisitor(visitor), cursor).catch(() => undefined)
          if (erased === 'unknown_cursor') return oracle.fail('G2: an erasure did not accept its own cursor')
          cursor = erased?.cursor ?? cursor
          if (erased?.complete === true) {
            coverage['erased visitors']++
            oracle.erased(visitor, beganMs)
            return
          }
          await time.sleep(1_000 + own.fraction() * 20_000)
        }
      })().catch(orViolation)
    })
  }

  /** A failover that forgets the last writes, or a loss of everything. */
  function loseLedger(): void {
    const atMs = startMs + random.fraction() * traffic.lengthMs
    if (random.fraction() < 0.5) {
      time.at(atMs, () => {
        coverage['ledger lost everything']++
        trace('the ledger loses everything')
        putState(database)
      })
      return
    }
    time.at(atMs, () => {
      const state = takeState(database)
      const grantedBefore = grantedOf()
      time.at(atMs + 200 + random.fraction() * 3_000, () => {
        const forgotten = grantedOf() - grantedBefore
        coverage['ledger went back']++
        trace(`the ledger forgets ${forgotten} grants`)
        putState(database, state)
        oracle.forgetOrderSince(atMs)
        if (forgotten > 0) {
          oracle.forgottenUnits += forgotten
          oracle.voidedUntilNoticed = true
        }
      })
    })
  }

  /** Restores an earlier state of ledger and witness. Neither can notice, so an operator says so before anything is sent. */
  function restoreBackup(): void {
    const own = night.random('restored backup')
    const atMs = startMs + own.fraction() * traffic.lengthMs
    time.at(atMs, () => {
      const state = takeState(database)
      const testimony = witness.row
      time.at(atMs + magnitude(own, 200, 20 * minuteMs), () => {
        coverage['backups restored']++
        trace('a backup is put back')
        restart()
        putState(database, state)
        witness.row = testimony
        void watchedLedger(storeOf(settings), { witness, memory: newEpochMemory(), random: own, log: () => {} })
          .restored()
          .catch(orViolation)
      })
    })
  }

  /** Uses the URL of another database for a while; a process keeps one URL all its life. */
  function mistakeLedger(): void {
    const own = night.random('another ledger')
    const fromMs = startMs + own.fraction() * traffic.lengthMs
    time.at(fromMs, () => {
      coverage['ledger was another one']++
      trace('another ledger answers')
      restart()
      const state = takeState(database)
      putState(database)
      time.at(fromMs + magnitude(own, 200, 20 * minuteMs), () => {
        // What the other one granted since the witness was last told is charged nowhere (a known hole).
        const told = witness.row
        const untold = told !== undefined && told.epoch === epochOf() ? Math.max(0, grantedOf() - told.granted) : 0
        oracle.forgottenUnits += untold
        trace(`the ledger answers again, ${untold} grants elsewhere are not known of`)
        restart()
        putState(database, state)
        // Nor is their order, where both have one epoch: it was only begun when the other one took its place.
        if (untold > 0 && epochOf() === told?.epoch) oracle.forgetOrderSince(fromMs)
      })
    })
  }

  function epochOf(): string | undefined {
    return database.prepare('SELECT epoch FROM relay_epoch').get()?.['epoch'] as string | undefined
  }

  function grantedOf(): number {
    return Number(database.prepare("SELECT granted FROM relay_window WHERE account = ''").get()?.['granted'] ?? 0)
  }
}

/** The one object: isolates with any settings use the ledger with the latest ones. */
function movingStore(now: () => LedgerStore): LedgerStore {
  return new Proxy({} as LedgerStore, { get: (_, name) => Reflect.get(now(), name) as unknown })
}

const asVisitor = (visitor: string): Visitor =>
  visitor.startsWith('PIIkiosk') ? { pcId: visitor } : { thirdPartyId: visitor }

async function visitorHashes(visitors: ReadonlySet<string>): Promise<ReadonlyMap<string, string>> {
  const hasher = await createHasher(testSecrets.hashKey)
  const hashes = new Map<string, string>()
  for (const visitor of visitors) hashes.set(visitor, await hasher.visitor(asVisitor(visitor)))
  return hashes
}

function refusedVisitor(
  night: Night,
  visitors: readonly string[],
  hashOf: ReadonlyMap<string, string>,
  oracle: Oracle,
) {
  const random = night.random('refused visitor')
  const visitor = pick(random, visitors)
  oracle.excuse(visitor)
  return { hash: hashOf.get(visitor), silently: random.fraction() < 0.5 }
}

function tablesOf(database: DatabaseSync): readonly string[] {
  return database
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
    .all()
    .map(({ name }) => String(name))
}

async function reasonIn(seal: Seal, key: string, value: string): Promise<string> {
  return unpackDead(await seal.open(JSON.parse(value), key))?.reason ?? 'unreadable'
}

async function valuesIn(seal: Seal, key: string, value: string, metadata: unknown): Promise<readonly string[]> {
  // Keys of a plan.
  if (!key.startsWith('b1/') && !isDeadKey(key)) return []
  // If there is a value, the metadata only says how large it is.
  const packed = await seal.open(value === '' ? metadata : JSON.parse(value), key)
  if (key.startsWith('b1/')) return unpackEntry(packed)?.attributes.map((attribute) => attribute.value) ?? []
  const dead = unpackDead(packed)
  if (dead?.detail?.includes('larger than one call') === true) invocations.getStore()?.saw('fate', 'unfit', 'replay')
  if (dead?.raw !== undefined) return [String((JSON.parse(dead.raw) as { page?: unknown }).page)]
  return dead?.entry?.attributes.map((attribute) => attribute.value) ?? []
}
