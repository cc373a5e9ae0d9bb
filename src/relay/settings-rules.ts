/**
 * What must hold between settings: defaults that follow from others, values that contradict each other, secrets that
 * are shared.
 */
import { inFlightMs, startWithinMs } from '../core/ledger/rules/in-flight.ts'
import { adobeQuota, dayMs, type Given } from './settings-table.ts'

const defaultSlackMs = 15_000
const defaultOutageSettleMs = 120_000
const defaultLedgerTimeoutMs = 1_500
/** Cloudflare: how long a Worker lives on behind its answer; a server that is asked to stop has about as long. */
const behindAnswerMs = 30_000
/** A ledger keeps those of two windows, and reports them all when asked for its usage. */
const maxBucketsPerWindow = 10_000

export type Times = { readonly [Name in 'OUTAGE_SETTLE_MS' | 'QUOTA_SLACK_MS' | 'LEDGER_TIMEOUT_MS']: number }

/** The defaults that follow from other settings. */
export function timesOf(given: Given): Times {
  const flightMs = inFlightMs(given.TARGET_TIMEOUT_MS)
  const ledgerMs = given.LEDGER_TIMEOUT_MS ?? Math.min(defaultLedgerTimeoutMs, given.ANSWER_DEADLINE_MS)
  return {
    LEDGER_TIMEOUT_MS: ledgerMs,
    QUOTA_SLACK_MS: given.QUOTA_SLACK_MS ?? Math.max(defaultSlackMs, flightMs),
    OUTAGE_SETTLE_MS: given.OUTAGE_SETTLE_MS ?? Math.max(defaultOutageSettleMs, flightMs + ledgerMs),
  }
}

/** Values that are valid alone and break a promise together: each is reported with the reason. */
export function contradictions(given: Omit<Given, keyof Times> & Times): readonly string[] {
  const {
    TARGET_TIMEOUT_MS: targetMs,
    LEDGER_TIMEOUT_MS: ledgerMs,
    OUTAGE_SETTLE_MS: settleMs,
    QUOTA_WINDOW_MS: windowMs,
  } = given
  const flightMs = inFlightMs(targetMs)
  const retentionMs = given.RETENTION_HOURS * 3_600_000
  const behindMs = startWithinMs + targetMs + 2 * ledgerMs
  // A stand-in of Target on this machine has no quota: a day can be tried out in seconds.
  const isTrial = given.TARGET_ORIGIN?.startsWith('http:') === true
  const rules: readonly (readonly [broken: boolean, problem: string])[] = [
    [given.QUOTA_BUCKET_MS * 100 > windowMs, 'QUOTA_BUCKET_MS must be at most a hundredth of QUOTA_WINDOW_MS'],
    [
      given.QUOTA_BUCKET_MS * maxBucketsPerWindow < windowMs,
      'QUOTA_BUCKET_MS must be at least a ten-thousandth of QUOTA_WINDOW_MS: a ledger keeps every bucket',
    ],
    [
      !isTrial && given.QUOTA_LIMIT * Math.ceil(dayMs / windowMs) > adobeQuota,
      `QUOTA_WINDOW_MS lets QUOTA_LIMIT through ${Math.ceil(dayMs / windowMs)} times in 24 hours, and Adobe allows ${adobeQuota} calls: lower QUOTA_LIMIT or raise QUOTA_WINDOW_MS`,
    ],
    [
      !isTrial && given.QUOTA_SLACK_MS < flightMs,
      `QUOTA_SLACK_MS must be ${flightMs} or more with TARGET_TIMEOUT_MS ${targetMs}: so long may a call be under way when its unit is counted`,
    ],
    [
      !isTrial && settleMs < flightMs + ledgerMs,
      `OUTAGE_SETTLE_MS must be ${flightMs + ledgerMs} or more with TARGET_TIMEOUT_MS ${targetMs} and LEDGER_TIMEOUT_MS ${ledgerMs}: so long may an admission without an answer be under way`,
    ],
    [
      (given.ALERT_URL === undefined) !== (given.ALERT_SECRET.length === 0),
      'ALERT_URL and ALERT_SECRET go together: set both, or neither',
    ],
    [settleMs >= retentionMs, 'OUTAGE_SETTLE_MS must be shorter than RETENTION_HOURS, or what waits for it expires'],
    [
      given.FLUSH_EVERY_MS >= retentionMs,
      'FLUSH_EVERY_MS must be shorter than RETENTION_HOURS, or what waits for it expires',
    ],
    [
      ledgerMs > given.ANSWER_DEADLINE_MS,
      'LEDGER_TIMEOUT_MS must be at most ANSWER_DEADLINE_MS: an answer waits for the ledger first',
    ],
    [
      behindMs > behindAnswerMs,
      `TARGET_TIMEOUT_MS and twice LEDGER_TIMEOUT_MS must be ${behindAnswerMs - startWithinMs} together at most: a Worker lives ${behindAnswerMs / 1_000} s behind its answer, and a call must be settled by then`,
    ],
  ]
  return rules.filter(([broken]) => broken).map(([, problem]) => problem)
}

/** The secret part of `label:secret` and `user:password`. */
export function ownPart(secret: string): string {
  return secret.slice(secret.indexOf(':') + 1)
}

/** One secret for two purposes: whoever holds it for one could do the other. The messages hold nothing of it. */
export function sharedSecrets(given: Given, hookSecrets: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const lanes = new Map<string, string>()
  const problems: string[] = []
  for (const { token, lane } of given.API_TOKENS) {
    if ((lanes.get(token) ?? lane) !== lane)
      problems.push('API_TOKENS grants one token two lanes: give each lane a token of its own')
    lanes.set(token, lane)
  }
  // Of `label:secret` and `user:password` the part after the colon counts too. Sources may share a secret: a vendor's
  // app that sends to several of them has only one.
  const ofSources = [...hookSecrets].map(([source, secrets]): Purpose => {
    const name = `HOOK_SECRET_${source.toUpperCase().replaceAll('-', '_')}`
    return [name, secrets.flatMap((secret) => [secret, ownPart(secret)])]
  })
  const operators = [given.ADMIN_TOKEN, given.VIEW_TOKEN].map((some) => some.map(({ token }) => token))
  for (const [index, name] of (['ADMIN_TOKEN', 'VIEW_TOKEN'] as const).entries())
    if (new Set(operators[index]).size < (operators[index]?.length ?? 0))
      problems.push(`${name} holds one token twice: whose act it was could not be said`)
  const purposes: readonly Purpose[] = [
    ['ADMIN_TOKEN', operators[0] ?? []],
    ['VIEW_TOKEN', operators[1] ?? []],
    ['HASH_KEY', [given.HASH_KEY]],
    ['ALERT_SECRET', given.ALERT_SECRET.map(({ text }) => text)],
    ['API_TOKENS', [...lanes.keys()]],
  ]
  for (const [index, [name, secrets]] of purposes.entries())
    for (const [other, others] of [...purposes.slice(index + 1), ...ofSources])
      if (secrets.some((secret) => others.includes(secret)))
        problems.push(`${other} holds the same secret as ${name}: each needs its own`)
  return [...new Set(problems)]
}

type Purpose = readonly [setting: string, secrets: readonly string[]]
