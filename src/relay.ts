/** The relay put together from its ports. */
import type { Hono } from 'hono'
import type { Backlog, DeadLetter } from './core/backlog/port.ts'
import type { Clock, Random } from './core/clock.ts'
import type { Wire } from './core/codec.ts'
import { createDoor } from './core/door.ts'
import { createErase } from './core/erase.ts'
import { createHasher, hashKeyName } from './core/hash.ts'
import type { Ledger } from './core/ledger/port.ts'
import { createDeliver } from './core/live.ts'
import { createPrepare } from './core/prepare.ts'
import { createRemap, type Reading, type Remap } from './core/remap.ts'
import { httpTarget } from './core/target/http.ts'
import { createFind } from './core/whereabouts.ts'
import { flush, lastRunMemo } from './cron/flush.ts'
import type { FlushReport } from './cron/report.ts'
import { createApp, type Operator } from './edge/app.ts'
import { mapEvent, parseEvent } from './edge/mapping.ts'
import type { Readiness } from './edge/probes.ts'
import { type Source, secretProblemsOf, sharesOf } from './edge/source.ts'
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
  readonly log: (event: string, details?: Readonly<Record<string, string | number>>) => void
}

export interface Relay {
  /** All routes; mount it where you like, or give its `fetch` to a server. */
  readonly app: Hono
  readonly operator: Operator
  ready(): Promise<Readiness>
  /** Maps an event again that could not be mapped, by the key of its dead letter. */
  readonly remap: Remap
  /** One run over the backlog. Never rejects: what stopped it stands in the report. */
  flush(progress?: (soFar: Readonly<FlushReport>) => void): Promise<FlushReport>
}

/** A cron that fires every minute and was not seen for this long went silent. */
const cronSilentMs = 5 * 60_000
/** Time enough to get a new token through a change board. */
const tokenWarnMs = 14 * 86_400_000

export async function composeRelay(parts: RelayParts): Promise<Relay> {
  const { settings, ledger, backlog, clock, random, log } = parts
  const wire: Wire = { method: settings.targetMethod, origin: settings.targetOrigin, clientCode: settings.targetClientCode }
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
  const hasher = await createHasher(settings.hashKey)
  const run = (progress?: (soFar: Readonly<FlushReport>) => void) =>
    flush({
      door,
      ledger,
      backlog,
      clock,
      random,
      maxMs: settings.flushMaxMs,
      maxOperations: settings.flushMaxOps,
      outageSettleMs: settings.outageSettleMs,
      ...(parts.stopping === undefined ? {} : { stopping: parts.stopping }),
      ...(progress === undefined ? {} : { progress }),
      log,
    })
  const prepare = createPrepare({ hasher, wire, retentionMs: settings.retentionHours * 3_600_000 })
  const deliver = createDeliver({
    door,
    ledger,
    backlog,
    clock,
    answerDeadlineMs: settings.answerDeadlineMs,
    background: parts.background,
    log,
  })
  const operator: Operator = {
    usage: () => ledger.usage(),
    pause: (paused) => ledger.pause(paused),
    restate: (units) => ledger.restate(units),
    confirmClock: () => ledger.confirmClock(),
    flush: () => run(),
    erase: createErase({ hasher, ledger, backlog, maxOperations: settings.flushMaxOps }),
    find: createFind({ hasher, ledger, backlog }),
    moveOut: (cursor) => ledger.moveOut(cursor),
    moveIn: (part) => ledger.moveIn(part),
    hashKeyName: () => hashKeyName(hasher),
  }
  const app = createApp({
    settings,
    sources: parts.sources,
    prepare,
    wire,
    deliver,
    bury: quarantine,
    ready,
    operator,
    clock,
  })
  return { app, operator, ready, remap: createRemap({ backlog, deliver, map: mapAgain }), flush: run }

  async function quarantine(dead: DeadLetter): Promise<string> {
    const key = await backlog.bury(dead)
    log('quarantined', { source: dead.source })
    parts.background(ledger.settle([], { received: 1, quarantined: 1 }).catch(() => log('settle_failed', { tries: 1 })))
    return key
  }

  async function mapAgain({ source: name, raw, eventId }: DeadLetter & { raw: string }, arrivalMs: number): Promise<Reading> {
    const source = parts.sources.find((candidate) => candidate.name === name)
    if (source === undefined) return { ok: false, reason: `there is no source ${name}` }
    const event = parseEvent(source.format, new TextEncoder().encode(raw))
    if (event === undefined) return { ok: false, reason: `the body is not ${source.format}` }
    const mapped = await mapEvent(source, event, { eventId, arrivalMs }, prepare)
    return mapped.ok ? { ok: true, updates: mapped.updates, lane: source.lane } : mapped
  }

  async function ready(): Promise<Readiness> {
    const nowMs = clock.now()
    const asked = await Promise.all([ledger.summary(), ledger.recall(lastRunMemo)]).catch(() => undefined)
    const [usage, lastRun] = asked ?? []
    const atMs = readAtMs(lastRun)
    const secretProblems = await secretProblemsOf(parts.sources, settings.hookSecrets)
    const breaker = usage?.health.breaker
    // What no waiting mends turns it red: our address, our token, or everything refused.
    const wrong = breaker !== undefined && breaker.cause !== 'unavailable'
    const lost = usage?.lostAtMs !== undefined && nowMs - usage.lostAtMs <= settings.quotaWindowMs
    return {
      ready: usage !== undefined && !wrong,
      ledger: ledger.kind,
      checks: {
        ledger: usage === undefined ? 'fail' : lost || usage.clock !== undefined ? 'warn' : 'ok',
        target: wrong ? 'fail' : breaker !== undefined || usage?.health.paused === true ? 'warn' : 'ok',
        token: tokenCheck(nowMs),
        cron: atMs !== undefined && nowMs - atMs <= cronSilentMs ? 'ok' : 'warn',
        encryption: settings.backlogKeys.length > 0 ? 'ok' : 'warn',
        sources: secretProblems.length === 0 ? 'ok' : 'warn',
      },
      details: {
        ...(atMs === undefined ? {} : { lastFlushAt: new Date(atMs).toISOString() }),
        ...(usage === undefined ? {} : { quotaUsed: usage.used, quotaLimit: usage.limit }),
        ...(breaker === undefined ? {} : { breaker: breaker.cause, breakerSince: new Date(breaker.sinceMs).toISOString() }),
        ...(secretProblems.length === 0 ? {} : { sources: secretProblems.join('; ') }),
        ...(usage?.health.paused === true ? { paused: 'yes' } : {}),
        ...(usage?.clock === undefined ? {} : { clockJumpedByMs: usage.clock.jumpedByMs }),
        ...(usage?.lostAtMs === undefined ? {} : { ledgerLostAt: new Date(usage.lostAtMs).toISOString() }),
      },
    }
  }

  function tokenCheck(nowMs: number): 'ok' | 'warn' | 'fail' {
    const leftMs = (settings.targetTokenExpiresAtMs ?? Number.POSITIVE_INFINITY) - nowMs
    return leftMs <= 0 ? 'fail' : leftMs <= tokenWarnMs ? 'warn' : 'ok'
  }
}

function readAtMs(text: string | undefined): number | undefined {
  try {
    const run: unknown = JSON.parse(text ?? 'null')
    return typeof run === 'object' && run !== null && 'atMs' in run && typeof run.atMs === 'number' ? run.atMs : undefined
  } catch {
    return undefined
  }
}
