/**
 * The embedded ledger on SQLite: in a Durable Object on Workers, through `node:sqlite` on Node, Deno and Bun.
 *
 * Guarantee: every method is one transaction of a strongly consistent store.
 * Known hole: its clock is the clock of the machine it runs on; `rules/clock-watch.ts` says which of its jumps are
 * noticed.
 */
import { defaultLimits } from '../../limits.ts'
import type { Sql } from '../../store/sql.ts'
import { ClockJumped } from '../errors.ts'
import { grantOf, type LedgerStore } from '../port.ts'
import type { LedgerClock } from '../rules/clock-watch.ts'
import { firstStampOf } from '../rules/event.ts'
import { closedByOperator } from '../rules/health.ts'
import { checkBatch, type LedgerSettings } from '../rules/settings.ts'
import { actSchema, openActs } from './acts.ts'
import { admitOne } from './admit.ts'
import { cancelOne } from './cancel.ts'
import { confirmClock } from './confirm-clock.ts'
import { epochSchema, openEpoch } from './epoch.ts'
import { eventSchema, openEvents } from './events.ts'
import { addCounts, figureSchema, readSeries } from './figures.ts'
import { healthSchema } from './health.ts'
import { keepLeads, leadSchema } from './leads.ts'
import { sweepsOf } from './lifetimes.ts'
import { memoSchema, openMemos } from './memos.ts'
import { moveIn, moveOut } from './move.ts'
import { openRows, rowSchema } from './rows.ts'
import { settleOne } from './settle.ts'
import { openSteps } from './step.ts'
import { summaryOf, usageOf } from './summary.ts'
import { windowSchema } from './window.ts'

const schema = [
  ...figureSchema,
  ...healthSchema,
  ...epochSchema,
  ...leadSchema,
  ...memoSchema,
  ...actSchema,
  ...rowSchema,
  ...eventSchema,
  ...windowSchema,
]

/**
 * @param clock the ledger's clock
 * @throws NewerFormat
 */
export function sqlLedger(sql: Sql, settings: LedgerSettings, clock: LedgerClock, limits = defaultLimits): LedgerStore {
  const epochs = openEpoch(sql, settings)
  const { atomically, stepping } = openSteps({ sql, settings, clock }, schema)
  const rows = openRows(sql, settings, limits)
  const events = openEvents(sql, settings)
  const memos = openMemos(sql)
  const acts = openActs(sql, limits)
  const parts = { sql, rows, events, epochs, settings, limits }
  const sweep = sweepsOf((requests, nowMs) => {
    rows.sweep(requests, nowMs)
    events.sweepEvents(requests, nowMs)
  }, rows.pagesAdded)

  return {
    kind: 'embedded',
    admit: (epoch, requests, lane) =>
      stepping((step) => {
        checkBatch(requests.length)
        if (step.kept.epoch !== epoch) return undefined
        if (step.jumpedByMs !== undefined) throw new ClockJumped(step.jumpedByMs)
        if (step.kept.someCancelled && memos.isCancelled(grantOf(requests), step.nowMs))
          throw new Error('the admission was cancelled')
        const unknown = step.whole.reckon(settings.quotaLimit)
        const admissions = requests.map((request) => admitOne(request, lane, step, parts))
        step.whole.forget()
        sweep(requests.length, step.nowMs)
        return { granted: step.whole.granted, admissions, ...(unknown === 0 ? {} : { unknown }) }
      }),
    settle: (settlements, counts = {}, leads = {}) =>
      stepping((step) => {
        checkBatch(settlements.length)
        for (const settlement of settlements) settleOne(settlement, step, parts)
        addCounts(sql, counts, step.nowMs)
        keepLeads(sql, leads, step.nowMs)
      }),
    cancel: (requests) =>
      stepping((step) => {
        memos.cancel(grantOf(requests), step.nowMs)
        return requests.reduce((units, request) => units + cancelOne(request, step, parts), 0)
      }),
    firstStamps: (named) =>
      atomically((nowMs) => {
        checkBatch(named.length)
        const stamps = named.map((one) => {
          const seen = events.readEvent(one.event, nowMs)
          const first = firstStampOf(seen, one, nowMs)
          if (first?.record !== undefined) events.writeEvent(one.event, first.record, seen, nowMs)
          return first?.stamp ?? null
        })
        sweep(named.length, nowMs)
        return stamps
      }),
    summary: () => stepping((step) => summaryOf(sql, settings, step)),
    usage: () => stepping((step) => usageOf(sql, settings, step)),
    series: (fromMs) => atomically((nowMs) => readSeries(sql, fromMs, nowMs)),
    look: (fromMs, names) =>
      stepping((step) => ({
        usage: usageOf(sql, settings, step),
        slots: readSeries(sql, fromMs, step.nowMs),
        memos: names.map(memos.recall),
      })),
    confirmClock: () => atomically((_, time) => confirmClock(sql, settings, time)),
    pause: (paused) =>
      stepping((step) => {
        step.health = { ...step.health, paused }
      }),
    closeBreaker: () =>
      stepping((step) => {
        const { breaker } = step.health
        step.health = closedByOperator(step.health)
        return breaker !== undefined
      }),
    recordAct: (act) => atomically(() => acts.record(act)),
    acts: () => atomically(() => acts.list()),
    erase: (visitorHash) =>
      atomically((nowMs, { jumpedByMs }) => {
        if (jumpedByMs === undefined) rows.eraseVisitor(visitorHash, nowMs)
        return jumpedByMs === undefined
      }),
    restate: (units) => stepping(({ whole }) => whole.restate(units)),
    life: () => stepping(({ whole }) => epochs.life(whole)),
    begin: (epoch, options) => stepping(({ nowMs, whole }) => epochs.begin(epoch, options, whole, nowMs)),
    charge: (granted) => stepping(({ nowMs, whole }) => epochs.charge(granted, whole, nowMs)),
    visitor: (visitorHash) =>
      atomically((nowMs) =>
        rows.listVisitor(visitorHash, limits.attributesListed, nowMs).map(([name, { done, open }]) => ({
          name,
          ...(done === undefined ? {} : { done }),
          ...(open === undefined ? {} : { open: open.stamp }),
        })),
      ),
    history: (visitorHash) => atomically((nowMs) => rows.openVisitor(visitorHash, nowMs).history),
    moveOut: (cursor) => atomically((nowMs) => moveOut(parts, nowMs, cursor)),
    moveIn: (part) => stepping((step) => moveIn(part, parts, step)),
    lease: (name, holder, ttlMs) => atomically((nowMs) => memos.lease(name, holder, ttlMs, nowMs)),
    release: (name, holder) => atomically(() => memos.release(name, holder)),
    leaseAndRecall: (name, holder, ttlMs, names) =>
      atomically((nowMs) => (memos.lease(name, holder, ttlMs, nowMs) ? names.map(memos.recall) : undefined)),
    rememberAndRelease: (name, holder, memo, value) =>
      atomically(() => {
        memos.remember(memo, value)
        memos.release(name, holder)
      }),
    recall: (name) => atomically(() => memos.recall(name)),
    recallAll: (names) => atomically(() => names.map(memos.recall)),
    remember: (name, value) => atomically(() => memos.remember(name, value)),
    rememberFirst: (name, value) => atomically(() => memos.rememberFirst(name, value)),
    compareAndSet: (name, before, value) =>
      atomically(() => {
        const isSo = memos.recall(name) === before
        if (isSo) memos.remember(name, value)
        return isSo
      }),
  }
}
