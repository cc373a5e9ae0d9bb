/** The relay put together from its ports. */
import type { Hono } from 'hono'
import { notedBacklog } from '../core/backlog/noted.ts'
import type { Backlog, DeadLetter } from '../core/backlog/port.ts'
import type { Clock, Random } from '../core/clock.ts'
import { createDeliver } from '../core/delivery/deliver.ts'
import { createDoor } from '../core/delivery/door.ts'
import { createPrepare } from '../core/delivery/prepare.ts'
import { errorName } from '../core/errors.ts'
import type { Counters, Ledger } from '../core/ledger/port.ts'
import { defaultLimits, type Limits } from '../core/limits.ts'
import { createErase } from '../core/operator/erase.ts'
import { createFind } from '../core/operator/find-visitor.ts'
import { type OwnerMemory, ownedStores, ownerOf } from '../core/operator/owner.ts'
import { createRemap, type Reading, type Remap } from '../core/operator/remap.ts'
import { createHasher, hashKeyName } from '../core/update/hash.ts'
import type { Wire } from '../core/wire/calls.ts'
import { httpTarget } from '../core/wire/http.ts'
import { flush } from '../cron/flush.ts'
import type { FlushReport } from '../cron/report.ts'
import { createApp, type Operator } from '../edge/app.ts'
import { createUnproven, type UnprovenMemory } from '../edge/auth/unproven.ts'
import type { Readiness } from '../edge/routes/readyz.ts'
import { mapEvent, parseEvent } from '../edge/source/mapping.ts'
import { type Source, sharesOf } from '../edge/source/source.ts'
import { createReady, type ReadinessMemory } from './readiness.ts'
import type { Settings } from './settings.ts'

export interface RelayParts {
  readonly settings: Settings
  readonly sources: readonly Source[]
  readonly ledger: Ledger
  readonly backlog: Backlog
  readonly clock: Clock
  readonly random: Random
  readonly fetch: typeof globalThis.fetch
  readonly background: (work: Promise<unknown>) => void
  /** Sends bodies as streams, for runtimes that send a text again by themselves. */
  readonly streamBody?: boolean
  /** True once the process is to end. */
  readonly stopping?: () => boolean
  /** Bounds other than the default ones. */
  readonly limits?: Partial<Limits>
  readonly log: (event: string, details?: Readonly<Record<string, string | number>>) => void
  /** Where it outlives what is put together here; default: as long as that. */
  readonly memory?: RelayMemory
}

/** What a process or an isolate remembers: plain data, which on Workers is all that may outlive a request. */
export interface RelayMemory extends ReadinessMemory, OwnerMemory {
  /** When each source's fast clock was last logged, epoch ms. */
  readonly leadsLoggedMs: Map<string, number>
  readonly unproven: UnprovenMemory
}

export function newRelayMemory(): RelayMemory {
  return { leadsLoggedMs: new Map(), owners: new Map(), unproven: new Map() }
}

export interface Relay {
  /** All routes; mount it where you like, or give its `fetch` to a server. */
  readonly app: Hono
  readonly operator: Operator
  ready(): Promise<Readiness>
  /** Maps an event again that could not be mapped, by the key of its dead letter. */
  readonly remap: Remap
  /** Tells the ledger's witness what was granted, for a process that ends: a run does so when it begins. Never rejects. */
  testify(): Promise<void>
  /** One run over the backlog. Never rejects: what stopped it stands in the report. */
  flush(progress?: (soFar: Readonly<FlushReport>) => void): Promise<FlushReport>
}

export async function composeRelay(parts: RelayParts): Promise<Relay> {
  const { settings, clock, random, log, memory = newRelayMemory() } = parts
  const hasher = await createHasher(settings.hashKey)
  const { ledger, backlog } = ownedStores(await ownerOf(settings, hasher), {
    ledger: parts.ledger,
    backlog: notedBacklog(parts.backlog, { clock, memory }),
    memory,
    log,
  })
  const limits: Limits = { ...defaultLimits, ...parts.limits }
  const wire: Wire = {
    method: settings.targetMethod,
    origin: settings.targetOrigin,
    clientCode: settings.targetClientCode,
  }
  const target = httpTarget({
    ...(settings.targetToken === undefined ? {} : { token: settings.targetToken }),
    timeoutMs: settings.targetTimeoutMs,
    strict: settings.targetStrictAnswer,
    fetch: parts.fetch,
    clock,
    retentionMs: settings.retentionHours * 3_600_000,
    ...(parts.streamBody === undefined ? {} : { streamBody: parts.streamBody }),
  })
  const door = createDoor({
    ledger,
    target,
    wire,
    clock,
    random,
    backoffBaseMs: settings.backoffBaseMs,
    shares: sharesOf(parts.sources, settings.quotaLimit),
  })
  const run = (progress?: (soFar: Readonly<FlushReport>) => void) =>
    flush({
      door,
      ledger,
      backlog,
      clock,
      random,
      maxMs: settings.flushMaxMs,
      maxOperations: settings.flushMaxOps,
      maxCalls: settings.flushMaxCalls,
      outageSettleMs: settings.outageSettleMs,
      ...(parts.stopping === undefined ? {} : { stopping: parts.stopping }),
      ...(progress === undefined ? {} : { progress }),
      log,
      limits,
    })
  const prepare = createPrepare({ hasher, wire, retentionMs: settings.retentionHours * 3_600_000 })
  const deliver = createDeliver({
    door,
    ledger,
    backlog,
    hasher,
    clock,
    answerDeadlineMs: settings.answerDeadlineMs,
    background: parts.background,
    log,
    leadsLoggedMs: memory.leadsLoggedMs,
    limits,
  })
  const ready = createReady({ settings, sources: parts.sources, ledger, backlog, clock, memory })
  const operator: Operator = {
    usage: () => ledger.usage(),
    pause: (paused) => ledger.pause(paused),
    restate: (units) => ledger.restate(units),
    confirmClock: () => ledger.confirmClock(),
    flush: () => run(),
    erase: createErase({ hasher, ledger, backlog, clock, maxOperations: settings.flushMaxOps, log }),
    find: createFind({ hasher, ledger, backlog, clock, maxOperations: settings.flushMaxOps }),
    moveOut: (cursor) => ledger.moveOut(cursor),
    moveIn: (part) => ledger.moveIn(part),
    restored: () => ledger.restored(),
    hashKeyName: () => hashKeyName(hasher),
  }
  const app = createApp({
    settings,
    sources: parts.sources,
    prepare,
    wire,
    deliver,
    bury: quarantine,
    ready: ready.fresh,
    readyForAnybody: ready.remembered,
    operator,
    clock,
    log,
    unproven: createUnproven({ clock, memory: memory.unproven, log, count }),
  })
  const testify = () => ledger.check().catch((error) => log('witness_not_told', { error: errorName(error) }))
  return {
    app,
    operator,
    ready: ready.fresh,
    remap: createRemap({ backlog, deliver, map: mapAgain }),
    testify,
    flush: run,
  }

  async function quarantine(dead: DeadLetter): Promise<string> {
    const key = await backlog.bury(dead)
    log('quarantined', { source: dead.source })
    count({ received: 1, quarantined: 1 })
    return key
  }

  /** What no admission carries. */
  function count(counters: Counters): void {
    parts.background(
      ledger.settle([], counters).catch((error) => log('settle_failed', { tries: 1, error: errorName(error) })),
    )
  }

  async function mapAgain(
    { source: name, raw, eventId }: DeadLetter & { raw: string },
    arrivalMs: number,
  ): Promise<Reading> {
    const source = parts.sources.find((candidate) => candidate.name === name)
    if (source === undefined) return { ok: false, reason: `there is no source ${name}` }
    const parsed = parseEvent(source.format, new TextEncoder().encode(raw))
    if (!parsed.ok) return parsed
    const mapped = await mapEvent(source, parsed.event, { eventId, arrivalMs }, prepare)
    return mapped.ok ? { ok: true, updates: mapped.updates, lane: source.lane } : mapped
  }
}
