/**
 * The global ledger on Upstash Redis, over HTTP from everywhere.
 *
 * Guarantee: an admission is one pipeline in one HTTP request: `Ratelimit` reserves units under a grant, and the script
 * behind it decides and takes from that grant; where the grant is missing nothing is touched. No command is sent twice
 * by itself. At the deadline the promise rejects, and the caller sends nothing.
 * Known hole: Upstash replicates asynchronously; a failover may forget the last writes (hence `QUOTA_LIMIT` a little
 * under Target's, docs/rules.md, "What no rule can give").
 */
import { Redis } from '@upstash/redis/cloudflare'
import { defaultLimits, type Limits } from '../../limits.ts'
import type { Life } from '../moved.ts'
import { grantOf, type LedgerStore, type Usage } from '../port.ts'
import { type Counters, linesOf, type Slot } from '../rules/figures.ts'
import { checkBatch, type LedgerSettings } from '../rules/settings.ts'
import { admit } from './admit.ts'
import { type KeptSummary, type KeptUsage, listOf, type Maybe, summaryOf, textsOf, totalsOf } from './answers.ts'
import { attemptKeys, keysUnder } from './keys.ts'
import { moveIn, moveOut } from './move.ts'
import type { UpstashParts } from './parts.ts'
import { type Run, scriptsOn } from './run-script.ts'
import { scriptRules } from './script-rules.ts'
import { cancelScript } from './scripts/cancel.ts'
import { confirmClockScript } from './scripts/confirm-clock.ts'
import { beginScript, chargeScript, lifeScript } from './scripts/epoch.ts'
import { seriesScript } from './scripts/figures.ts'
import { firstStampsScript } from './scripts/first-stamps.ts'
import { closeBreakerScript } from './scripts/health.ts'
import { compareAndSetScript, leaseScript, recallScript, releaseScript } from './scripts/memos.ts'
import { restateScript } from './scripts/restate.ts'
import { settleScript } from './scripts/settle.ts'
import { summaryScript, usageScript } from './scripts/summary.ts'
import { eraseScript } from './scripts/visitor.ts'
import { listVisitor } from './visitor.ts'

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

function openParts({ url, token, settings, timeoutMs, ...options }: UpstashLedgerOptions): UpstashParts {
  const { prefix = 'tr1', limits = defaultLimits, now } = options
  const redis = new Redis({
    url,
    token,
    // A replayed script would spend twice. (`retry: false` still makes two requests.)
    retry: { retries: 0 },
    // A function: given as an object the client would invent an answer.
    signal: () => AbortSignal.timeout(timeoutMs),
    automaticDeserialization: false,
    // It would gather the commands of requests that have nothing to do with each other.
    enableAutoPipelining: false,
    enableTelemetry: false,
  })
  const rules = scriptRules(settings, limits)
  // Written once, since each script of each call gets them.
  const rulesText = JSON.stringify(rules).slice(0, -1)
  const encode = (input: object) => {
    const own = JSON.stringify(now === undefined ? input : { now: now(), ...input })
    return own === '{}' ? `${rulesText}}` : `${rulesText},${own.slice(1)}`
  }
  return { redis, keys: keysUnder(prefix), scripts: scriptsOn(redis, encode), settings, limits }
}

export function upstashLedger(options: UpstashLedgerOptions): LedgerStore {
  const parts = openParts(options)
  const { redis, keys, settings, limits } = parts
  const { call, together } = parts.scripts

  return {
    kind: 'upstash',
    admit: (epoch, requests, lane) => admit(parts, epoch, requests, lane),
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
          keys.slots,
          keys.health,
          ...settlements.flatMap(({ visitorHash, eventDone, giveBack }) =>
            attemptKeys(keys, { visitorHash, event: eventDone, source: giveBack?.source }),
          ),
          keys.leads,
        ],
        { settlements, lines: linesOf(counts), leads },
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
      const kept = await call(summaryScript, [keys.quota, keys.health, keys.leads], {})
      return summaryOf(kept as KeptSummary, settings.quotaLimit)
    },
    usage: () => usage(call),
    series: (fromMs) => series(call, fromMs),
    look: (fromMs, names) =>
      together(async (run) => {
        const kept = recall(run, names.map(keys.memo))
        const [used, slots, memos] = await Promise.all([usage(run), series(run, fromMs), kept])
        return { usage: used, slots, memos }
      }),
    async confirmClock() {
      await call(confirmClockScript, [keys.quota, keys.health], {})
    },

    async pause(paused) {
      await redis.hset(keys.health, { p: paused ? '1' : '0' })
    },
    async closeBreaker() {
      return (await call(closeBreakerScript, [keys.health], {})) === true
    },
    async recordAct(act) {
      await redis
        .multi()
        .lpush(keys.acts, act)
        .ltrim(keys.acts, 0, limits.actsKept - 1)
        .exec()
    },
    acts: () => redis.lrange(keys.acts, 0, -1),
    async erase(visitorHash) {
      return (await call(eraseScript, [keys.quota, keys.visitor(visitorHash)], {})) === true
    },
    async restate(units) {
      await call(restateScript, [keys.quota], { units })
    },
    visitor: (visitorHash) => listVisitor(parts, visitorHash),
    async history(visitorHash) {
      const kept = await redis.hmget(keys.visitor(visitorHash), 'h', 'i')
      return Object.values(kept ?? {}).join('') || undefined
    },
    moveOut: (cursor) => moveOut(parts, cursor),
    moveIn: (part) => moveIn(parts, part),
    async life() {
      return ((await call(lifeScript, [keys.quota], {})) as Life | null) ?? undefined
    },
    async begin(epoch, options) {
      return (await call(beginScript, [keys.quota], { epoch, ...options })) as Life
    },
    async charge(granted) {
      await call(chargeScript, [keys.quota], { granted })
    },

    async lease(name, holder, ttlMs) {
      return (await call(leaseScript, [keys.lease(name)], { holder, ttlMs })) !== false
    },
    release: async (name, holder) => void (await call(releaseScript, [keys.lease(name)], { holder })),
    async leaseAndRecall(name, holder, ttlMs, memos) {
      const texts = await call(leaseScript, [keys.lease(name), ...memos.map(keys.memo)], { holder, ttlMs })
      return texts === false ? undefined : textsOf(texts as Maybe<string | false>)
    },
    async rememberAndRelease(name, holder, memo, value) {
      await call(releaseScript, [keys.lease(name), keys.memo(memo)], { holder, value })
    },
    async recall(name) {
      return (await redis.get<string>(keys.memo(name))) ?? undefined
    },
    recallAll: (names) => recall(call, names.map(keys.memo)),
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
    compareAndSet: (name, ...set) => compareAndSet(call, keys.memo(name), ...set),
  }

  async function usage(run: Run): Promise<Usage> {
    const kept = (await run(
      usageScript,
      [keys.quota, keys.health, keys.leads, keys.slots, keys.counters],
      {},
    )) as KeptUsage
    return {
      ...summaryOf(kept, settings.quotaLimit),
      ...(kept.freeAt === undefined ? {} : { nextFreeAtMs: kept.freeAt }),
      buckets: listOf(kept.buckets).map(([lastMs, units]) => [lastMs + 1 - settings.quotaBucketMs, units] as const),
      ...totalsOf(kept),
    }
  }

  async function series(run: Run, fromMs: number): Promise<readonly Slot[]> {
    const slots = (await run(seriesScript, [keys.quota, keys.slots], { fromMs })) as Maybe<{
      readonly startMs: number
      readonly lines: Maybe<[string, Counters]>
    }>
    return listOf(slots).map(({ startMs, lines }) => ({ startMs, lines: Object.fromEntries(listOf(lines)) }))
  }
}

async function recall(run: Run, memos: readonly string[]): Promise<readonly (string | undefined)[]> {
  if (memos.length === 0) return []
  return textsOf((await run(recallScript, memos, {})) as Maybe<string | false>)
}

async function compareAndSet(call: Run, key: string, before: string | undefined, value: string): Promise<boolean> {
  return (await call(compareAndSetScript, [key], { before, value })) === true
}
