/** One run of the simulator: a seed decides everything. */
import { DatabaseSync } from 'node:sqlite'
import { unpackDead, unpackEntry } from '../../src/core/backlog/entry-format.ts'
import { createSeal, type Seal } from '../../src/core/backlog/seal.ts'
import { sqlLedger } from '../../src/core/ledger/sql.ts'
import { nodeSqlite } from '../../src/core/ledger/sqlite-node.ts'
import { lateMs } from '../../src/core/ledger/young.ts'
import { ledgerSettings, parseSettings, type Settings } from '../../src/settings.ts'
import { seededRandom } from '../support/clock.ts'
import { memoryWitness } from '../support/ledger.ts'
import { ringKey } from '../support/seal.ts'
import { testSecrets } from '../support/secrets.ts'
import { putState, takeState } from '../support/sqlite-state.ts'
import { type Coverage, noCoverage } from './coverage.ts'
import { type Outages, outagesOf, type Weather, weatherOf } from './faults.ts'
import { createIsolate, type Isolate, type Shared } from './isolate.ts'
import { simulatedKv } from './kv.ts'
import { Oracle } from './oracle.ts'
import { simulatedTarget } from './target.ts'
import { VirtualTime } from './time.ts'
import { drawTraffic, type Traffic } from './traffic.ts'

export interface RunResult {
  readonly seed: number
  readonly coverage: Coverage
  readonly violation?: string
  readonly trace: readonly string[]
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
/** After the last fault everything must have drained within this. */
const drainMs = 3 * 3_600_000

export async function runSeed(seed: number, traced = false): Promise<RunResult> {
  const coverage = noCoverage()
  const trace: string[] = []
  try {
    await simulate(seed, coverage, (line) => {
      if (traced) trace.push(line)
    })
    return { seed, coverage, trace }
  } catch (error) {
    return {
      seed,
      coverage,
      trace,
      violation: error instanceof Error ? (error.name === 'Violation' ? error.message : (error.stack ?? error.message)) : String(error),
    }
  }
}

function settingsOf(quotaLimit: number, windowMs: number, method: string): Settings {
  const parsed = parseSettings({
    TARGET_CLIENT_CODE: 'demo',
    TARGET_METHOD: method,
    HASH_KEY: testSecrets.hashKey,
    API_TOKENS: testSecrets.apiToken,
    ADMIN_TOKEN: testSecrets.adminToken,
    HOOK_SECRET_KIOSK: testSecrets.hook('kiosk'),
    HOOK_SECRET_SIGN_UP: testSecrets.hook('sign-up'),
    QUOTA_LIMIT: quotaLimit,
    QUOTA_WINDOW_MS: windowMs,
    QUOTA_BUCKET_MS: windowMs / 100,
    QUOTA_SLACK_MS: 15_000,
    REPLAY_RESERVE: 0.1,
    RETENTION_HOURS: 1,
    TARGET_TIMEOUT_MS: 1_000,
    ANSWER_DEADLINE_MS: 700,
  })
  if (!parsed.ok) throw new Error(parsed.problems.join('; '))
  return parsed.settings
}

async function simulate(seed: number, coverage: Coverage, note: (line: string) => void): Promise<void> {
  const random = seededRandom(seed)
  const time = new VirtualTime(startMs)
  const oracle = new Oracle()
  const trace = (line: string) => note(`${((time.nowMs - startMs) / 1_000).toFixed(3)} ${line}`)
  let weather = weatherOf(random)
  const { gentle } = weather
  const traffic: Traffic = drawTraffic(random, startMs, !gentle)
  let outages = outagesOf(random, startMs, traffic.lengthMs, gentle)
  const windowMs = 120_000
  const quotaLimit = 10 + Math.floor(random.fraction() * 60)
  let method = random.fraction() < 0.8 ? 'post' : 'auto'
  oracle.plant(
    ...Object.values(testSecrets)
      .map(String)
      .filter((secret) => secret.length < 80),
    testSecrets.hook('kiosk'),
    testSecrets.hook('sign-up'),
  )

  const database = new DatabaseSync(':memory:')
  const store = sqlLedger(nodeSqlite(database), ledgerSettings(settingsOf(quotaLimit, windowMs, method)), {
    now: () => Math.round(time.nowMs),
  })
  const seal = await createSeal(random.fraction() < 0.5 ? [ringKey('k')] : [], (bytes) =>
    Uint8Array.from(Buffer.from(random.hex(bytes), 'hex')),
  )
  const parts = { time, random, oracle, coverage, weather: () => weather, outages: () => outages }
  const shared: Shared = {
    ...parts,
    store: {
      ...store,
      admit: async (...asked) => {
        const answer = await store.admit(...asked)
        trace(
          `admit ${asked[2]} ${asked[1].map(({ visitorHash, attributes }, index) => `${visitorHash.slice(0, 6)} ${attributes.map(({ name, stamp }) => `${name}@${Number(stamp.slice(1, 14)) - startMs}`).join(' ')} -> ${JSON.stringify(answer?.admissions[index])}`).join('; ')}`,
        )
        coverage.probes += answer?.admissions.filter((admission) => admission.event === 'open' && admission.probe !== undefined).length ?? 0
        return answer
      },
      settle: async (settlements, counts) => {
        trace(`settle ${JSON.stringify(settlements)}`)
        return store.settle(settlements, counts)
      },
      charge: async (granted) => {
        await store.charge(granted)
        oracle.voidedUntilNoticed = false
      },
      begin: async (epoch, lost, after) => {
        const standing = await store.begin(epoch, lost, after)
        if (lost) oracle.voidedUntilNoticed = false
        return standing
      },
    },
    witness: memoryWitness(),
    kv: simulatedKv({ ...parts, valuesIn: (key, value, metadata) => valuesIn(seal, key, value, metadata) }),
    seal,
    fetch: simulatedTarget({ ...parts, timeoutMs: 1_000, lateMs, trace }),
    settings: () => settingsOf(quotaLimit, windowMs, method),
    trace,
  }

  const isolates: (Isolate | undefined)[] = []
  let born = 0
  const anIsolate = async (): Promise<Isolate> => {
    const index = Math.floor(random.fraction() * isolateCount)
    const held = isolates[index]
    if (held?.alive() === true) return held
    const fresh = await createIsolate(`isolate ${++born}`, shared)
    isolates[index] = fresh
    return fresh
  }

  for (const sender of traffic.senders)
    time.at(sender.atMs, () => {
      void sender.run({ time, random, oracle, coverage, trace, gentle, isolate: anIsolate }).catch((error: unknown) => {
        if (oracle.violations.length === 0) oracle.violations.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
      })
    })

  let running = 0
  const cron = async () => {
    const isolate = await anIsolate()
    if (running > 0) coverage['overlapping flushes']++
    running++
    coverage.flushes++
    const report = await isolate.flush()
    running--
    if (report === undefined) return
    trace(`flush ${JSON.stringify(report)}`)
    coverage.merges += report.merged
  }
  const minutely = () => {
    void cron()
    // A cron that fires twice, or an operator who is impatient.
    if (random.fraction() < 0.2) time.at(time.nowMs + random.fraction() * 2_000, () => void cron())
  }
  const endMs = startMs + traffic.lengthMs
  for (let atMs = startMs + minuteMs; atMs <= endMs; atMs += minuteMs) if (gentle || random.fraction() > 0.1) time.at(atMs, minutely)

  if (!gentle && random.fraction() < 0.3)
    time.at(startMs + random.fraction() * traffic.lengthMs, () => {
      coverage.deploys++
      if (random.fraction() < 0.3) method = method === 'post' ? 'auto' : 'post'
      for (const isolate of isolates) isolate?.die()
    })
  if (!gentle && random.fraction() < 0.12) loseLedger()
  for (const { fromMs, toMs } of outages.paused) {
    time.at(fromMs, () => void store.pause(true))
    time.at(toMs, () => void store.pause(false))
  }

  await runUntil(endMs)
  // The weather clears: what is left must drain (G7).
  weather = calm
  outages = clear
  await store.pause(false)
  const giveUpMs = endMs + drainMs
  while (time.nowMs < giveUpMs && (oracle.inBacklog() > 0 || time.nowMs < endMs + 3 * minuteMs)) {
    time.at(time.nowMs, () => void cron())
    await runUntil(time.nowMs + (time.nowMs < endMs + 20 * minuteMs ? minuteMs : 5 * minuteMs))
  }
  if (oracle.inBacklog() > 0) oracle.fail(`G7: ${oracle.inBacklog()} entries are left ${drainMs / minuteMs} minutes after the last fault`)
  oracle.checkAllKept()
  coverage['windows checked'] += oracle.checkQuota(quotaLimit, windowMs)
  coverage['dead letters'] += oracle.inDeadLetters()
  if (gentle)
    for (const value of traffic.values())
      if (oracle.timesSent(value) > 1) oracle.fail(`G4: a value was sent ${oracle.timesSent(value)} times though nothing failed`)
  for (const table of ['relay_visitor', 'relay_event', 'relay_memo', 'relay_health', 'relay_counter', 'relay_window', 'relay_ledger'])
    oracle.checkDiscreet(`the ledger's ${table}`, JSON.stringify(database.prepare(`SELECT * FROM ${table}`).all()))
  database.close()

  async function runUntil(untilMs: number): Promise<void> {
    for (let atMs = time.nowMs; atMs < untilMs; ) {
      atMs = Math.min(untilMs, atMs + 5_000)
      await time.run(atMs)
      const [violation] = oracle.violations
      if (violation !== undefined) throw Object.assign(new Error(violation), { name: 'Violation' })
    }
  }

  /** A failover that forgets the last writes, or everything gone. */
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
        if (forgotten > 0) {
          oracle.forgottenUnits += forgotten
          oracle.voidedUntilNoticed = true
        }
      })
    })
  }

  function grantedOf(): number {
    return Number(database.prepare("SELECT granted FROM relay_window WHERE account = ''").get()?.['granted'] ?? 0)
  }
}

async function valuesIn(seal: Seal, key: string, value: string, metadata: unknown): Promise<readonly string[]> {
  // Where there is a value, the metadata is its head.
  const packed = await seal.open(value === '' ? metadata : JSON.parse(value), key)
  const entry = key.startsWith('b1/') ? unpackEntry(packed) : unpackDead(packed)?.entry
  return entry?.attributes.map((attribute) => attribute.value) ?? []
}
