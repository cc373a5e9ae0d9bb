/**
 * The embedded ledger on SQLite: in a Durable Object on Workers, through `node:sqlite` on Node, Deno and Bun.
 *
 * Guarantee: every method is one transaction of a strongly consistent store.
 * Known hole: its clock is the clock of the machine it runs on; `rules/clock-watch.ts` says which of its jumps are noticed.
 */
import { defaultLimits } from '../../limits.ts'
import {
  type Counters,
  grantOf,
  type LedgerSettings,
  type LedgerStore,
  maxBatch,
  type Summary,
  type Usage,
  wholeAccount,
} from '../port.ts'
import { ClockJumped, type LedgerClock, watchClock } from '../rules/clock-watch.ts'
import { type Health, healthy } from '../rules/health.ts'
import { firstStampOf } from '../rules/register.ts'
import { type Retentions, retentionSet, retentionsConfirmed } from '../rules/retention.ts'
import { openAttempts, type Step, type Time } from './attempts.ts'
import { epochSchema, openEpoch } from './epoch.ts'
import { openFormat, readOwn, readSeenMs, writeOwn } from './format.ts'
import { keepLeads, leadSchema, readLeads } from './leads.ts'
import { memoSchema, openMemos } from './memos.ts'
import { moveIn, moveOut } from './move.ts'
import { openRows, rowSchema } from './rows.ts'
import { openWindow, type SqlWindow, windowSchema } from './window.ts'

/** All that is asked of a SQL store. A Durable Object refuses BEGIN, hence `transaction`. */
export interface Sql {
  exec(query: string, ...params: (string | number | null)[]): Record<string, unknown>[]
  transaction<T>(work: () => T): T
  /**
   * Does a step once the store is free, waiting without blocking; rejects with the store's own error where it does not
   * become free within seconds, and with whatever else `work` throws. `work` is begun anew each time: it must have done
   * nothing where it throws, as a transaction has.
   */
  inTurn<T>(work: () => T): Promise<T>
  /** As `inTurn`, in a transaction, which may share its commit with others (`store/group-commit.ts`). On disk when it resolves. */
  atomically<T>(work: () => T): Promise<T>
  /** Leaves nothing on the disk of what was deleted; throws as a store that is not free does. For a step of its own. */
  purge?(): void
}

const schema = [
  'CREATE TABLE IF NOT EXISTS relay_counter (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS relay_health (id INTEGER PRIMARY KEY, health TEXT NOT NULL)',
  ...epochSchema,
  ...leadSchema,
  ...memoSchema,
  ...rowSchema,
  ...windowSchema,
]

/**
 * @param clock the ledger's clock
 * @throws NewerFormat
 */
export function sqlLedger(sql: Sql, settings: LedgerSettings, clock: LedgerClock, limits = defaultLimits): LedgerStore {
  const watch = watchClock(clock)
  sql.transaction(() => {
    openFormat(sql, schema, settings, clock.now())
    readTime()
  })
  const rows = openRows(sql, settings, limits)
  const epochs = openEpoch(sql, settings)
  const memos = openMemos(sql)
  const { readEvent, writeEvent, sweep } = rows
  const attempts = openAttempts(rows, settings, limits)
  const atomically = async <T>(work: (nowMs: number, time: Time) => T): Promise<T> =>
    sql.atomically(() => {
      const time = readTime()
      return work(time.nowMs, time)
    })
  const stepping = <T>(work: (step: Step) => T): Promise<T> =>
    atomically((nowMs, time) => {
      const accounts = new Map<string, SqlWindow>()
      const account = (name: string) => {
        const window = accounts.get(name) ?? openWindow(sql, settings, name, nowMs)
        accounts.set(name, window)
        return window
      }
      const before = readHealth()
      const step: Step = {
        ...time,
        whole: account(wholeAccount),
        account,
        health: before,
        lostMs: epochs.read()?.lostMs ?? 0,
      }
      const result = work(step)
      for (const window of accounts.values()) window.save()
      if (step.health !== before) writeHealth(step.health)
      return result
    })

  return {
    kind: 'embedded',
    admit: (epoch, requests, lane) =>
      stepping((step) => {
        checkBatch(requests.length)
        if (epochs.read()?.epoch !== epoch) return undefined
        if (step.jumpedByMs !== undefined) throw new ClockJumped(step.jumpedByMs)
        if (memos.isCancelled(grantOf(requests), step.nowMs)) throw new Error('the admission was cancelled')
        const unknown = step.whole.reckon(settings.quotaLimit)
        const admissions = requests.map((request) => attempts.admit(request, lane, step))
        step.whole.forget()
        sweep(requests.length, step.nowMs)
        return { granted: step.whole.granted, admissions, ...(unknown === 0 ? {} : { unknown }) }
      }),
    settle: (settlements, counts = {}, leads = {}) =>
      stepping((step) => {
        checkBatch(settlements.length)
        for (const settlement of settlements) attempts.settle(settlement, step)
        count(counts)
        keepLeads(sql, leads, step.nowMs)
      }),
    cancel: (requests) =>
      stepping((step) => {
        memos.cancel(grantOf(requests), step.nowMs)
        return requests.reduce((units, request) => units + attempts.cancel(request, step), 0)
      }),
    firstStamps: (events) =>
      atomically((nowMs) => {
        checkBatch(events.length)
        const stamps = events.map((named) => {
          const seen = readEvent(named.event, nowMs)
          const first = firstStampOf(seen, named, nowMs)
          if (first?.record !== undefined) writeEvent(named.event, first.record, seen?.keptUntilMs ?? 0, nowMs)
          return first?.stamp ?? null
        })
        sweep(events.length, nowMs)
        return stamps
      }),
    summary: () => stepping(summaryOf),
    usage: () =>
      stepping((step): Usage => {
        const nextFreeAtMs = step.whole.nextFreeAtMs()
        const counters = sql
          .exec('SELECT name, count FROM relay_counter')
          .map((row) => [String(row['name']), Number(row['count'])] as const)
        return {
          ...summaryOf(step),
          ...(nextFreeAtMs === undefined ? {} : { nextFreeAtMs }),
          buckets: step.whole.buckets().map(([lastMs, units]) => [lastMs + 1 - settings.quotaBucketMs, units]),
          counters: Object.fromEntries(counters),
        }
      }),
    confirmClock: () =>
      atomically((nowMs, { clockMs, own }) => {
        // Its clock may have been behind until now: what counts by the old time was then granted later than it is dated.
        const counted = openWindow(sql, settings, wholeAccount, nowMs).total
        // A source's own account follows when it is next opened.
        const whole = openWindow(sql, settings, wholeAccount, clockMs)
        whole.redate()
        if (counted > whole.total) whole.charge(counted - whole.total)
        whole.save()
        // A loss stays when it was found, also where that is ahead now: what came before it must not seem to come after it (G3).
        const health = readHealth()
        // A breaker that opened in the future would stay open until then.
        if (health.breaker !== undefined)
          writeHealth({ ...health, breaker: { ...health.breaker, untilMs: Math.min(health.breaker.untilMs, clockMs) } })
        writeOwn(sql, {
          confirms: own.confirms + 1,
          confirmedMs: clockMs,
          retentions: retentionsConfirmed(own.retentions, clockMs),
        })
      }),
    pause: (paused) =>
      stepping((step) => {
        step.health = { ...step.health, paused }
      }),
    erase: (visitorHash) => atomically((nowMs) => rows.eraseVisitor(visitorHash, nowMs)),
    restate: (units) => stepping(({ whole }) => whole.restate(units)),
    life: () => stepping(({ whole }) => epochs.life(whole)),
    begin: (epoch, lost, after = '') => stepping(({ nowMs, whole }) => epochs.begin(epoch, lost, after, whole, nowMs)),
    charge: (granted) => stepping(({ nowMs, whole }) => epochs.charge(granted, whole, nowMs)),
    visitor: (visitorHash) =>
      atomically((nowMs) =>
        rows.listVisitor(visitorHash, limits.attributesListed, nowMs).map(([name, { done, open }]) => ({
          name,
          ...(done === undefined ? {} : { done }),
          ...(open === undefined ? {} : { open: open.stamp }),
        })),
      ),
    moveOut: (cursor) => atomically((nowMs) => moveOut(cursor, sql, rows, epochs, settings, limits, nowMs)),
    moveIn: (part) => stepping(({ nowMs, account }) => moveIn(part, sql, rows, epochs, settings, account, nowMs)),
    lease: (name, holder, ttlMs) => atomically((nowMs) => memos.lease(name, holder, ttlMs, nowMs)),
    release: (name, holder) => atomically(() => memos.release(name, holder)),
    recall: (name) => atomically(() => memos.recall(name)),
    remember: (name, value) => atomically(() => memos.remember(name, value)),
    rememberFirst: (name, value) => atomically(() => memos.rememberFirst(name, value)),
  }

  function readHealth(): Health {
    const [row] = sql.exec('SELECT health FROM relay_health')
    if (row === undefined) return healthy
    const kept = JSON.parse(String(row['health'])) as Health
    // A row that an earlier version wrote knows no traits: its breaker is about everything.
    return {
      ...healthy,
      ...kept,
      ...(kept.breaker === undefined ? {} : { breaker: { ...kept.breaker, traits: kept.breaker.traits ?? [] } }),
    }
  }

  function writeHealth(health: Health): void {
    sql.exec('INSERT OR REPLACE INTO relay_health (id, health) VALUES (1, ?)', JSON.stringify(health))
  }

  /** Also notes a retention that was set anew. */
  function readTime(): Time {
    const kept = readOwn(sql)
    const { confirms, confirmedMs, retentions: before } = kept ?? { confirms: 0, confirmedMs: 0, retentions: [] }
    const reading = watch({ seenMs: Math.max(readSeenMs(sql, wholeAccount), confirmedMs), confirms })
    const retentions: Retentions = retentionSet(before, settings.retentionMs, reading.nowMs)
    const own = { confirms, confirmedMs, retentions }
    if (kept === undefined || retentions !== before) writeOwn(sql, own)
    const justConfirmed = reading.jumpedByMs === undefined && reading.nowMs <= confirmedMs + settings.longestYoungMs
    return { ...reading, own, ...(justConfirmed ? { jumpedByMs: 0 } : {}) }
  }

  function summaryOf({ nowMs, whole, health, lostMs, jumpedByMs }: Step): Summary {
    return {
      limit: settings.quotaLimit,
      used: whole.total,
      remaining: Math.max(0, settings.quotaLimit - whole.total),
      health,
      ...(lostMs === 0 ? {} : { lostAtMs: lostMs }),
      ...(jumpedByMs === undefined ? {} : { clock: { jumpedByMs } }),
      leads: readLeads(sql, nowMs),
    }
  }

  function count(counts: Counters): void {
    for (const [name, add] of Object.entries(counts))
      sql.exec(
        'INSERT INTO relay_counter (name, count) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET count = count + excluded.count',
        name,
        add,
      )
  }
}

function checkBatch(size: number): void {
  if (size > maxBatch) throw new RangeError(`a batch for the ledger has at most ${maxBatch} items`)
}
