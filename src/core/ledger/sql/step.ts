/**
 * One step of the ledger on SQL: a transaction that reads the time first, and with it the accounts of quota, the health
 * and the last loss, and writes last what has changed of them.
 */
import type { Sql } from '../../store/sql.ts'
import { type ClockReading, type LedgerClock, watchClock } from '../rules/clock-watch.ts'
import type { Health } from '../rules/health.ts'
import { type Retentions, retentionSet } from '../rules/retention.ts'
import { type LedgerSettings, wholeAccount } from '../rules/settings.ts'
import { type OwnState, openFormat, writeOwn } from './format.ts'
import { writeHealth } from './health.ts'
import { type KeptState, readState } from './state.ts'
import { openWindow, type SqlWindow } from './window.ts'

/** The time of one step, and what the ledger knows of itself. */
export interface Time extends ClockReading {
  readonly own: OwnState
  /** As the step found it. */
  readonly kept: KeptState
}

export interface Step extends Time {
  readonly whole: SqlWindow
  /** A source's own account. */
  account(name: string): SqlWindow
  /** What is assigned here is written when the step ends. */
  health: Health
}

export interface Steps {
  /** A transaction that needs the time alone. */
  atomically<T>(work: (nowMs: number, time: Time) => T): Promise<T>
  stepping<T>(work: (step: Step) => T): Promise<T>
}

export interface StepParts {
  readonly sql: Sql
  readonly settings: LedgerSettings
  readonly clock: LedgerClock
}

/**
 * Opens the store.
 *
 * @param schema the statements that make all tables
 * @throws NewerFormat
 */
export function openSteps({ sql, settings, clock }: StepParts, schema: readonly string[]): Steps {
  const watch = watchClock(clock)
  sql.transaction(() => {
    openFormat(sql, schema, settings, clock.now())
    readTime()
  })
  const atomically: Steps['atomically'] = async (work) =>
    sql.atomically(() => {
      const time = readTime()
      return work(time.nowMs, time)
    })
  return {
    atomically,
    stepping: (work) =>
      atomically((_, time) => {
        const { step, save } = openStep(time)
        const result = work(step)
        save()
        return result
      }),
  }

  function openStep(time: Time): { readonly step: Step; save(): void } {
    const { health, whole: keptWhole } = time.kept
    const whole = openWindow(sql, settings, wholeAccount, time.nowMs, keptWhole)
    const accounts = new Map([[wholeAccount, whole]])
    const account = (name: string) => {
      const window = accounts.get(name) ?? openWindow(sql, settings, name, time.nowMs)
      accounts.set(name, window)
      return window
    }
    const step: Step = { ...time, whole, account, health }
    const save = () => {
      for (const window of accounts.values()) window.save()
      if (step.health !== health) writeHealth(sql, step.health)
    }
    return { step, save }
  }

  /** Also notes a retention that has changed. */
  function readTime(): Time {
    const kept = readState(sql)
    const { confirms, confirmedMs, retentions: before } = kept.own ?? { confirms: 0, confirmedMs: 0, retentions: [] }
    const reading = watch({ seenMs: Math.max(kept.whole?.seenMs ?? 0, confirmedMs), confirms })
    const retentions: Retentions = retentionSet(before, settings.retentionMs, reading.nowMs)
    const own = { confirms, confirmedMs, retentions }
    if (kept.own === undefined || retentions !== before) writeOwn(sql, own)
    const justConfirmed = reading.jumpedByMs === undefined && reading.nowMs <= confirmedMs + settings.longestInFlightMs
    return { ...reading, own, kept, ...(justConfirmed ? { jumpedByMs: 0 } : {}) }
  }
}
