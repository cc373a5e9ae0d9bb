/** The relay put together from its ports. */

import type { Hono } from 'hono'
import { notedBacklog } from '../core/backlog/noted.ts'
import type { Backlog } from '../core/backlog/port.ts'
import type { Clock, Random } from '../core/clock.ts'
import { createDeliver } from '../core/delivery/deliver.ts'
import { createDoor } from '../core/delivery/door.ts'
import { errorName } from '../core/errors.ts'
import { given } from '../core/given.ts'
import type { Ledger } from '../core/ledger/port.ts'
import { figure, noLane } from '../core/ledger/rules/figures.ts'
import { newUntoldMemory, type UntoldMemory, withUntold } from '../core/ledger/untold.ts'
import { defaultLimits, type Limits } from '../core/limits.ts'
import type { Log } from '../core/log.ts'
import type { RetentionMemory } from '../core/operator/dead/retention.ts'
import { type OwnerMemory, ownedStores } from '../core/operator/owner.ts'
import { createRemap, type Remap } from '../core/operator/remap.ts'
import { noSpan, type Span } from '../core/spans.ts'
import { httpTarget } from '../core/wire/http.ts'
import type { Target } from '../core/wire/port.ts'
import { type AlertMemory, alertDuty } from '../cron/alerts/duty.ts'
import { alertSender } from '../cron/alerts/send.ts'
import type { StartRun } from '../cron/beside.ts'
import { type CensusMemory, createCensus } from '../cron/census.ts'
import { flushWithDuties } from '../cron/duties.ts'
import { type FlushParts, flush } from '../cron/flush.ts'
import type { FlushReport } from '../cron/report.ts'
import { keepRuns } from '../cron/runs.ts'
import type { Segment } from '../cron/segments.ts'
import { keepTrend, type TrendMemory } from '../cron/trend.ts'
import { createRoutes } from '../edge/app.ts'
import { createAuthFailed } from '../edge/auth/failed-authentications.ts'
import { newUnderWay, type UnderWay } from '../edge/http/under-way.ts'
import { dueCount, type OnceAMinuteMemory } from '../edge/once-a-minute.ts'
import type { AppParts, Operator, Readiness } from '../edge/routes/parts.ts'
import { createKeepConfirmation } from '../edge/source/confirmations.ts'
import { createMapAgain } from '../edge/source/map-again.ts'
import { createQuarantine } from '../edge/source/quarantine.ts'
import type { Source } from '../edge/source/types.ts'
import { type FiguresMemory, lookForAlerts } from './alert-figures.ts'
import { createBase, type RelayBase } from './base.ts'
import { countedSources, createCount } from './count.ts'
import { deadOf } from './dead.ts'
import { createMetrics } from './metrics.ts'
import { operatorOf } from './operator.ts'
import { createReady, type ReadinessMemory } from './readiness.ts'
import type { Settings } from './settings.ts'
import { spannedLedger, spannedTarget } from './spans.ts'
import { createStatus } from './status.ts'

/** What a relay is given by its runtime. On Workers these belong to one request. */
export interface RelayPorts {
  readonly ledger: Ledger
  readonly backlog: Backlog
  readonly clock: Clock
  readonly random: Random
  readonly fetch: typeof globalThis.fetch
  readonly background: (work: Promise<unknown>) => void
  /** Sends bodies as streams, for runtimes that send a text again by themselves. */
  readonly streamBody?: boolean
  /** `alarm`: the cron was silent. */
  readonly startedBy?: 'cron' | 'alarm'
  /** Told when a run begins that the alarm did not start; rejects where that is not known. */
  readonly cronCame?: () => Promise<void>
  /**
   * Starts another run that takes part, where `FLUSH_RUNS` allows: `flushPart` of a relay on the same stores, with
   * connections of its own. Resolves to its report. Without it each run is one alone.
   */
  readonly startRun?: StartRun
  /** True once the process is to end. */
  readonly stopping?: () => boolean
  /** Bounds other than the default ones. */
  readonly limits?: Partial<Limits>
  readonly log: Log
  /** Default: none. */
  readonly span?: Span
  /** Given if it outlives this relay. Default: a memory of the relay's own. */
  readonly memory?: RelayMemory
}

export interface RelayParts extends RelayPorts {
  readonly settings: Settings
  readonly sources: readonly Source[]
}

/** What a process or an isolate remembers: plain data, which on Workers is all that may outlive a request. */
export interface RelayMemory
  extends ReadinessMemory,
    OwnerMemory,
    UntoldMemory,
    AlertMemory,
    FiguresMemory,
    RetentionMemory,
    TrendMemory {
  /** When each source's fast clock was last logged, epoch ms. */
  readonly leadsLoggedMs: Map<string, number>
  readonly census: CensusMemory
  /** What is logged and counted once a minute: failed authentications, handshakes. */
  readonly authFailures: OnceAMinuteMemory
  readonly greetings: OnceAMinuteMemory
  readonly underWay: UnderWay
}

export function newRelayMemory(): RelayMemory {
  return {
    leadsLoggedMs: new Map(),
    owners: new Map(),
    authFailures: new Map(),
    greetings: new Map(),
    census: {},
    underWay: newUnderWay(),
    ...newUntoldMemory(),
  }
}

export interface Relay {
  /** All routes; mount it where you like, or give its `fetch` to a server. */
  readonly app: Hono
  readonly operator: Operator
  ready(): Promise<Readiness>
  /** Maps an event again that could not be mapped, by the key of its dead letter. */
  readonly remap: Remap
  /**
   * Before a process ends: tells the ledger what is counted and not told yet, and its witness what was granted, as a
   * flush does too. Never rejects.
   */
  testify(): Promise<void>
  /** One run over the backlog. Never rejects: what stopped it is in the report. */
  flush(progress?: (soFar: Readonly<FlushReport>) => void): Promise<FlushReport>
  /** What `startRun` asks for: a run of one part, without duties behind it. Never rejects. */
  flushPart(segment: Segment): Promise<FlushReport>
}

/** A relay without an app of its own: its parts are passed to routes that requests share. */
export interface OpenRelay extends Omit<Relay, 'app'> {
  readonly parts: AppParts
}

export async function composeRelay({ settings, sources, ...ports }: RelayParts): Promise<Relay> {
  return withApp(openRelay(await createBase(settings, sources), ports))
}

export function withApp({ parts, ...relay }: OpenRelay): Relay {
  return { ...relay, app: createRoutes(() => parts) }
}

/** Asks nothing and waits for nothing: cheap enough for each request. */
export function openRelay(base: RelayBase, ports: RelayPorts): OpenRelay {
  const { settings, sources, hasher, wire, prepare } = base
  const { clock, random, log, background, memory = newRelayMemory(), span = noSpan } = ports
  const limits: Limits = { ...defaultLimits, ...ports.limits }
  const { ledger: owned, backlog } = ownedStores(base.owner, {
    ledger: spannedLedger(ports.ledger, span),
    backlog: notedBacklog(ports.backlog, { clock, memory, log, span }),
    hasher,
    memory,
    log,
  })
  const { ledger, untold } = withUntold(owned, memory, countedSources(sources))
  const door = createDoor({
    ledger,
    target: spannedTarget(targetOf(settings, ports), span),
    wire,
    clock,
    random,
    backoffBaseMs: settings.backoffBaseMs,
    shares: base.shares,
    skipping: base.skipping,
    hasher,
  })
  const deliver = createDeliver({
    door,
    ledger,
    untold,
    backlog,
    hasher,
    clock,
    answerDeadlineMs: settings.answerDeadlineMs,
    background,
    log,
    leadsLoggedMs: memory.leadsLoggedMs,
    limits,
  })
  const mapAgain = createMapAgain({ sources, prepare })
  const common = { ledger, clock, random, log, memory }
  const { dead, duties } = deadOf(settings, { ...common, hasher, backlog, map: mapAgain, limits })
  const census = createCensus({ backlog, ledger, clock, limits, memory: memory.census })
  const ready = createReady({ settings, sources, ledger, backlog, clock, memory })
  const status = createStatus({ settings, ledger, backlog, clock, ready: ready.fresh })
  const alerts = alertDuty({
    ...common,
    settings,
    startedBy: ports.startedBy ?? 'cron',
    lookAt: lookForAlerts({ ledger, status, clock, memory }),
    ...given({
      send:
        settings.alert &&
        alertSender({ ...settings.alert, relay: settings.targetClientCode, fetch: ports.fetch, clock }),
    }),
  })
  const trend = keepTrend({ ledger, clock, memory, waits: status.waits })
  const flushParts: Omit<FlushParts, 'backlog'> = {
    door,
    ledger,
    untold,
    clock,
    random,
    maxMs: settings.flushMaxMs,
    maxOperations: settings.flushMaxOps,
    beyondOperations: settings.flushLearnsOps,
    maxCalls: settings.flushMaxCalls,
    outageSettleMs: settings.outageSettleMs,
    ...given({ stopping: ports.stopping }),
    log,
    limits,
  }
  const run: Relay['flush'] = (progress) => {
    if (ports.startedBy !== 'alarm' && ports.cronCame !== undefined)
      background(ports.cronCame().catch((error) => log('cron_not_told', { error: errorName(error) })))
    const others = { runs: settings.flushRuns, ...given({ startRun: ports.startRun }) }
    return flushWithDuties({ ...flushParts, ...others, backlog: census.backlog, ...given({ progress }) }, [
      census.duty,
      ...duties,
      keepRuns({ ledger, clock }),
      trend,
      alerts,
    ])
  }
  const count = createCount({ ledger, untold, background, log })
  const { fetch } = ports
  const operator = operatorOf(base, { ledger, unguarded: ports.ledger, backlog, clock, log, dead, run, status, fetch })
  return {
    operator,
    ready: ready.fresh,
    remap: createRemap({ backlog, deliver, map: mapAgain }),
    testify: async () => {
      if (untold.any())
        await ledger.settle([]).catch((error) => log('settle_failed', { tries: 1, error: errorName(error) }))
      await ledger.check().catch((error) => log('witness_not_told', { error: errorName(error) }))
    },
    flush: run,
    flushPart: (segment) => flush({ ...flushParts, backlog, segment }),
    parts: {
      settings,
      sources,
      prepare,
      wire,
      deliver,
      bury: createQuarantine({ backlog, count }),
      greeted: (source) => {
        untold.add({ [figure(source, noLane, 'greeted')]: 1 })
        const greeted = dueCount(memory.greetings, source, clock)
        if (greeted === undefined) return
        log('greeted', { source, count: greeted })
        count({})
      },
      keepConfirmation: createKeepConfirmation({ backlog, ledger, random, count }),
      ready: ready.fresh,
      readyForAnybody: ready.remembered,
      operator,
      metrics: createMetrics({ base, status, ready: ready.remembered, log }),
      clock,
      log,
      authFailed: createAuthFailed({ clock, memory: memory.authFailures, log, add: untold.add, count }),
      room: { maxBytes: limits.bytesUnauthenticated, heldBytes: 0 },
      underWay: { ...memory.underWay, most: limits.requestsAtOnce },
    },
  }
}

function targetOf(settings: Settings, { fetch, clock, streamBody }: RelayPorts): Target {
  return httpTarget({
    ...given({ token: settings.targetToken }),
    timeoutMs: settings.targetTimeoutMs,
    strict: settings.targetStrictAnswer,
    fetch,
    clock,
    retentionMs: settings.retentionHours * 3_600_000,
    ...given({ streamBody }),
  })
}
