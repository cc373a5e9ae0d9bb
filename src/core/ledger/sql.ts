/**
 * The embedded ledger on SQLite: in a Durable Object on Workers, through `node:sqlite` on Node, Deno and Bun.
 *
 * Guarantee: every method is one transaction of a strongly consistent store.
 * Known hole: its clock is the clock of the machine it runs on; `clock-watch.ts` says which of its jumps are noticed.
 */
import { defaultLimits } from '../limits.ts'
import { stampTimeMs } from '../stamp.ts'
import type { Lane, Stamp } from '../update.ts'
import { ClockJumped, type ClockReading, type LedgerClock, watchClock } from './clock-watch.ts'
import { afterSignal, gateOf, type Health, healthy, probed, traitsOf } from './health.ts'
import {
  type Admission,
  type AdmitRequest,
  type Counters,
  type LedgerSettings,
  type LedgerStore,
  laneCeiling,
  maxBatch,
  type Settlement,
  type Summary,
  type Usage,
  wholeAccount,
} from './port.ts'
import { admitted, judge, judgeEvent, registerLivesUntilMs, settled } from './register.ts'
import { type Retentions, retentionAt, retentionSet, retentionsConfirmed } from './retention.ts'
import { epochSchema, openEpoch } from './sql-epoch.ts'
import { type OwnState, openFormat, readOwn, readSeenMs, writeOwn } from './sql-format.ts'
import { keepLeads, leadSchema, readLeads } from './sql-leads.ts'
import { memoSchema, openMemos } from './sql-memos.ts'
import { moveIn, moveOut } from './sql-move.ts'
import { openRows, rowSchema } from './sql-rows.ts'
import { openWindow, type SqlWindow, windowSchema } from './sql-window.ts'

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

/** The time of one step, and what the ledger knows of itself. */
interface Time extends ClockReading {
  readonly own: OwnState
}

/** One step of the ledger: the time, and what it reads first and writes last. */
interface Step extends Time {
  readonly whole: SqlWindow
  /** A source's own account. */
  account(name: string): SqlWindow
  health: Health
  readonly lostMs: number
}

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
  const { openVisitor, readEvent, writeEvent, sweep } = rows
  const atomically = async <T>(work: (nowMs: number, time: Time) => T): Promise<T> =>
    sql.inTurn(() =>
      sql.transaction(() => {
        const time = readTime()
        return work(time.nowMs, time)
      }),
    )
  const stepping = <T>(work: (step: Step) => T): Promise<T> =>
    atomically((nowMs, time) => {
      const accounts = new Map<string, SqlWindow>()
      const account = (name: string) => {
        const window = accounts.get(name) ?? openWindow(sql, settings, name, nowMs)
        accounts.set(name, window)
        return window
      }
      const before = readHealth()
      const step: Step = { ...time, whole: account(wholeAccount), account, health: before, lostMs: epochs.read()?.lostMs ?? 0 }
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
        const unknown = step.whole.reckon(settings.quotaLimit)
        const admissions = requests.map((request) => admitOne(request, lane, step))
        step.whole.forget()
        sweep(requests.length, step.nowMs)
        return { granted: step.whole.granted, admissions, ...(unknown === 0 ? {} : { unknown }) }
      }),
    settle: (settlements, counts = {}, leads = {}) =>
      stepping((step) => {
        checkBatch(settlements.length)
        for (const settlement of settlements) settleOne(settlement, step)
        count(counts)
        keepLeads(sql, leads, step.nowMs)
      }),
    firstStamps: (events) =>
      atomically((nowMs) => {
        checkBatch(events.length)
        const stamps = events.map(({ event, stamp }) => {
          const seen = readEvent(event, nowMs)
          if (seen === undefined) writeEvent(event, { stamp, atMs: nowMs, done: false }, 0, nowMs)
          return seen?.stamp ?? stamp
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
      atomically((_nowMs, { clockMs, own }) => {
        // A source's own account follows when it is next opened.
        const whole = openWindow(sql, settings, wholeAccount, clockMs)
        whole.redate()
        whole.save()
        // A loss stays when it was found, also where that is ahead now: what came before it must not seem to come after it (G3).
        const health = readHealth()
        // A breaker that opened in the future would stay open until then.
        if (health.breaker !== undefined)
          writeHealth({ ...health, breaker: { ...health.breaker, untilMs: Math.min(health.breaker.untilMs, clockMs) } })
        writeOwn(sql, { confirms: own.confirms + 1, confirmedMs: clockMs, retentions: retentionsConfirmed(own.retentions, clockMs) })
      }),
    pause: (paused) =>
      stepping((step) => {
        step.health = { ...step.health, paused }
      }),
    erase: (visitorHash) => atomically((nowMs) => rows.eraseVisitor(visitorHash, nowMs)),
    restate: (units) => stepping(({ whole }) => whole.restate(units)),
    granted: (epoch) => stepping(({ whole }) => (epochs.read()?.epoch === epoch ? whole.granted : undefined)),
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
    moveOut: (cursor) => atomically((nowMs) => moveOut(cursor, sql, rows, settings, limits, nowMs)),
    moveIn: (part) => stepping(({ nowMs, account }) => moveIn(part, sql, rows, settings, account, nowMs)),
    lease: (name, holder, ttlMs) => atomically((nowMs) => memos.lease(name, holder, ttlMs, nowMs)),
    release: (name, holder) => atomically(() => memos.release(name, holder)),
    recall: (name) => atomically(() => memos.recall(name)),
    remember: (name, value) => atomically(() => memos.remember(name, value)),
    rememberFirst: (name, value) => atomically(() => memos.rememberFirst(name, value)),
  }

  function admitOne(request: AdmitRequest, lane: Lane, step: Step): Admission {
    const { nowMs } = step
    let firstStamp: Stamp | undefined
    if (request.event !== undefined) {
      const own = request.attributes[0]?.stamp ?? ''
      const seen = readEvent(request.event, nowMs)
      const verdict = judgeEvent(seen, own, nowMs, settings)
      if (verdict.kind !== 'open') return { event: verdict.kind }
      writeEvent(request.event, verdict.record, seen?.keptUntilMs ?? 0, nowMs)
      if (verdict.record.stamp !== own) firstStamp = verdict.record.stamp
    }
    const visitor = openVisitor(request.visitorHash, nowMs)
    const wanted = request.attributes.map(({ name, stamp }) => ({ name, stamp: firstStamp ?? stamp }))
    const around = { lane, backoff: visitor.backoff, erasedMs: visitor.erasedMs, lostMs: step.lostMs }
    const rulesOf = (stamp: Stamp) => ({ ...settings, retentionMs: retentionAt(step.own.retentions, stampTimeMs(stamp)) })
    const judged = wanted.map(({ name, stamp }) => judge(visitor.get(name), stamp, nowMs, around, rulesOf(stamp)))
    const base = { event: 'open' as const, attempts: visitor.backoff?.attempts ?? 0, ...(firstStamp === undefined ? {} : { firstStamp }) }
    if (!judged.includes('send')) return { ...base, verdicts: judged }
    const instead = (other: 'held' | 'backoff' | 'paused' | 'shut' | 'quota') =>
      judged.map((verdict) => (verdict === 'send' ? other : verdict))

    if (request.hold === true) return { ...base, verdicts: instead('held') }
    if (request.firstTry === true && base.attempts > 0) return { ...base, verdicts: instead('backoff'), failedBefore: true }
    const traits = traitsOf(
      request.visitorHash,
      request.sources ?? [],
      wanted.filter((_, index) => judged[index] === 'send').map(({ name }) => name),
    )
    const gate = gateOf(step.health, { traits, failedBefore: base.attempts > 0, lastResort: request.lastResort === true }, nowMs)
    if (gate === 'paused') return { ...base, verdicts: instead(gate) }
    if (gate === 'shut') return { ...base, verdicts: instead(gate), shutTraits: step.health.breaker?.traits ?? [] }
    const own = request.source === undefined ? undefined : step.account(request.source.name)
    const overShare = own !== undefined && own.total + request.units > (request.source?.units ?? 0)
    const ceiling = Math.min(laneCeiling(settings, lane), overShare ? laneCeiling(settings, 'bulk') : Number.POSITIVE_INFINITY)
    const taken = step.whole.take(request.units, ceiling)
    if (!taken.ok) return { ...base, verdicts: instead('quota'), ...(taken.retryAtMs === undefined ? {} : { retryAtMs: taken.retryAtMs }) }
    own?.charge(request.units)
    own?.forget()
    const cause = step.health.breaker?.cause
    const doubt = cause === 'systemic' ? { systemic: true as const } : {}
    if (gate === 'probe') step.health = probed(step.health, nowMs)
    let untilMs = 0
    wanted.forEach(({ name, stamp }, index) => {
      if (judged[index] !== 'send') return
      visitor.set(name, admitted(visitor.get(name), stamp, nowMs, request.token))
      untilMs = Math.max(untilMs, registerLivesUntilMs(stamp, nowMs, settings))
    })
    visitor.save(untilMs)
    return {
      ...base,
      verdicts: judged,
      bucket: taken.bucket,
      ...doubt,
      ...(gate === 'probe' && cause !== undefined ? { probe: cause } : {}),
    }
  }

  function settleOne(settlement: Settlement, step: Step): void {
    const { visitorHash, token, attributes, giveBack, eventDone, backoff, signal } = settlement
    const { nowMs } = step
    let failedBefore = false
    if (attributes.length > 0 || backoff !== undefined) {
      const visitor = openVisitor(visitorHash, nowMs)
      failedBefore = (visitor.backoff?.attempts ?? 0) > 0
      let closed = false
      let untilMs = backoff === undefined ? 0 : nowMs + settings.retentionMs
      for (const { name, stamp, outcome } of attributes) {
        const after = settled(visitor.get(name), stamp, outcome, token)
        visitor.set(name, after.register)
        closed ||= after.closed
        untilMs = Math.max(untilMs, registerLivesUntilMs(stamp, nowMs, settings))
      }
      if (attributes.some(({ outcome }) => outcome === 'delivered')) visitor.backoff = undefined
      else if (backoff !== undefined) visitor.backoff = { attempts: backoff.attempts, notBeforeMs: nowMs + backoff.waitMs }
      visitor.save(untilMs)
      if (closed && giveBack !== undefined) {
        step.whole.giveBack(giveBack.bucket, giveBack.units)
        if (giveBack.source !== undefined) step.account(giveBack.source).giveBack(giveBack.bucket, giveBack.units)
      }
    }
    if (signal !== undefined) {
      const traits = traitsOf(
        visitorHash,
        settlement.sources ?? [],
        attributes.map(({ name }) => name),
      )
      const after = afterSignal(step.health, { signal, visitorHash, traits, failedBefore, probe: settlement.probe === true }, nowMs)
      // The health of a steady day is never rewritten.
      if (JSON.stringify(after) !== JSON.stringify(step.health)) step.health = after
    }
    if (eventDone !== undefined) {
      const seen = readEvent(eventDone, nowMs)
      const stamp = seen?.stamp ?? attributes[0]?.stamp ?? ''
      writeEvent(eventDone, { stamp, atMs: seen?.atMs ?? nowMs, done: true }, seen?.keptUntilMs ?? 0, nowMs)
    }
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
    const justConfirmed = reading.jumpedByMs === undefined && reading.nowMs <= confirmedMs + settings.youngMs
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
