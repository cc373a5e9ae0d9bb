/** The settings with which a night begins, and how they change between restarts. */
import type { Random } from '../../src/core/clock.ts'
import { defaultLimits, type Limits } from '../../src/core/limits.ts'
import { parseSettings, type Settings } from '../../src/relay/settings.ts'
import { testSecrets } from '../support/secrets.ts'
import { between, magnitude, type Night, pick } from './draws.ts'

export const highToken = 'high-token-for-tests-only'
export const bulkToken = 'bulk-token-for-tests-only'

/** Settings by name, as a deployer sets them; what no setting allows is in `beyond`. */
export interface Knobs {
  readonly env: Readonly<Record<string, string | number>>
  readonly beyond: Partial<Settings>
}

const ringKeys = Object.fromEntries(
  ['k', 'n', 'z'].map((id) => [id, Buffer.alloc(32, id.charCodeAt(0)).toString('base64')]),
)
export const ringOf = (...ids: readonly string[]) => ids.map((id) => `${id}:${ringKeys[id]}`).join(',')

/**
 * A window of minutes has spans of seconds, and a run comes each minute: it finds the part of one span only. With fewer
 * units a backlog that the quota carries would not drain before it is too old.
 */
const leastPaced = 40

export function firstKnobs(
  night: Night,
  plain: { readonly quotaLimit: number; readonly windowMs: number; readonly method: string; readonly sealed: boolean },
): Knobs {
  const env: Record<string, string | number> = {
    TARGET_CLIENT_CODE: 'demo',
    TARGET_METHOD: plain.method,
    HASH_KEY: testSecrets.hashKey,
    API_TOKENS: `${testSecrets.apiToken},high:${highToken},bulk:${bulkToken}`,
    ADMIN_TOKEN: testSecrets.adminToken,
    HOOK_SECRET_KIOSK: testSecrets.hook('kiosk'),
    HOOK_SECRET_SIGN_UP: testSecrets.hook('sign-up'),
    BACKLOG_KEYS: plain.sealed ? ringOf('k') : '',
    QUOTA_LIMIT: plain.quotaLimit,
    QUOTA_WINDOW_MS: plain.windowMs,
    QUOTA_BUCKET_MS: plain.windowMs / 100,
    QUOTA_SLACK_MS: 15_000,
    REPLAY_RESERVE: 0.1,
    RETENTION_HOURS: 1,
    TARGET_TIMEOUT_MS: 1_000,
    ANSWER_DEADLINE_MS: 700,
  }
  let beyond: Partial<Settings> = {}
  if (night.has('settings')) {
    const random = night.random('settings')
    const perhaps = (name: string, value: () => number) => {
      if (random.fraction() < 0.5) env[name] = value()
    }
    perhaps('REPLAY_RESERVE', () => Math.round(random.fraction() * 50) / 100)
    perhaps('BACKOFF_BASE_MS', () => magnitude(random, 1, 900_000))
    perhaps('OUTAGE_SETTLE_MS', () => between(random, 60_000, 300_000))
    perhaps('ANSWER_DEADLINE_MS', () => magnitude(random, 100, 5_000))
    perhaps('LEDGER_TIMEOUT_MS', () => magnitude(random, 50, 5_000))
    perhaps('TARGET_TIMEOUT_MS', () => magnitude(random, 100, 10_000))
    perhaps('FLUSH_MAX_MS', () => magnitude(random, 5_000, 120_000))
    perhaps('FLUSH_MAX_OPS', () => magnitude(random, 100, 2_000))
    if (env['LEDGER_TIMEOUT_MS'] !== undefined)
      env['ANSWER_DEADLINE_MS'] = Math.max(Number(env['LEDGER_TIMEOUT_MS']), Number(env['ANSWER_DEADLINE_MS']))
    // No entry expires while it waits, so that a stuck one is noticed.
    perhaps('RETENTION_HOURS', () => between(random, 6, 72))
  }
  if (night.has('knobs')) {
    const random = night.random('knobs')
    env['RETENTION_HOURS'] = pick(random, [1, 1, 6, 72])
    // With a used-up quota, units that a changed window forgets or never frees are noticed.
    if (random.fraction() < 0.5) env['QUOTA_LIMIT'] = between(random, 10, 20)
  }
  if (night.has('pace')) {
    env['PACE'] = 'even'
    env['QUOTA_LIMIT'] = Math.max(leastPaced, Number(env['QUOTA_LIMIT']))
  }
  if (night.has('segments')) {
    const random = night.random('segments')
    env['FLUSH_RUNS'] = pick(random, [1, 2, 3, 4, 4, 16])
    env['FLUSH_MAX_CALLS'] = between(random, 1, 4)
  }
  if (night.has('unchanged')) env['API_SKIP_UNCHANGED'] = '1'
  if (night.has('tiny budgets'))
    beyond = { ...beyond, ...tinyBudgets(night.random('tiny budgets'), night.has('tiny limits')) }
  return { env, beyond }
}

/** With pages of three, each step of the ring takes a list to find the next one. */
function tinyBudgets(random: Random, tinyPages: boolean): Partial<Settings> {
  return {
    ...(random.fraction() < 0.7
      ? { flushMaxOps: tinyPages ? between(random, 200, 300) : between(random, 40, 60), flushLearnsOps: false }
      : {}),
    ...(random.fraction() < 0.5 ? { flushMaxMs: magnitude(random, 300, 5_000) } : {}),
  }
}

export function settingsOf({ env, beyond }: Knobs): Settings {
  const parsed = parseSettings(env)
  if (!parsed.ok) throw new Error(parsed.problems.join('; '))
  return { ...parsed.settings, ...beyond }
}

/** The settings that a deploy changes. */
export const knobNames = [
  'bucket',
  'window',
  'limit',
  'retention',
  'method',
  'keys',
  'budgets',
  'timeout',
  'pace',
  'unchanged',
] as const
export type KnobName = (typeof knobNames)[number]

export function turned({ env, beyond }: Knobs, knob: KnobName, random: Random): Knobs {
  const windowMs = Number(env['QUOTA_WINDOW_MS'])
  const change = ((): Record<string, string | number> => {
    switch (knob) {
      case 'bucket':
        return {
          QUOTA_BUCKET_MS: Math.max(1, Math.floor(windowMs / pick(random, [100, 101, 130, 400, 1_000, 10_000]))),
        }
      case 'window': {
        const other = pick(random, [30_000, 60_000, 100_000, 120_000, 240_000, 600_000])
        return {
          QUOTA_WINDOW_MS: other,
          QUOTA_BUCKET_MS: Math.max(1, Math.floor(other / pick(random, [100, 100, 250, 1_000]))),
        }
      }
      case 'limit':
        return { QUOTA_LIMIT: between(random, env['PACE'] === 'even' ? leastPaced : 10, 70) }
      case 'retention':
        return { RETENTION_HOURS: Number(env['RETENTION_HOURS']) === 1 ? pick(random, [2, 24, 72]) : 1 }
      case 'method':
        return { TARGET_METHOD: pick(random, ['post', 'auto', 'get']) }
      case 'keys': {
        const ring = String(env['BACKLOG_KEYS'])
        return { BACKLOG_KEYS: ring === '' ? ringOf('k') : ring.includes('n:') ? ring : `${ringOf('n')},${ring}` }
      }
      case 'budgets':
        return {
          FLUSH_MAX_MS: magnitude(random, 5_000, 120_000),
          FLUSH_MAX_OPS: magnitude(random, 100, 2_000),
          ...(env['FLUSH_RUNS'] === undefined ? {} : { FLUSH_RUNS: between(random, 1, 4) }),
        }
      case 'pace':
        return env['PACE'] === 'even'
          ? { PACE: 'none' }
          : { PACE: 'even', QUOTA_LIMIT: Math.max(leastPaced, Number(env['QUOTA_LIMIT'])) }
      case 'unchanged':
        return { API_SKIP_UNCHANGED: env['API_SKIP_UNCHANGED'] === '1' ? '0' : '1' }
      case 'timeout':
        return { TARGET_TIMEOUT_MS: magnitude(random, 200, 8_000) }
    }
  })()
  return { env: { ...env, ...change }, beyond }
}

/** Limits so small that each is reached many times a night. */
export function limitsOf(night: Night): Limits {
  const most = night.has('denials') ? { ...defaultLimits, ...fewDenials(night.random('denials')) } : defaultLimits
  const planned = night.has('plans') ? { ...most, ...fewLetters(night.random('plans')) } : most
  const piped = night.has('pipeline') ? { ...planned, ...smallChunks(night.random('pipeline')) } : planned
  const shared = night.has('segments') ? { ...piped, ...smallPages(night.random('segments')) } : piped
  if (!night.has('tiny limits')) return shared
  const random = night.random('tiny limits')
  const attributesPerAttempt = between(random, 2, 5)
  return {
    ...shared,
    attributesPerAttempt,
    attemptsTogether: night.has('pipeline') ? piped.attemptsTogether : between(random, 1, 16),
    attributesTogether: between(random, attributesPerAttempt, 40),
    registersPerPage: between(random, 2, 5),
    keysPerPage: between(random, 3, 6),
    entriesTogether: between(random, 1, 20),
    bytesPerPage: 4_096,
    keysPerRead: between(random, 2, 10),
    bytesPerRead: 2_048,
    // So few that a census takes several runs.
    ...(night.has('census') ? { dutyOperations: between(night.random('census'), 4, 12) } : {}),
    deadPagesPerRun: between(random, 1, 4),
  }
}

function smallChunks(random: Random): Pick<Limits, 'attemptsTogether' | 'connections' | 'chunksAtOnce'> {
  return {
    attemptsTogether: between(random, 1, 4),
    connections: between(random, 1, 6),
    chunksAtOnce: between(random, 1, 5),
  }
}

/** So that more than a page waits. */
function smallPages(random: Random): Pick<Limits, 'keysPerPage' | 'entriesTogether'> {
  return { keysPerPage: between(random, 2, 3), entriesTogether: between(random, 1, 10) }
}

function fewLetters(random: Random): Pick<Limits, 'keysPerPlanPage' | 'lettersPerStep' | 'dutyOperations'> {
  return {
    keysPerPlanPage: between(random, 1, 4),
    lettersPerStep: between(random, 1, 4),
    dutyOperations: between(random, 10, 60),
  }
}

function fewDenials(random: Random): Pick<Limits, 'denialsThatJudge' | 'denialsLastMs'> {
  return { denialsThatJudge: between(random, 2, 4), denialsLastMs: between(random, 0, 60_000) }
}
