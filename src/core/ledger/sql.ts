/**
 * The embedded ledger on SQLite: in a Durable Object on Workers, through `node:sqlite` on Node, Deno and Bun.
 *
 * Guarantee: every method is one transaction of a strongly consistent store.
 * Known hole: its clock is the clock of the machine it runs on.
 *
 * A Durable Object bills every row written, those of an index too. Hence one row a visitor, not one an attribute; and
 * the end of a row's life is rounded up, so that a settle finds it as the admission left it and its index is untouched.
 */
import type { Lane, Stamp } from '../update.ts'
import { afterSignal, gateOf, type Health, healthy, probed } from './health.ts'
import {
  type Admission,
  type AdmitRequest,
  type Counters,
  eventLifetimeMs,
  type LedgerSettings,
  type LedgerStore,
  laneCeiling,
  type MovedState,
  type MovedVisitor,
  maxBatch,
  type Settlement,
  type Usage,
  wholeAccount,
} from './port.ts'
import {
  admitted,
  type Backoff,
  type EventRecord,
  judge,
  judgeEvent,
  movedIn,
  openStamps,
  type Register,
  registerLivesUntilMs,
  settled,
} from './register.ts'
import { openWindow, type SqlWindow, windowSchema } from './sql-window.ts'

/** All that is asked of a SQL store. A Durable Object refuses BEGIN, hence `transaction`. */
export interface Sql {
  exec(query: string, ...params: (string | number | null)[]): Record<string, unknown>[]
  transaction<T>(work: () => T): T
}

const schema = [
  'CREATE TABLE IF NOT EXISTS relay_visitor (hash TEXT PRIMARY KEY, registers TEXT NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE INDEX IF NOT EXISTS relay_visitor_until ON relay_visitor (until_ms)',
  'CREATE TABLE IF NOT EXISTS relay_event (event TEXT PRIMARY KEY, stamp TEXT NOT NULL, at_ms INTEGER NOT NULL, done INTEGER NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE INDEX IF NOT EXISTS relay_event_until ON relay_event (until_ms)',
  'CREATE TABLE IF NOT EXISTS relay_lease (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS relay_counter (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS relay_memo (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID',
  'CREATE TABLE IF NOT EXISTS relay_epoch (id INTEGER PRIMARY KEY, epoch TEXT NOT NULL, lost_ms INTEGER NOT NULL)',
  'CREATE TABLE IF NOT EXISTS relay_health (id INTEGER PRIMARY KEY, health TEXT NOT NULL)',
  ...windowSchema,
]

/**
 * Rows whose time is over are removed a few at a time, so that no call pays for all of them; more of them than a request
 * can add, so that they never pile up.
 */
const sweptPerRequest = 2
/** Rows in one part of a state that moves. */
const movedTogether = 500
/** Lives end on the hour. A row that lives longer than it must does no harm. */
const untilGrainMs = 3_600_000

interface VisitorRow {
  readonly registers: Map<string, Register>
  readonly backoff?: Backoff
  readonly erasedMs?: number
  /** 0 where no row is kept. */
  readonly keptUntilMs: number
}

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
    begin: (epoch, lost) =>
      stepping(({ nowMs, whole }) => {
        const standing = readEpoch()
        if (standing !== undefined && (!lost || standing.epoch === epoch)) return standing.epoch
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
    moveOut: (cursor) => atomically((nowMs) => moveOut(cursor, nowMs)),
    moveIn: (part) =>
      stepping(({ nowMs, account }) => {
        for (const { account: name, lastMs, units } of part.units) account(name).charge(units, lastMs)
        for (const visitor of part.visitors) {
          const { registers, backoff, erasedMs = 0, keptUntilMs } = readVisitor(visitor.hash, nowMs)
          for (const { name, ...moved } of visitor.registers) registers.set(name, movedIn(registers.get(name), moved))
          const erased = Math.max(erasedMs, visitor.erasedMs ?? 0)
          const kept = { ...(backoff === undefined ? {} : { backoff }), ...(erased === 0 ? {} : { erasedMs: erased }) }
          writeVisitor(visitor.hash, { registers, keptUntilMs, ...kept }, visitor.keptUntilMs)
        }
        for (const { event, stamp, atMs, done } of part.events) {
          const seen = readEvent(event, nowMs)
          const first = seen !== undefined && seen.stamp < stamp ? seen.stamp : stamp
          writeEvent(event, { stamp: first, atMs: seen?.atMs ?? atMs, done: done || seen?.done === true }, seen?.keptUntilMs ?? 0, nowMs)
        }
      }),
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
    const gate = gateOf(step.health, nowMs)
    if (gate === 'paused' || gate === 'shut') return { ...base, verdicts: instead(gate) }
    const own = request.source === undefined ? undefined : step.account(request.source.name)
    const overShare = own !== undefined && own.total + request.units > (request.source?.units ?? 0)
    const ceiling = Math.min(laneCeiling(settings, lane), overShare ? laneCeiling(settings, 'bulk') : Number.POSITIVE_INFINITY)
    const taken = step.whole.take(request.units, ceiling)
    if (!taken.ok) return { ...base, verdicts: instead('quota'), ...(taken.retryAtMs === undefined ? {} : { retryAtMs: taken.retryAtMs }) }
    own?.charge(request.units)
    const cause = step.health.breaker?.cause
    if (gate === 'probe') step.health = probed(step.health, nowMs)
    let untilMs = 0
    wanted.forEach(({ name, stamp }, index) => {
      if (judged[index] !== 'send') return
      row.registers.set(name, admitted(row.registers.get(name), stamp, nowMs, request.token))
      untilMs = Math.max(untilMs, registerLivesUntilMs(stamp, nowMs, settings))
    })
    writeVisitor(request.visitorHash, row, untilMs)
    return { ...base, verdicts: judged, bucket: taken.bucket, ...(gate === 'probe' && cause !== undefined ? { probe: cause } : {}) }
  }

  function settleOne(settlement: Settlement, step: Step): void {
    const { visitorHash, token, attributes, giveBack, eventDone, backoff, signal } = settlement
    const { nowMs } = step
    if (attributes.length > 0 || backoff !== undefined) {
      const { registers, backoff: before, erasedMs, keptUntilMs } = readVisitor(visitorHash, nowMs)
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
      const after = afterSignal(step.health, signal, visitorHash, settlement.probe === true, nowMs)
      // The health of a steady day is never rewritten.
      if (JSON.stringify(after) !== JSON.stringify(step.health)) step.health = after
    }
    if (eventDone !== undefined) {
      const seen = readEvent(eventDone, nowMs)
      const stamp = seen?.stamp ?? attributes[0]?.stamp ?? ''
      writeEvent(eventDone, { stamp, atMs: seen?.atMs ?? nowMs, done: true }, seen?.keptUntilMs ?? 0, nowMs)
    }
  }

  /** Units first, then visitors, then events, each in the order of its key; the cursor is a letter and the last key. */
  function moveOut(cursor = '', nowMs: number): { part: MovedState; cursor?: string } {
    const [kind, after] = [cursor.slice(0, 1), cursor.slice(1)]
    const none: MovedState = { units: [], visitors: [], events: [] }
    if (kind === '') {
      // What has left the window is not moved: opening an account forgets it.
      const names = sql.exec('SELECT account FROM relay_account').map((row) => String(row['account']))
      const units = names.flatMap((account) => {
        const window = openWindow(sql, settings, account, nowMs)
        window.save()
        return window.read().buckets.map(([startMs, count]) => ({ account, lastMs: startMs + settings.quotaBucketMs - 1, units: count }))
      })
      return { part: { ...none, units }, cursor: 'v' }
    }
    if (kind === 'v') {
      const rows = sql.exec(
        'SELECT hash FROM relay_visitor WHERE hash > ? AND until_ms >= ? ORDER BY hash LIMIT ?',
        after,
        nowMs,
        movedTogether,
      )
      const visitors = rows.map((row): MovedVisitor => {
        const hash = String(row['hash'])
        const { registers, erasedMs, keptUntilMs } = readVisitor(hash, nowMs)
        return {
          hash,
          registers: [...registers].map(([name, register]) => ({
            name,
            ...(register.done === undefined ? {} : { done: register.done }),
            open: openStamps(register),
          })),
          ...(erasedMs === undefined ? {} : { erasedMs }),
          keptUntilMs,
        }
      })
      return { part: { ...none, visitors }, cursor: visitors.length < movedTogether ? 'e' : `v${visitors.at(-1)?.hash ?? ''}` }
    }
    const rows = sql.exec(
      'SELECT event, stamp, at_ms, done, until_ms FROM relay_event WHERE event > ? AND until_ms >= ? ORDER BY event LIMIT ?',
      after,
      nowMs,
      movedTogether,
    )
    const events = rows.map((row) => ({
      event: String(row['event']),
      stamp: String(row['stamp']),
      atMs: Number(row['at_ms']),
      done: row['done'] === 1,
      keptUntilMs: Number(row['until_ms']),
    }))
    return { part: { ...none, events }, ...(events.length < movedTogether ? {} : { cursor: `e${events.at(-1)?.event ?? ''}` }) }
  }

  function readHealth(): Health {
    const [row] = sql.exec('SELECT health FROM relay_health')
    return row === undefined ? healthy : (JSON.parse(String(row['health'])) as Health)
  }

  function readEpoch(): { readonly epoch: string; readonly lostMs: number } | undefined {
    const [row] = sql.exec('SELECT epoch, lost_ms FROM relay_epoch')
    return row === undefined ? undefined : { epoch: String(row['epoch']), lostMs: Number(row['lost_ms']) }
  }

  function writeEpoch(epoch: string, lostMs: number): void {
    sql.exec('INSERT OR REPLACE INTO relay_epoch (id, epoch, lost_ms) VALUES (1, ?, ?)', epoch, lostMs)
  }

  function readVisitor(hash: string, nowMs: number): VisitorRow {
    const [row] = sql.exec('SELECT registers, until_ms FROM relay_visitor WHERE hash = ? AND until_ms >= ?', hash, nowMs)
    if (row === undefined) return { registers: new Map(), keptUntilMs: 0 }
    const kept = JSON.parse(String(row['registers'])) as { r: [string, Register][]; b?: Backoff; x?: number }
    return {
      registers: new Map(kept.r),
      keptUntilMs: Number(row['until_ms']),
      ...(kept.b === undefined ? {} : { backoff: kept.b }),
      ...(kept.x === undefined ? {} : { erasedMs: kept.x }),
    }
  }

  function writeVisitor(hash: string, { registers, backoff, erasedMs, keptUntilMs }: VisitorRow, untilMs: number): void {
    // What says nothing any more need not be kept.
    const telling = [...registers].filter(([, { done, open }]) => done !== undefined || open !== undefined)
    const kept = JSON.stringify({ r: telling, b: backoff, x: erasedMs })
    const until = Math.max(keptUntilMs, wholeHour(untilMs))
    if (until === keptUntilMs) sql.exec('UPDATE relay_visitor SET registers = ? WHERE hash = ?', kept, hash)
    else sql.exec('INSERT OR REPLACE INTO relay_visitor (hash, registers, until_ms) VALUES (?, ?, ?)', hash, kept, until)
  }

  function readEvent(event: string, nowMs: number): (EventRecord & { readonly keptUntilMs: number }) | undefined {
    const [row] = sql.exec('SELECT stamp, at_ms, done, until_ms FROM relay_event WHERE event = ? AND until_ms >= ?', event, nowMs)
    if (row === undefined) return undefined
    return { stamp: String(row['stamp']), atMs: Number(row['at_ms']), done: row['done'] === 1, keptUntilMs: Number(row['until_ms']) }
  }

  /** @param keptUntilMs of the row that is there, 0 where there is none */
  function writeEvent(event: string, { stamp, atMs, done }: EventRecord, keptUntilMs: number, nowMs: number): void {
    const flag = done ? 1 : 0
    const until = wholeHour(nowMs + eventLifetimeMs(settings))
    if (until === keptUntilMs) {
      sql.exec('UPDATE relay_event SET stamp = ?, at_ms = ?, done = ? WHERE event = ?', stamp, atMs, flag, event)
      return
    }
    sql.exec(
      'INSERT OR REPLACE INTO relay_event (event, stamp, at_ms, done, until_ms) VALUES (?, ?, ?, ?, ?)',
      event,
      stamp,
      atMs,
      flag,
      until,
    )
  }

  function sweep(requests: number, nowMs: number): void {
    for (const [table, key] of [
      ['relay_visitor', 'hash'],
      ['relay_event', 'event'],
    ])
      sql.exec(
        `DELETE FROM ${table} WHERE ${key} IN (SELECT ${key} FROM ${table} WHERE until_ms < ? LIMIT ?)`,
        nowMs,
        sweptPerRequest * requests,
      )
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

function wholeHour(ms: number): number {
  return Math.ceil(ms / untilGrainMs) * untilGrainMs
}

function checkBatch(size: number): void {
  if (size > maxBatch) throw new RangeError(`a batch for the ledger has at most ${maxBatch} items`)
}
