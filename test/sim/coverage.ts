/** What the runs met. A kind that no run of many met says that the simulator does not look where it claims to. */

export const kinds = [
  'events',
  'calls',
  'windows checked',
  'deferred: quota',
  'deferred: contended',
  'deferred: target_unavailable',
  'deferred: ledger_unavailable',
  'deferred: slow',
  'deferred: paused',
  'deferred: delayed',
  'duplicates',
  'in flight',
  'superseded',
  'rejected',
  'refused with 503',
  'retries of senders',
  'merges',
  'take-aparts',
  'splits',
  'flushes',
  'overlapping flushes',
  'dead letters',
  'deaths before a ledger step',
  'deaths after a ledger step',
  'deaths before a KV step',
  'deaths after a KV step',
  'deaths before a call',
  'deaths after a call',
  'deploys',
  'ledger outages',
  'ledger answers lost',
  'ledger went back',
  'ledger lost everything',
  'KV outages',
  'KV puts that failed and were kept',
  'stale lists: missed an entry',
  'stale lists: showed a deleted one',
  'calls refused',
  'calls failed',
  'calls throttled',
  'calls that hung',
  'calls reset after being taken',
  'calls applied late',
  'calls not believed',
  'probes',
] as const
export type Kind = (typeof kinds)[number]

export type Coverage = Record<Kind, number>

export const noCoverage = (): Coverage => Object.fromEntries(kinds.map((kind) => [kind, 0])) as Coverage

export function addCoverage(sum: Coverage, more: Coverage): void {
  for (const kind of kinds) sum[kind] += more[kind]
}
