/**
 * Alerts: what began to hold or ended since the last run is logged, and told to a receiver.
 *
 * Guarantee: each occurrence is told at least once, and so is its end, through crashes and overlapping runs: it is kept
 * in the ledger before it is sent, under an id that stays the same. A receiver that fails is told again by the next
 * run.
 * Known hole: two runs, of which the lease of one has ended, may both send a message, or begin one occurrence twice.
 * While the ledger is silent nothing can be kept: each isolate that meets it says so once an hour, all under one id,
 * and only one that said so tells that it is over.
 */
import type { Clock, Random } from '../../core/clock.ts'
import { errorName } from '../../core/errors.ts'
import { given } from '../../core/given.ts'
import type { Ledger } from '../../core/ledger/port.ts'
import type { Log } from '../../core/log.ts'
import type { Duty, Share } from '../duties.ts'
import type { FlushReport } from '../report.ts'
import type { AlertState, Occurrence } from './alert.ts'
import { conditionsOf, deadAfter, type Snapshot } from './conditions.ts'
import type { SendAlert } from './send.ts'
import { advanced, afterTold, noAlerts, readAlerts, transitions, untold } from './state.ts'

export interface AlertDutyParts {
  readonly ledger: Pick<Ledger, 'recall' | 'remember' | 'lease' | 'release'>
  readonly clock: Pick<Clock, 'now'>
  readonly random: Pick<Random, 'hex'>
  readonly log: Log
  readonly memory: AlertMemory
  readonly settings: {
    readonly retentionHours: number
    readonly quotaWindowMs: number
    readonly targetTokenExpiresAtMs?: number
  }
  readonly startedBy: Snapshot['startedBy']
  /** What the ledger and the other duties know; asked once a run. Rejects where the ledger does not answer. */
  readonly lookAt: (report: FlushReport) => Promise<Pick<Snapshot, 'summary' | 'figures'>>
  /** Absent: alerts are logged only. */
  readonly send?: SendAlert
}

/** What a process or an isolate remembers: plain data. */
export interface AlertMemory {
  /** Without a receiver: the state, which then is not worth a command of the ledger. */
  alerts?: AlertState
  /** The ledger was silent, and the receiver was told so: since when, to the hour, epoch ms. */
  silentSinceMs?: number
}

const memo = 'alerts'
/** Longer than one message takes. */
const leaseMs = 60_000
const hourMs = 3_600_000
const silent = 'ledger.silent'

export function alertDuty(parts: AlertDutyParts): Duty {
  const { ledger, clock, random, log, memory, settings, startedBy, lookAt, send } = parts
  const holder = random.hex(12)
  return {
    name: 'alerts',
    async work(share, report) {
      try {
        await (send === undefined ? logOnly(report) : look(share, report, send))
      } catch (error) {
        // The flush has met it, too, and logged it.
        if (report.stopped !== 'ledger_unavailable') throw error
        if (send !== undefined) await saySilent(send)
      }
    },
  }

  /** An idle run with nothing raised asks the ledger nothing. */
  async function logOnly(report: FlushReport): Promise<void> {
    const state = memory.alerts ?? noAlerts
    if (report.read === 0 && startedBy === 'cron' && Object.keys(state.raised).length === 0) return
    let next = nextOf(state, await snapshotOf(report))
    logTransitions(state, next)
    for (const { name, message } of untold(next)) next = afterTold(next, name, message)
    memory.alerts = next
  }

  async function look(share: Share, report: FlushReport, send: SendAlert): Promise<void> {
    let state = withSilence(readAlerts(await ledger.recall(memo)))
    const snapshot = await snapshotOf(report)
    if (nextOf(state, snapshot) === state && untold(state).length === 0) return
    if (!(await ledger.lease(memo, holder, leaseMs))) return
    try {
      // What another run has kept meanwhile.
      state = withSilence(readAlerts(await ledger.recall(memo)))
      const next = nextOf(state, snapshot)
      if (next !== state) await ledger.remember(memo, JSON.stringify(next))
      delete memory.silentSinceMs
      logTransitions(state, next)
      await tell(next, share, send)
    } finally {
      await ledger.release(memo, holder).catch((error) => log('alert_lease_kept', { error: errorName(error) }))
    }
  }

  /** Ends at the first message that the receiver does not take. */
  async function tell(kept: AlertState, share: Share, send: SendAlert): Promise<void> {
    let state = kept
    for (const { name, message } of untold(kept)) {
      if (!share.has() || !(await ledger.lease(memo, holder, leaseMs))) return
      const why = await send(message)
      if (why !== undefined) return log('alert_not_sent', { type: message.type, error: why })
      state = afterTold(state, name, message)
      await ledger.remember(memo, JSON.stringify(state))
    }
  }

  async function saySilent(send: SendAlert): Promise<void> {
    const sinceMs = Math.floor(clock.now() / hourMs) * hourMs
    if (memory.silentSinceMs === sinceMs) return
    const [said] = untold({ raised: { [silent]: { type: silent, sinceMs, data: {} } } })
    if (said === undefined) return
    const why = await send(said.message)
    if (why === undefined) memory.silentSinceMs = sinceMs
    else log('alert_not_sent', { type: silent, error: why })
  }

  /** With the silence that this isolate told of, which could not be kept. */
  function withSilence(state: AlertState): AlertState {
    const { silentSinceMs: sinceMs } = memory
    if (sinceMs === undefined) return state
    return { ...state, raised: { ...state.raised, [silent]: { type: silent, sinceMs, data: {}, told: true } } }
  }

  async function snapshotOf(report: FlushReport): Promise<Snapshot> {
    return {
      nowMs: clock.now(),
      report,
      startedBy,
      retentionMs: settings.retentionHours * hourMs,
      quotaWindowMs: settings.quotaWindowMs,
      ...given({ tokenExpiresAtMs: settings.targetTokenExpiresAtMs }),
      ...(await lookAt(report)),
    }
  }

  function nextOf(state: AlertState, snapshot: Snapshot): AlertState {
    const next = advanced(state, conditionsOf(snapshot, state), snapshot.nowMs)
    const dead = deadAfter(snapshot, state)
    const same = dead?.count === state.dead?.count && dead?.grewAtMs === state.dead?.grewAtMs
    return same ? next : { ...next, ...given({ dead }) }
  }

  function logTransitions(before: AlertState, after: AlertState): void {
    const { began, ended } = transitions(before, after)
    for (const one of began) log(eventsOf(one)[0], detailsOf(one))
    for (const one of ended) log(eventsOf(one)[1], detailsOf(one))
  }
}

/** The events of the log for its beginning and its end. */
function eventsOf({ type, level }: Occurrence) {
  if (type === 'breaker.open') return ['breaker_opened', 'breaker_closed'] as const
  if (type === 'quota.used' && level === 100) return ['quota_exhausted', 'quota_free'] as const
  return ['alert_raised', 'alert_recovered'] as const
}

function detailsOf({ type, level, source, data }: Occurrence): Readonly<Record<string, string | number>> {
  return { type, ...given({ level, source }), ...data }
}
