/** What an alert is: its types, a condition that may hold, one time that it held, and the message about it. */

export const alertTypes = [
  'quota.used',
  'quota.forecast',
  'backlog.oldest',
  'backlog.unreadable',
  'dead.new',
  'dead.ending',
  'breaker.open',
  'ledger.lost',
  'ledger.silent',
  'token.expires',
  'source.unauthenticated',
  'flush.silent',
] as const
export type AlertType = (typeof alertTypes)[number]

/** Counts, percentages and times (ISO 8601); names of sources. Never an id or a value. */
export type AlertData = Readonly<Record<string, string | number>>

/** Whether something holds. What could not be judged has no condition, and stays as it is. */
export interface Condition {
  readonly type: AlertType
  /** Percent, or days: several levels of one type are alerts of their own. */
  readonly level?: number
  readonly source?: string
  readonly holds: boolean
  readonly data: AlertData
}

/** Names a condition among all; a source has no space in its name. */
export function nameOf({ type, level, source }: Pick<Condition, 'type' | 'level' | 'source'>): string {
  return [type, level, source].filter((part) => part !== undefined).join(' ')
}

/** One time that a condition held. */
export interface Occurrence {
  readonly type: AlertType
  readonly level?: number
  readonly source?: string
  /** Since when, and until when, epoch ms. */
  readonly sinceMs: number
  readonly overMs?: number
  /** As it was when it began. */
  readonly data: AlertData
  /** The receiver knows that it began. */
  readonly told?: true
}

export interface AlertState {
  /** By the condition's name. */
  readonly raised: Readonly<Record<string, Occurrence>>
  readonly dead?: DeadWatch
}

/** Dead letters at the last run, and when they last became more, epoch ms. */
export interface DeadWatch {
  readonly count: number
  readonly grewAtMs?: number
}

export const noAlerts: AlertState = { raised: {} }

/** What the receiver is to be told. */
export interface AlertMessage {
  /** Of this occurrence and this end of it: the same however often it is sent. */
  readonly id: string
  readonly type: AlertType | 'test'
  readonly recovered: boolean
  /** When it began or was over, epoch ms. */
  readonly atMs: number
  readonly data: AlertData
}
