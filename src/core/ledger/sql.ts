/**
 * The embedded ledger on SQLite: in a Durable Object on Workers, through `node:sqlite` on Node, Deno and Bun.
 *
 * Guarantee: every method is one transaction of a strongly consistent store.
 * Known hole: its clock is the clock of the machine it runs on.
 */
import type { Lane, Stamp } from '../update.ts'
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
  type Usage,
  wholeAccount,
} from './port.ts'
import { admitted, judge, judgeEvent, registerLivesUntilMs, settled } from './register.ts'
import { moveIn, moveOut } from './sql-move.ts'
import { openRows, rowSchema } from './sql-rows.ts'
import { openWindow, type SqlWindow, windowSchema } from './sql-window.ts'

/** All that is asked of a SQL store. A Durable Object refuses BEGIN, hence `transaction`. */
export interface Sql {
  exec(query: string, ...params: (string | number | null)[]): Record<string, unknown>[]
  transaction<T>(work: () => T): T
}

const schema = [
  'CREATE TABLE IF NOT EXISTS relay_lease (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS relay_counter (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS relay_memo (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS relay_epoch (id INTEGER PRIMARY KEY, epoch TEXT NOT NULL, lost_ms INTEGER NOT NULL)',
  'CREATE TABLE IF NOT EXISTS relay_replaced (epoch TEXT PRIMARY KEY) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS relay_health (id INTEGER PRIMARY KEY, health TEXT NOT NULL)',
  ...rowSchema,
  ...windowSchema,
]

/** One step of the ledger: the time, and what it reads first and writes last. */
interface Step {
  readonly nowMs: number
  readonly whole: SqlWindow
  /** A source's own account. */
  account(name: string): SqlWindow
  health: Health
  readonly lostMs: number
}

/** @param clock the ledger's clock, epoch ms */
export function sqlLedger(sql: Sql, settings: LedgerSettings, clock: { now: () => number }): LedgerStore {
  sql.transaction(() => {
    for (const statement of schema) sql.exec(statement)
  })
  const rows = openRows(sql, settings)
  const { readVisitor, writeVisitor, readEvent, writeEvent, sweep } = rows
  // `async`, so that a throw is a rejection, as it is with every other ledger.
  const atomically = async <T>(work: (nowMs: number) => T): Promise<T> => sql.transaction(() => work(clock.now()))
  const stepping = <T>(work: (step: Step) => T): Promise<T> =>
    atomically((nowMs) => {
      const accounts = new Map<string, SqlWindow>()
      const account = (name: string) => {
        const window = accounts.get(name) ?? openWindow(sql, settings, name, nowMs)
        accounts.set(name, window)
        return window
      }
      const before = readHealth()
      const step: Step = { nowMs, whole: account(wholeAccount), account, health: before, lostMs: readEpoch()?.lostMs ?? 0 }
      const result = work(step)
      for (const window of accounts.values()) window.save()
      if (step.health !== before) sql.exec('INSERT OR REPLACE INTO relay_health (id, health) VALUES (1, ?)', JSON.stringify(step.health))
      return result
    })

  return {
    kind: 'embedded',
    admit: (epoch, requests, lane) =>
      stepping((step) => {
        checkBatch(requests.length)
        if (readEpoch()?.epoch !== epoch) return undefined
        const admissions = requests.map((request) => admitOne(request, lane, step))
        sweep(requests.length, step.nowMs)
        return { granted: step.whole.granted, admissions }
      }),
    settle: (settlements, counts = {}) =>
      stepping((step) => {
        checkBatch(settlements.length)
        for (const settlement of settlements) settleOne(settlement, step)
        count(counts)
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
    usage: () =>
      stepping(({ whole, health, lostMs }): Usage => {
        const { used, nextFreeAtMs, buckets } = whole.read()
        const counters = sql
          .exec('SELECT name, count FROM relay_counter')
          .map((row) => [String(row['name']), Number(row['count'])] as const)
        return {
          limit: settings.quotaLimit,
          used,
          remaining: Math.max(0, settings.quotaLimit - used),
          ...(nextFreeAtMs === undefined ? {} : { nextFreeAtMs }),
          buckets,
          counters: Object.fromEntries(counters),
          health,
          ...(lostMs === 0 ? {} : { lostAtMs: lostMs }),
        }
      }),
    pause: (paused) =>
      stepping((step) => {
        step.health = { ...step.health, paused }
      }),
    erase: (visitorHash) =>
      atomically((nowMs) => {
        const { keptUntilMs } = readVisitor(visitorHash, nowMs)
        writeVisitor(visitorHash, { registers: new Map(), erasedMs: nowMs, keptUntilMs }, nowMs + settings.retentionMs)
      }),
    restate: (units) => stepping(({ whole }) => whole.restate(units)),
    granted: (epoch) => stepping(({ whole }) => (readEpoch()?.epoch === epoch ? whole.granted : undefined)),
    begin: (epoch, lost, after = '') =>
      stepping(({ nowMs, whole }) => {
        const standing = readEpoch()
        if (standing !== undefined && (!lost || standing.epoch === epoch || wasReplaced(after))) return standing.epoch
        for (const replaced of [after, standing?.epoch ?? ''])
          if (replaced !== '') sql.exec('INSERT OR IGNORE INTO relay_replaced (epoch) VALUES (?)', replaced)
        writeEpoch(epoch, lost ? nowMs + settings.quotaSlackMs : 0)
        if (lost) whole.charge(Math.max(0, settings.quotaLimit - whole.total))
        return epoch
      }),
    charge: (granted) =>
      stepping(({ nowMs, whole }) => {
        const standing = readEpoch()
        if (standing === undefined || whole.granted >= granted) return
        whole.charge(granted - whole.granted)
        writeEpoch(standing.epoch, nowMs + settings.quotaSlackMs)
      }),
    visitor: (visitorHash) =>
      atomically((nowMs) =>
        [...readVisitor(visitorHash, nowMs).registers].map(([name, { done, open }]) => ({
          name,
          ...(done === undefined ? {} : { done }),
          ...(open === undefined ? {} : { open: open.stamp }),
        })),
      ),
    moveOut: (cursor) => atomically((nowMs) => moveOut(cursor, sql, rows, settings, nowMs)),
    moveIn: (part) => stepping(({ nowMs, account }) => moveIn(part, sql, rows, account, nowMs)),
    lease: (name, holder, ttlMs) =>
      atomically((nowMs) => {
        const [held] = sql.exec('SELECT holder, until_ms FROM relay_lease WHERE name = ?', name)
        if (held !== undefined && held['holder'] !== holder && Number(held['until_ms']) > nowMs) return false
        sql.exec('INSERT OR REPLACE INTO relay_lease (name, holder, until_ms) VALUES (?, ?, ?)', name, holder, nowMs + ttlMs)
        return true
      }),
    release: (name, holder) =>
      atomically(() => {
        sql.exec('DELETE FROM relay_lease WHERE name = ? AND holder = ?', name, holder)
      }),
    recall: (name) =>
      atomically(() => {
        const [memo] = sql.exec('SELECT value FROM relay_memo WHERE name = ?', name)
        return memo === undefined ? undefined : String(memo['value'])
      }),
    remember: (name, value) =>
      atomically(() => {
        sql.exec('INSERT OR REPLACE INTO relay_memo (name, value) VALUES (?, ?)', name, value)
      }),
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
    const row = readVisitor(request.visitorHash, nowMs)
    const wanted = request.attributes.map(({ name, stamp }) => ({ name, stamp: firstStamp ?? stamp }))
    const around = { lane, backoff: row.backoff, erasedMs: row.erasedMs, lostMs: step.lostMs }
    const judged = wanted.map(({ name, stamp }) => judge(row.registers.get(name), stamp, nowMs, around, settings))
    const base = { event: 'open' as const, attempts: row.backoff?.attempts ?? 0, ...(firstStamp === undefined ? {} : { firstStamp }) }
    if (!judged.includes('send')) return { ...base, verdicts: judged }
    const instead = (other: 'held' | 'paused' | 'shut' | 'quota') => judged.map((verdict) => (verdict === 'send' ? other : verdict))

    if (request.hold === true) return { ...base, verdicts: instead('held') }
    const traits = traitsOf(
      request.visitorHash,
      request.sources ?? [],
      wanted.filter((_, index) => judged[index] === 'send').map(({ name }) => name),
    )
    const gate = gateOf(step.health, { traits, failedBefore: base.attempts > 0, lastResort: request.lastResort === true }, nowMs)
    if (gate === 'paused' || gate === 'shut') return { ...base, verdicts: instead(gate) }
    const own = request.source === undefined ? undefined : step.account(request.source.name)
    const overShare = own !== undefined && own.total + request.units > (request.source?.units ?? 0)
    const ceiling = Math.min(laneCeiling(settings, lane), overShare ? laneCeiling(settings, 'bulk') : Number.POSITIVE_INFINITY)
    const taken = step.whole.take(request.units, ceiling)
    if (!taken.ok) return { ...base, verdicts: instead('quota'), ...(taken.retryAtMs === undefined ? {} : { retryAtMs: taken.retryAtMs }) }
    own?.charge(request.units)
    const cause = step.health.breaker?.cause
    const doubt = cause === 'systemic' ? { systemic: true as const } : {}
    if (gate === 'probe') step.health = probed(step.health, nowMs)
    let untilMs = 0
    wanted.forEach(({ name, stamp }, index) => {
      if (judged[index] !== 'send') return
      row.registers.set(name, admitted(row.registers.get(name), stamp, nowMs, request.token))
      untilMs = Math.max(untilMs, registerLivesUntilMs(stamp, nowMs, settings))
    })
    writeVisitor(request.visitorHash, row, untilMs)
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
      const { registers, backoff: before, erasedMs, keptUntilMs } = readVisitor(visitorHash, nowMs)
      failedBefore = (before?.attempts ?? 0) > 0
      let closed = false
      let untilMs = backoff === undefined ? 0 : nowMs + settings.retentionMs
      for (const { name, stamp, outcome } of attributes) {
        const after = settled(registers.get(name), stamp, outcome, token)
        registers.set(name, after.register)
        closed ||= after.closed
        untilMs = Math.max(untilMs, registerLivesUntilMs(stamp, nowMs, settings))
      }
      const after = attributes.some(({ outcome }) => outcome === 'delivered') ? undefined : (backoff ?? before)
      const kept = { ...(after === undefined ? {} : { backoff: after }), ...(erasedMs === undefined ? {} : { erasedMs }) }
      writeVisitor(visitorHash, { registers, keptUntilMs, ...kept }, untilMs)
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

  function readEpoch(): { readonly epoch: string; readonly lostMs: number } | undefined {
    const [row] = sql.exec('SELECT epoch, lost_ms FROM relay_epoch')
    return row === undefined ? undefined : { epoch: String(row['epoch']), lostMs: Number(row['lost_ms']) }
  }

  /** Whether the epoch that stands, or one before it, took its place. */
  function wasReplaced(epoch: string): boolean {
    return sql.exec('SELECT epoch FROM relay_replaced WHERE epoch = ?', epoch).length > 0
  }

  function writeEpoch(epoch: string, lostMs: number): void {
    sql.exec('INSERT OR REPLACE INTO relay_epoch (id, epoch, lost_ms) VALUES (1, ?, ?)', epoch, lostMs)
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
