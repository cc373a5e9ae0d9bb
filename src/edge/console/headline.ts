/** How the relay is doing, in a sentence or two: a pure function of its status and its checks. */
import type * as z from 'zod'
import { breakdown, clockTime, counted, span } from '../../core/words.ts'
import type { usage } from '../contract/admin.ts'
import type { status } from '../contract/status.ts'

export type Status = z.output<typeof status> & Pick<z.output<typeof usage>, 'clock' | 'lostAtMs'>
export type Checks = Readonly<Record<string, string>>

export interface Headline {
  readonly tone: 'ok' | 'warn' | 'fail'
  readonly text: string
}

const nothingLost = 'Nothing is lost'

/** @param status absent where the ledger does not answer */
export function headline(status: Status | undefined, checks: Checks, nowMs: number): Headline {
  const kept = checks['store'] !== 'fail'
  if (!kept)
    return { tone: 'fail', text: 'Updates cannot be kept: the store does not answer. Senders are told to come back.' }
  if (status === undefined)
    return {
      tone: 'fail',
      text: `The ledger does not answer: nothing is sent. What comes in is kept and waits. ${nothingLost}.`,
    }
  const clock = { nowMs, zone: 'UTC' }
  const { paused, breaker, backlog, quota } = status
  const waiting =
    backlog === undefined || backlog.waiting === 0 ? 'nothing waits' : `${counted(backlog.waiting, 'update')} wait`
  if (status.clock !== undefined)
    return {
      tone: 'fail',
      text: `The ledger’s clock jumped by ${span(Math.abs(status.clock.jumpedByMs))}: nothing is sent until it is set right, or confirmed under Steering; ${waiting}. ${nothingLost}.`,
    }
  if (paused)
    return { tone: 'warn', text: `Paused: nothing is sent until somebody resumes; ${waiting}. ${nothingLost}.` }
  if (breaker !== undefined) {
    const tone = breaker.cause === 'unavailable' ? 'warn' : 'fail'
    const cause = causes[breaker.cause] ?? `Calls are held back (${breaker.cause})`
    return { tone, text: `${cause} since ${clockTime(breaker.since, clock)}; ${waiting}. ${nothingLost}.` }
  }
  if (checks['token'] === 'fail') return { tone: 'fail', text: `TARGET_TOKEN has ended; ${waiting}. ${nothingLost}.` }
  const through = backlog?.doneBy === undefined ? '' : `, and are through by ${clockTime(backlog.doneBy, clock)}`
  if (quota.used >= (quota.ceilings?.['live'] ?? quota.limit)) {
    const free =
      quota.nextFreeAt === undefined ? '' : ` The next call is free at ${clockTime(quota.nextFreeAt, clock)}.`
    return {
      tone: 'warn',
      text: `${quota.used >= quota.limit ? 'The quota is used up' : 'Live traffic has used its part of the quota'}; ${waiting}${through}.${free} ${nothingLost}.`,
    }
  }
  const ahead =
    quota.firstDeferralAt === undefined
      ? ''
      : ` At the pace of the last hour the quota is used up at ${clockTime(quota.firstDeferralAt, clock)}.`
  if (backlog !== undefined && backlog.waiting > 0) {
    const why = breakdown(backlog.byReason)
    return { tone: ahead === '' ? 'ok' : 'warn', text: `${waiting}${why === '' ? '' : ` (${why})`}${through}.${ahead}` }
  }
  if (ahead !== '') return { tone: 'warn', text: `Updates go as they come.${ahead}` }
  const unwell = Object.keys(checks).filter((name) => checks[name] !== 'ok')
  if (unwell.length > 0) return { tone: 'warn', text: `Updates go as they come. Look at: ${unwell.join(', ')}.` }
  return { tone: 'ok', text: 'All is well: updates go as they come, and nothing waits.' }
}

const causes: Readonly<Record<string, string>> = {
  unavailable: 'Target fails',
  misconfigured: 'Target refuses our address or token',
  systemic: 'Target refuses everybody',
}
