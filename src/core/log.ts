/**
 * The log: one line an event. docs/observability.md lists every event with its level, its fields and when it is
 * written; `test/docs.test.ts` compares the page with this file.
 *
 * Guarantee (G8): a line holds counts, times, names of sources, reasons, names of errors and keys of the stores; never
 * an id of a visitor, a value, or a secret.
 */

/** `error`: the relay could not do what it is for, or somebody must act. `warn`: to be looked at. */
export type Level = 'info' | 'warn' | 'error'

type Info =
  | 'dead_expired'
  | 'admission_cancelled'
  | 'alert_recovered'
  | 'audit'
  | 'breaker_closed'
  | 'erased'
  | 'flush'
  | 'greeted'
  | 'ledger_returned'
  | 'paused'
  | 'quota_free'
  | 'request'
  | 'resumed'
  | 'started'
  | 'stopped'

const warnings = [
  'admission_not_cancelled',
  'alert_lease_kept',
  'alert_not_sent',
  'alert_raised',
  'audit_outcome_not_recorded',
  'breaker_opened',
  'clock_ahead',
  'cron_not_told',
  'confirmation',
  'flush_end_not_recorded',
  'flush_lease_kept',
  'flush_run_failed',
  'flush_stopped',
  'entry_kept',
  'greeting_failed',
  'greeting_unbounded',
  'handshake_failed',
  'late_admission_failed',
  'ledger_unavailable',
  'metrics_incomplete',
  'overloaded',
  'owner_unknown',
  'quarantined',
  'quota_exhausted',
  'rejected',
  'replay_skipped',
  'set_aside',
  'settle_failed',
  'store_taken_over',
  'unauthenticated',
  'verify_failed',
  'warning',
  'witness_not_told',
] as const

const errors = [
  'backlog_put_failed',
  'clock_jumped',
  'cron_silent',
  'dead_letter_put_failed',
  'duty_failed',
  'flush_failed',
  'foreign_store',
  'ledger_lost',
  'ledger_restored',
  'ledger_went_back',
  'purge_failed',
  'quarantine_failed',
  'quota_unknown',
  'request_failed',
  'settings',
  'unhandled_rejection',
  'work_failed',
] as const

export type LogEvent = Info | (typeof warnings)[number] | (typeof errors)[number]

/** Writes a line. */
export type Log = (event: LogEvent, details?: LogDetails) => void
export type LogDetails = Readonly<Record<string, string | number>>

/** The level of an event's lines. */
export function levelOf(event: LogEvent): Level {
  const among = (events: readonly string[]) => events.includes(event)
  return among(errors) ? 'error' : among(warnings) ? 'warn' : 'info'
}
