/**
 * The global ledger on Upstash Redis, over HTTP from everywhere.
 *
 * Guarantee: an admission is one pipeline in one HTTP request: `Ratelimit` reserves units under a grant, and the script
 * behind it decides and takes from that grant; where the grant is missing nothing is touched. No command is sent twice
 * by itself. At the deadline the promise rejects, and the caller sends nothing.
 * Known hole: Upstash replicates asynchronously; a failover may forget the last writes (hence `QUOTA_LIMIT` a little
 * under Target's, docs/rules.md, "What no rule can give").
 */
import { Ratelimit } from '@upstash/ratelimit'
import { Redis } from '@upstash/redis/cloudflare'
import { defaultLimits, type Limits } from '../../limits.ts'
import { futureToleranceMs } from '../../update/stamp.ts'
import { ClockJumped, NewerFormat } from '../errors.ts'
import { piecesOf } from '../moved-pieces.ts'
import {
  type Admission,
  grantOf,
  type KnownAttribute,
  type LedgerStore,
  type Life,
  type MovedState,
  type Summary,
} from '../port.ts'
import { jumpToleranceMs } from '../rules/clock-watch.ts'
import { storeFormat } from '../rules/format.ts'
import {
  type BreakerCause,
  deniedThatOpen,
  failuresThatOpen,
  firstProbeMs,
  type Health,
  lastProbeMs,
  probeLivesMs,
  refusalsThatOpen,
  visitorsThatOpen,
} from '../rules/health.ts'
import { registerPages } from '../rules/pages.ts'
import { livesCounted, livesKept, maxBelow } from '../rules/register.ts'
import { maxRetentions } from '../rules/retention.ts'
import {
  cancelledLivesMs,
  checkBatch,
  eventLifetimeMs,
  type LedgerSettings,
  laneCeiling,
  leadLivesMs,
  wholeAccount,
} from '../rules/settings.ts'
import { type Reserved, rollingWindow } from './rolling-window.ts'
import { admitScript } from './scripts/admit.ts'
import { cancelScript } from './scripts/cancel.ts'
import { moveInScript, moveOutScript, visitorScript } from './scripts/move.ts'
import { reserveScript } from './scripts/reserve.ts'
import { settleScript } from './scripts/settle.ts'
import {
  beginScript,
  chargeScript,
  confirmClockScript,
  eraseScript,
  firstStampsScript,
  leaseScript,
  lifeScript,
  releaseScript,
  restateScript,
  summaryScript,
  usageScript,
} from './scripts/small.ts'

export interface UpstashLedgerOptions {
  readonly url: string
  readonly token: string
  readonly settings: LedgerSettings
  /** An HTTP request that takes longer is given up; it may take effect all the same. */
  readonly timeoutMs: number
  /** Before every key, so that several relays can share a database. */
  readonly prefix?: string
  readonly limits?: Limits
  /** A clock in the server's place, epoch ms; for tests. */
  readonly now?: () => number
}

/** Keys that one step of a state that moves looks at, about. */
const movedTogether = 200
const scripts = [
  reserveScript,
  admitScript,
  cancelScript,
  settleScript,
  firstStampsScript,
  summaryScript,
  usageScript,
  confirmClockScript,
  leaseScript,
  releaseScript,
  lifeScript,
  beginScript,
  chargeScript,
  restateScript,
  eraseScript,
  visitorScript,
  moveOutScript,
  moveInScript,
]

export function upstashLedger(options: UpstashLedgerOptions): LedgerStore {
  const { url, token, settings, timeoutMs, prefix = 'tr1', limits = defaultLimits, now } = options
  const redis = new Redis({
    url,
    token,
    // A replayed script would spend twice. (`retry: false` still makes two requests.)
    retry: { retries: 0 },
    // A function: given as an object the client would invent an answer.
    signal: () => AbortSignal.timeout(timeoutMs),
    automaticDeserialization: false,
    enableTelemetry: false,
  })
  const keys = {
    quota: `${prefix}:quota`,
    counters: `${prefix}:counters`,
    health: `${prefix}:health`,
    leads: `${prefix}:leads`,
    source: (name: string) => `${prefix}:quota:${name}`,
    grants: `${prefix}:grant`,
    grant: (grant: string) => `${prefix}:grant:${grant}`,
    visitor: (hash: string) => `${prefix}:v:${hash}`,
    event: (event: string) => `${prefix}:e:${event}`,
    lease: (name: string) => `${prefix}:lease:${name}`,
    memo: (name: string) => `${prefix}:memo:${name}`,
  }
  const rules = {
    format: storeFormat,
    limit: settings.quotaLimit,
    bucketMs: settings.quotaBucketMs,
    windowMs: settings.quotaWindowMs,
    keptMs: settings.quotaWindowMs + settings.quotaSlackMs,
    slackMs: settings.quotaSlackMs,
    retentionMs: settings.retentionMs,
    inFlightMs: settings.inFlightMs,
    longestInFlightMs: settings.longestInFlightMs,
    cancelledMs: cancelledLivesMs,
    eventMs: eventLifetimeMs(settings),
    bulkCeiling: laneCeiling(settings, 'bulk'),
    deniedThatOpen,
    denialsThatJudge: limits.denialsThatJudge,
    denialsLastMs: limits.denialsLastMs,
    failuresThatOpen,
    firstProbeMs,
    lastProbeMs,
    probeLivesMs,
    refusalsThatOpen,
    visitorsThatOpen,
    maxBelow,
    maxRetentions,
    leadLivesMs,
    toleranceMs: jumpToleranceMs,
    futureMs: futureToleranceMs,
    livesCounted,
    livesKept,
    perPage: limits.registersPerPage,
    pages: registerPages,
  }
  // Hashed once, before the first command: hashing between two commands would part them into two requests.
  const hashes = hashesOfScripts()

  return {
    kind: 'upstash',
    async admit(epoch, requests, lane) {
      checkBatch(requests.length)
      const grant = grantOf(requests)
      const ceiling = laneCeiling(settings, lane)
      const run = async (how: Run) => {
        const ratelimit = new Ratelimit({
          redis,
          prefix: keys.grants,
          limiter: rollingWindow({
            ceiling,
            reserve: async (grantKey, want) => {
              const least = Math.min(...requests.map(({ units }) => units), Number.MAX_SAFE_INTEGER)
              return (await how(reserveScript, [keys.quota, grantKey], { epoch, want, least, ceiling })) as Reserved
            },
          }),
          // It would fail open, and shut an isolate out until the end of the window.
          timeout: 0,
          ephemeralCache: false,
          analytics: false,
          enableProtection: false,
        })
        const reserving = ratelimit.limit(grant, { rate: requests.reduce((sum, { units }) => sum + units, 0) })
        const deciding = how(
          admitScript,
          [
            keys.quota,
            keys.grant(grant),
            keys.health,
            ...requests.flatMap(({ visitorHash, event, source }) => keysOf(visitorHash, event, source?.name)),
          ],
          { epoch, requests, ceiling, lane },
        )
        const [, decided] = await Promise.all([reserving, deciding])
        if (decided === false) throw new Error('NOSCRIPT: the reservation did not run')
        if (isCancelled(decided)) throw new Error('the admission was cancelled')
        if (isJumped(decided)) throw new ClockJumped(decided.jumpedBy)
        return (decided ?? undefined) as { granted: number; admissions: Maybe<MaybeShut>; unknown?: number } | undefined
      }
      const known = await hashes
      const answer = await warmOrCold(known, run)
      return answer === undefined ? undefined : { ...answer, admissions: listOf(answer.admissions).map(readAdmission) }
    },

    async cancel(requests) {
      checkBatch(requests.length)
      const whose = requests.flatMap(({ visitorHash, source }) => {
        const visitor = keys.visitor(visitorHash)
        return [visitor, source === undefined ? visitor : keys.source(source.name)]
      })
      return Number(await call(cancelScript, [keys.quota, keys.grant(grantOf(requests)), ...whose], { requests }))
    },

    async settle(settlements, counts = {}, leads = {}) {
      checkBatch(settlements.length)
      await call(
        settleScript,
        [
          keys.quota,
          keys.counters,
          keys.health,
          ...settlements.flatMap(({ visitorHash, eventDone, giveBack }) =>
            keysOf(visitorHash, eventDone, giveBack?.source),
          ),
          keys.leads,
        ],
        { settlements, counts, leads },
      )
    },

    async firstStamps(events) {
      checkBatch(events.length)
      if (events.length === 0) return []
      const stamps = (await call(
        firstStampsScript,
        events.map(({ event }) => keys.event(event)),
        { events },
      )) as (string | false)[]
      return stamps.map((stamp) => (stamp === false ? null : stamp))
    },

    async summary() {
      return summaryOf((await call(summaryScript, [keys.quota, keys.health, keys.leads], {})) as KeptSummary)
    },
    async usage() {
      const kept = (await call(
        usageScript,
        [keys.quota, keys.health, keys.leads, keys.counters],
        {},
      )) as KeptSummary & {
        buckets: Maybe<[number, number]>
        counters: Maybe<[string, number]>
        freeAt?: number
      }
      return {
        ...summaryOf(kept),
        ...(kept.freeAt === undefined ? {} : { nextFreeAtMs: kept.freeAt }),
        buckets: listOf(kept.buckets).map(([lastMs, units]) => [lastMs + 1 - rules.bucketMs, units] as const),
        counters: Object.fromEntries(listOf(kept.counters)),
      }
    },
    async confirmClock() {
      await call(confirmClockScript, [keys.quota, keys.health], {})
    },

    async pause(paused) {
      await redis.hset(keys.health, { p: paused ? '1' : '0' })
    },
    async erase(visitorHash) {
      return (await call(eraseScript, [keys.quota, keys.visitor(visitorHash)], {})) === true
    },
    async restate(units) {
      await call(restateScript, [keys.quota], { units })
    },
    async visitor(visitorHash) {
      const known = new Map<string, KnownAttribute>()
      let next: { scan?: string; page?: number } = { scan: '0' }
      do {
        const step = { ...next, together: limits.registersPerPart }
        const answer = (await call(visitorScript, [keys.visitor(visitorHash)], step)) as {
          known: Maybe<KnownAttribute>
        } & typeof next
        for (const one of listOf(answer.known)) known.set(one.name, one)
        next = answer
      } while ((next.scan !== undefined || next.page !== undefined) && known.size < limits.attributesListed)
      return [...known.values()].slice(0, limits.attributesListed)
    },
    async moveOut(cursor = '0') {
      // Where SCAN goes on, and behind it the large hashes that are still to be moved: where HSCAN goes on, and whose.
      const [scan = '0', large, ...others] = cursor.split('|')
      const [, from, whose] = /^(\d+):(.*)$/s.exec(large ?? '') ?? []
      const step = whose === undefined ? { cursor: scan } : { large: whose, scan: from }
      const found = (await call(moveOutScript, [], {
        prefix,
        count: movedTogether,
        together: limits.registersPerPart,
        ...step,
      })) as {
        cursor?: string
        large?: Maybe<string>
        scan?: string
        units: Maybe<MovedState['units'][number]>
        visitors: Maybe<Omit<MovedState['visitors'][number], 'registers'> & { registers: Maybe<MovedRegister> }>
        events: Maybe<MovedState['events'][number]>
        lostMs?: number
        life?: Life
      }
      const visitors = listOf(found.visitors).map(({ registers, ...visitor }) => ({
        ...visitor,
        registers: listOf(registers).map((register) => ({ ...register, open: listOf(register.open) })),
      }))
      const { lostMs, life } = found
      const alone = { ...(lostMs === undefined ? {} : { lostMs }), ...(life === undefined ? {} : { life }) }
      const part = { units: listOf(found.units), visitors, events: listOf(found.events), ...alone }
      const left = whose === undefined ? listOf(found.large ?? []).map((hash) => `0:${hash}`) : others
      if (whose !== undefined && found.scan !== '0') left.unshift(`${found.scan}:${whose}`)
      const next = [found.cursor ?? scan, ...left]
      return next.length === 1 && next[0] === '0' ? { part } : { part, cursor: next.join('|') }
    },
    async moveIn(part) {
      for (const { units, visitors, events, ...alone } of piecesOf(part, limits.registersPerPart))
        await call(
          moveInScript,
          [
            keys.quota,
            keys.memo(`moved-in:${alone.id ?? ''}`),
            ...units.map(({ account }) => (account === wholeAccount ? keys.quota : keys.source(account))),
            ...visitors.map(({ hash }) => keys.visitor(hash)),
            ...events.map(({ event }) => keys.event(event)),
          ],
          { units, visitors, events, ...alone },
        )
    },
    async life() {
      return ((await call(lifeScript, [keys.quota], {})) as Life | null) ?? undefined
    },
    async begin(epoch, { lost, after }) {
      const input = { epoch, lost, limit: settings.quotaLimit, ...(after === undefined ? {} : { after }) }
      return (await call(beginScript, [keys.quota], input)) as Life
    },
    async charge(granted) {
      await call(chargeScript, [keys.quota], { granted })
    },

    async lease(name, holder, ttlMs) {
      return (await call(leaseScript, [keys.lease(name)], { holder, ttlMs })) === true
    },
    async release(name, holder) {
      await call(releaseScript, [keys.lease(name)], { holder })
    },
    async recall(name) {
      return (await redis.get<string>(keys.memo(name))) ?? undefined
    },
    async remember(name, value) {
      await redis.set(keys.memo(name), value)
    },
    async rememberFirst(name, value) {
      const [, kept] = await redis
        .pipeline()
        .setnx(keys.memo(name), value)
        .get(keys.memo(name))
        .exec<[number, string | null]>()
      return kept ?? value
    },
  }

  function summaryOf({ total, health, lost, leads, jumpedBy }: KeptSummary): Summary {
    return {
      limit: settings.quotaLimit,
      used: total,
      remaining: Math.max(0, settings.quotaLimit - total),
      health: readHealth(health),
      ...(lost === 0 ? {} : { lostAtMs: lost }),
      ...(jumpedBy === undefined ? {} : { clock: { jumpedByMs: jumpedBy } }),
      leads: Object.fromEntries(listOf(leads)),
    }
  }

  function keysOf(visitorHash: string, event: string | undefined, source: string | undefined): string[] {
    const visitor = keys.visitor(visitorHash)
    return [
      visitor,
      event === undefined ? visitor : keys.event(event),
      source === undefined ? visitor : keys.source(source),
    ]
  }

  async function call(script: string, scriptKeys: string[], input: object): Promise<unknown> {
    return warmOrCold(await hashes, (run) => run(script, scriptKeys, input))
  }

  /** By hash; where Redis does not have the scripts (yet, or any more), once more with their text. */
  async function warmOrCold<T>(known: ReadonlyMap<string, string>, work: (run: Run) => Promise<T>): Promise<T> {
    try {
      return await work((script, scriptKeys, input) =>
        decode(redis.evalsha(known.get(script) ?? '', scriptKeys, [encode(input)])),
      )
    } catch (error) {
      const newer = error instanceof Error ? /NEWER_FORMAT (\d+)/.exec(error.message)?.[1] : undefined
      if (newer !== undefined) throw new NewerFormat(Number(newer))
      // A script that was not there has changed nothing, and a reservation that was made answers the same again.
      if (!(error instanceof Error) || !error.message.includes('NOSCRIPT')) throw error
      return work((script, scriptKeys, input) => decode(redis.eval(script, scriptKeys, [encode(input)])))
    }
  }

  function encode(input: object): string {
    return JSON.stringify({ ...rules, ...(now === undefined ? {} : { now: now() }), ...input })
  }
}

interface KeptSummary {
  total: number
  health: KeptHealth
  lost: number
  leads: Maybe<[string, number]>
  jumpedBy?: number
}

function isCancelled(decided: unknown): boolean {
  return typeof decided === 'object' && decided !== null && 'cancelled' in decided
}

function isJumped(decided: unknown): decided is { jumpedBy: number } {
  return typeof decided === 'object' && decided !== null && 'jumpedBy' in decided
}

interface KeptHealth {
  paused: boolean
  failures: number
  failedTraits: Maybe<string>
  refusals: number
  refused: Maybe<string>
  refusedTraits: Maybe<string>
  denied: Maybe<string>
  deniedTraits: Maybe<string>
  saidYes: boolean
  breaker?: { cause: BreakerCause; since: number; untilMs: number; probes: number; traits: Maybe<string> }
}

function readHealth({ breaker, ...kept }: KeptHealth): Health {
  return {
    paused: kept.paused,
    failures: kept.failures,
    failedTraits: listOf(kept.failedTraits),
    refusals: kept.refusals,
    refused: listOf(kept.refused),
    refusedTraits: listOf(kept.refusedTraits),
    denied: listOf(kept.denied),
    deniedTraits: listOf(kept.deniedTraits),
    saidYes: kept.saidYes,
    ...(breaker === undefined
      ? {}
      : {
          breaker: {
            cause: breaker.cause,
            sinceMs: breaker.since,
            untilMs: breaker.untilMs,
            probes: breaker.probes,
            traits: listOf(breaker.traits),
          },
        }),
  }
}

type MaybeShut = Admission & { readonly shutTraits?: Maybe<string> }

function readAdmission({ shutTraits, ...admission }: MaybeShut): Admission {
  return { ...admission, ...(shutTraits === undefined ? {} : { shutTraits: listOf(shutTraits) }) }
}

/** Lua knows no empty list: it comes as an empty object. */
type Maybe<T> = readonly T[] | Record<string, never>
type MovedRegister = Omit<MovedState['visitors'][number]['registers'][number], 'open'> & { open: Maybe<string> }

function listOf<T>(list: Maybe<T>): readonly T[] {
  return Array.isArray(list) ? list : []
}

type Run = (script: string, keys: string[], input: object) => Promise<unknown>

async function decode(answer: Promise<unknown>): Promise<unknown> {
  return JSON.parse(String(await answer))
}

/** By script. Asked for once a process or an isolate; only what is settled outlives the request that asked. */
let hashed: ReadonlyMap<string, string> | undefined

async function hashesOfScripts(): Promise<ReadonlyMap<string, string>> {
  hashed ??= await hashAll(scripts)
  return hashed
}

async function hashAll(scripts: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const hashed = scripts.map(async (script) => {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-1', new TextEncoder().encode(script)))
    return [script, Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')] as const
  })
  return new Map(await Promise.all(hashed))
}
