/**
 * A whole relay in one process on a fake clock: the real core, the SQL ledger and backlog on SQLite in memory, and a
 * Target that keeps profiles and misbehaves when told to.
 */
import { DatabaseSync } from 'node:sqlite'
import type { Backlog } from '../../src/core/backlog/port.ts'
import { sqliteBacklog } from '../../src/core/backlog/sqlite.ts'
import { createDeliver } from '../../src/core/delivery/deliver.ts'
import { createDoor } from '../../src/core/delivery/door.ts'
import type { EncodedUpdate } from '../../src/core/delivery/encoded-update.ts'
import { createPrepare, type Draft, type Prepare } from '../../src/core/delivery/prepare.ts'
import type { Receipt } from '../../src/core/delivery/receipt.ts'
import type { Ledger } from '../../src/core/ledger/port.ts'
import type { LedgerSettings } from '../../src/core/ledger/rules/settings.ts'
import { newUntoldMemory, withUntold } from '../../src/core/ledger/untold.ts'
import { defaultLimits, type Limits } from '../../src/core/limits.ts'
import { nodeSqlite } from '../../src/core/store/sqlite-node.ts'
import { createHasher } from '../../src/core/update/hash.ts'
import type { Lane, Update } from '../../src/core/update/update.ts'
import type { Call, Wire } from '../../src/core/wire/calls.ts'
import type { Target } from '../../src/core/wire/port.ts'
import type { StartRun } from '../../src/cron/beside.ts'
import { type Duty, flushWithDuties } from '../../src/cron/duties.ts'
import { flush } from '../../src/cron/flush.ts'
import type { FlushReport } from '../../src/cron/report.ts'
import type { Segment } from '../../src/cron/segments.ts'
import { type FakeClock, fakeClock, seededRandom } from './clock.ts'
import { sqlWatched } from './ledger.ts'
import { plainSeal } from './seal.ts'

export const worldSettings: LedgerSettings = {
  quotaLimit: 1_000,
  quotaWindowMs: 86_400_000,
  quotaBucketMs: 60_000,
  quotaSlackMs: 15_000,
  replayReserve: 0.05,
  pace: 'none',
  retentionMs: 72 * 3_600_000,
  inFlightMs: 10_000,
  longestInFlightMs: 10_300,
}

export type TargetAnswer = Awaited<ReturnType<Target['send']>>
/** Decides what Target answers to a call; `undefined` accepts it. */
export type Behaviour = (
  call: Call,
  pairs: ReadonlyMap<string, string>,
) => TargetAnswer | Promise<TargetAnswer> | undefined

export interface FakeTarget extends Target {
  readonly calls: { readonly visitor: string; readonly pairs: ReadonlyMap<string, string>; readonly atMs: number }[]
  readonly profiles: Map<string, Map<string, string>>
  behave: Behaviour
}

/** Decodes with the platform's form decoder, not with the relay's code. */
export function fakeTarget(clock: Pick<FakeClock, 'now'>): FakeTarget {
  const profiles = new Map<string, Map<string, string>>()
  const target: FakeTarget = {
    calls: [],
    profiles,
    behave: () => undefined,
    send: async (call) => {
      const form = new URLSearchParams(call.body ?? new URL(call.url).search)
      const visitor = form.get('mboxPC') ?? form.get('mbox3rdPartyId') ?? ''
      const pairs = new Map(
        [...form].flatMap(([name, value]) => (name.startsWith('profile.') ? [[name.slice(8), value] as const] : [])),
      )
      target.calls.push({ visitor, pairs, atMs: clock.now() })
      const answer = await target.behave(call, pairs)
      if (answer !== undefined && answer.kind !== 'delivered') return answer
      const profile = profiles.get(visitor) ?? new Map<string, string>()
      for (const [name, value] of pairs) profile.set(name, value)
      profiles.set(visitor, profile)
      return { kind: 'delivered' }
    },
  }
  return target
}

export interface FlushOverrides {
  readonly maxMs?: number
  readonly maxOperations?: number
  readonly beyondOperations?: boolean
  readonly maxCalls?: number
  readonly stopping?: () => boolean
  readonly runs?: number
  readonly startRun?: StartRun
  readonly segment?: Segment
}

export interface World {
  readonly clock: FakeClock
  readonly target: FakeTarget
  readonly ledger: Ledger
  readonly backlog: Backlog
  readonly logged: string[]
  readonly prepare: Prepare
  update(
    draft: Omit<Draft, 'visitor'> & { visitor?: unknown },
    source?: string,
    delayMs?: number,
  ): Promise<EncodedUpdate>
  deliver(updates: readonly Update[], lane?: Lane): Promise<readonly Receipt[]>
  /** Resolves when the work after the answers is done. */
  settled(): Promise<void>
  flush(overrides?: FlushOverrides): Promise<FlushReport>
  /** One run with duties behind its flush, as a relay has it. */
  flushWith(duties: readonly Duty[], overrides?: FlushOverrides): Promise<FlushReport>
  /** Another isolate on the same ledger, backlog and Target, with any of its ports replaced. */
  isolate(ports?: {
    ledger?: Ledger
    backlog?: Backlog
    target?: Target
    method?: Wire['method']
    limits?: Partial<Limits>
  }): Pick<World, 'deliver' | 'flush' | 'flushWith' | 'settled'>
  profile(visitor?: string): Record<string, string>
  entries(): Promise<number>
  dead(): Promise<readonly string[]>
}

export interface WorldOptions {
  readonly settings?: Partial<LedgerSettings>
  readonly method?: Wire['method']
  readonly seed?: number
  readonly ledger?: Ledger
  /** Units in a window, by source. */
  readonly shares?: Readonly<Record<string, number>>
  /** The sources that skip what is unchanged. */
  readonly skipping?: readonly string[]
  readonly limits?: Partial<Limits>
  /** Whether Target has accepted an update before. Default: true. */
  readonly saidYes?: boolean
}

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const clock = fakeClock()
  const random = seededRandom(options.seed ?? 1)
  const settings = { ...worldSettings, ...options.settings }
  const wire: Wire = { method: options.method ?? 'post', origin: 'https://demo.tt.omtrdc.net', clientCode: 'demo' }
  const ledger = options.ledger ?? sqlWatched(nodeSqlite(new DatabaseSync(':memory:')), settings, { now: clock.now })
  const backlog = sqliteBacklog(nodeSqlite(new DatabaseSync(':memory:')), { randomHex: random.hex, seal: plainSeal })
  const target = fakeTarget(clock)
  if (options.saidYes !== false)
    await ledger.settle([{ visitorHash: 'somebody-before', token: '', attributes: [], signal: 'up' }])
  const hasher = await createHasher('a-hash-key-of-32-bytes-for-tests-only')
  const prepare = createPrepare({
    hasher,
    wire,
    retentionMs: settings.retentionMs,
  })
  const logged: string[] = []

  const isolate: World['isolate'] = (ports = {}) => {
    const own = {
      ...withUntold(ports.ledger ?? ledger, newUntoldMemory()),
      backlog: ports.backlog ?? backlog,
      target: ports.target ?? target,
    }
    const limits = { ...defaultLimits, ...options.limits, ...ports.limits }
    const door = createDoor({
      ...own,
      wire: ports.method === undefined ? wire : { ...wire, method: ports.method },
      clock,
      random,
      backoffBaseMs: 5_000,
      shares: new Map(Object.entries(options.shares ?? {})),
      skipping: new Set(options.skipping ?? []),
      hasher,
    })
    const background: Promise<unknown>[] = []
    const log = (event: string, details: object = {}) => logged.push(JSON.stringify({ event, ...details }))
    const deliver = createDeliver({
      door,
      ...own,
      hasher,
      clock,
      answerDeadlineMs: 2_500,
      background: (work) => background.push(work),
      log,
      limits,
    })
    const flushParts = {
      door,
      ...own,
      clock,
      random,
      maxMs: 45_000,
      maxOperations: 900,
      maxCalls: 9_000,
      outageSettleMs: 120_000,
      log,
      limits,
    }
    return {
      deliver: (updates, lane = 'live') => deliver(updates, lane),
      settled: async () => {
        await Promise.all(background)
      },
      flush: (overrides = {}) => flush({ ...flushParts, ...overrides }),
      flushWith: (duties, overrides = {}) => flushWithDuties({ ...flushParts, ...overrides }, duties),
    }
  }

  return {
    clock,
    target,
    ledger,
    backlog,
    logged,
    prepare,
    update: async (draft, source = 'api', delayMs = 0) => {
      const prepared = await prepare(
        { visitor: { thirdPartyId: 'visitor-1' }, ...draft },
        { source, arrivalMs: clock.now(), delayMs },
      )
      if (!prepared.ok) throw new Error(`not a valid update: ${JSON.stringify(prepared.problems)}`)
      return prepared.update
    },
    ...isolate(),
    isolate,
    profile: (visitor = 'visitor-1') => Object.fromEntries(target.profiles.get(visitor) ?? []),
    entries: async () => (await backlog.list()).items.length,
    dead: async () =>
      (await backlog.listDead()).items.map((item) => ('dead' in item ? item.dead.reason : 'unreadable')),
  }
}
