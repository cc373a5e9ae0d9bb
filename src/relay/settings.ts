/**
 * Settings (docs/settings.md), parsed once. A bad one stops the start with a message that names it and what it may be,
 * and never repeats a secret.
 */
import * as z from 'zod'
import { keyBytes, type RingKey } from '../core/backlog/seal.ts'
import type { LedgerSettings } from '../core/ledger/port.ts'
import { longestYoungMs, maxTargetTimeoutMs, startWithinMs, youngMs } from '../core/ledger/rules/in-flight.ts'
import type { Lane } from '../core/update/update.ts'

/** Adobe: at most 1,000,000 updates in any rolling 24 hours. */
const adobeQuota = 1_000_000
/** A margin of 0.1 % for the last grants that a failover of the ledger may forget. */
const defaultQuota = 999_000
const dayMs = 86_400_000
const defaultSlackMs = 15_000
const defaultOutageSettleMs = 120_000
const defaultLedgerTimeoutMs = 1_500
/** Cloudflare: how long a Worker lives on behind its answer; a server that is asked to stop has about as long. */
const behindAnswerMs = 30_000
const minHashKeyBytes = 32
/** A ledger keeps those of two windows, and says them all where it is asked for its usage. */
const maxBucketsPerWindow = 10_000
/** Cloudflare: about 1,000 operations on KV in one invocation. */
const defaultFlushMaxOps = 900
/** With less a run can't get past a page that is hard to read, and its backlog would not drain (G7): found by the simulator. */
const leastFlushMs = 5_000
const leastFlushOps = 40
/** As long as a random one is; a word could be guessed. */
const minTokenChars = 20
/** What senders let one choose is shorter at times. */
const minHookSecretChars = 8

export interface Settings {
  readonly targetClientCode: string
  readonly targetOrigin: string
  readonly targetToken?: string
  readonly targetMethod: 'post' | 'auto' | 'get'
  readonly targetStrictAnswer: boolean
  readonly targetTokenExpiresAtMs?: number
  readonly targetTimeoutMs: number
  readonly answerDeadlineMs: number
  readonly outageSettleMs: number
  readonly backoffBaseMs: number
  readonly flushMaxMs: number
  readonly flushMaxOps: number
  readonly flushMaxCalls: number
  readonly quotaLimit: number
  readonly quotaWindowMs: number
  readonly quotaBucketMs: number
  readonly quotaSlackMs: number
  readonly replayReserve: number
  readonly retentionHours: number
  readonly ledgerTimeoutMs: number
  /** Off Workers: where it listens, the SQLite file, and how often it flushes (0: never, something else does). */
  readonly host: string
  readonly port: number
  readonly relayDb: string
  readonly flushEveryMs: number
  readonly upstash?: { readonly url: string; readonly token: string }
  readonly apiTokens: readonly { readonly token: string; readonly lane: Exclude<Lane, 'replay'> }[]
  readonly adminToken?: string
  /** Secrets by source name. */
  readonly hookSecrets: ReadonlyMap<string, readonly string[]>
  readonly hashKey: string
  /** The first encrypts what is kept; all decrypt. */
  readonly backlogKeys: readonly RingKey[]
}

/** Without a default where another setting decides what it is. */
const wholeOrNone = (min: number, max: number) => whole(min, max, undefined)

const whole = <Fallback extends number | undefined>(min: number, max: number, fallback: Fallback) =>
  z
    .string()
    .optional()
    .transform((text): number | Fallback =>
      text === undefined || text === '' ? fallback : /^\d{1,15}$/.test(text.trim()) ? Number(text) : Number.NaN,
    )
    .refine(
      (value) => value === undefined || (Number.isInteger(value) && value >= min && value <= max),
      `must be a whole number from ${min} to ${max}`,
    )

const fraction = (max: number, fallback: number) =>
  z
    .string()
    .optional()
    .transform((text) =>
      text === undefined || text === ''
        ? fallback
        : /^(0|0?\.\d+|0\.\d+)$/.test(text.trim())
          ? Number(text)
          : Number.NaN,
    )
    .refine((value) => value >= 0 && value <= max, `must be a number from 0 to ${max}`)

const optional = z
  .string()
  .optional()
  .transform((text) => (text === '' ? undefined : text))

/** Comma-separated, or a JSON list where an item may hold a comma: all are accepted, so that secrets can be rotated. */
const list = z
  .string()
  .optional()
  .transform((text, context) => {
    if (text === undefined || text === '') return []
    const items = text.startsWith('[') ? jsonItems(text) : text.split(',').map((item) => item.trim())
    if (items === undefined)
      context.addIssue(
        'begins with [ and is no JSON list of texts: write ["…","…"], or without the bracket, with commas between',
      )
    else if (items.includes(''))
      context.addIssue(
        'has an empty item: remove the extra comma, or write a JSON list, ["…","…"], where a secret holds a comma',
      )
    return items ?? []
  })

function jsonItems(text: string): readonly string[] | undefined {
  try {
    const items: unknown = JSON.parse(text)
    return Array.isArray(items) && items.every((item) => typeof item === 'string')
      ? items.map((item) => item.trim())
      : undefined
  } catch {
    return undefined
  }
}

/** What is wrong with a token that an Authorization header is to carry. */
function tokenProblem(token: string): string | undefined {
  if (token.length < minTokenChars) return `must have ${minTokenChars} characters or more`
  return /^[\x21-\x7e]+$/.test(token) ? undefined : 'must be ASCII without white space: no header could carry it'
}

/** Which of several it is, and what may have cut it in two. */
function perItem(index: number, count: number): string {
  return count === 1
    ? ''
    : `, and item ${index + 1} of ${count} does not (a secret that holds a comma goes into a JSON list: ["…"])`
}

const origin = optional.refine(
  (text) => text === undefined || isOrigin(text),
  'must be an https:// origin without a path (http:// for loopback only)',
)

const format = z.object({
  TARGET_CLIENT_CODE: z
    .string('is required: your Adobe Target client code')
    .min(1, 'is required: your Adobe Target client code')
    .regex(/^[a-z0-9-]*$/, 'must be lower-case letters, digits and hyphens'),
  TARGET_ORIGIN: origin,
  TARGET_TOKEN: optional,
  TARGET_METHOD: z.enum(['post', 'auto', 'get'], 'must be post, auto or get').default('post'),
  TARGET_STRICT_ANSWER: z.enum(['0', '1'], 'must be 0 or 1').default('1'),
  TARGET_TOKEN_EXPIRES_AT: optional.refine(
    (text) => text === undefined || !Number.isNaN(Date.parse(text)),
    'must be an ISO 8601 time',
  ),
  TARGET_TIMEOUT_MS: whole(100, maxTargetTimeoutMs, 5_000),
  ANSWER_DEADLINE_MS: whole(100, 25_000, 2_500),
  OUTAGE_SETTLE_MS: wholeOrNone(0, dayMs),
  BACKOFF_BASE_MS: whole(1, 900_000, 5_000),
  FLUSH_MAX_MS: whole(leastFlushMs, 600_000, 45_000),
  FLUSH_MAX_OPS: whole(leastFlushOps, 1_000_000, defaultFlushMaxOps),
  FLUSH_MAX_CALLS: whole(1, 1_000_000, 9_000),
  QUOTA_LIMIT: whole(1, adobeQuota, defaultQuota),
  QUOTA_WINDOW_MS: whole(1_000, 7 * dayMs, dayMs),
  QUOTA_BUCKET_MS: whole(1, dayMs, 60_000),
  QUOTA_SLACK_MS: wholeOrNone(0, 3_600_000),
  REPLAY_RESERVE: fraction(0.5, 0.05),
  RETENTION_HOURS: whole(1, 24 * 30, 72),
  LEDGER_TIMEOUT_MS: wholeOrNone(50, 10_000),
  HOST: optional,
  PORT: whole(0, 65_535, 8_787),
  RELAY_DB: optional,
  FLUSH_EVERY_MS: whole(0, 3_600_000, 60_000),
  UPSTASH_REDIS_REST_URL: origin,
  UPSTASH_REDIS_REST_TOKEN: optional,
  // A token may be granted a lane: `bulk:…` for imports, `high:…` for what must not wait.
  API_TOKENS: list.transform((items, context) =>
    items.map((item, index) => {
      const [, lane, token] = /^([a-z]{1,12}):(.+)$/.exec(item) ?? []
      if (lane !== undefined && !['high', 'live', 'bulk'].includes(lane))
        context.addIssue('has a token with a prefix that is no lane: there are high:, live: and bulk:')
      const problem = tokenProblem(token ?? item)
      if (problem !== undefined) context.addIssue(problem + perItem(index, items.length))
      return { token: token ?? item, lane: (lane ?? 'live') as Exclude<Lane, 'replay'> }
    }),
  ),
  ADMIN_TOKEN: optional.transform((text, context) => {
    const problem = text === undefined ? undefined : tokenProblem(text)
    if (problem !== undefined) context.addIssue(problem)
    return text
  }),
  BACKLOG_KEYS: list.transform((items, context) =>
    items.map((item) => {
      const [, id = '', text = ''] = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/]+={0,2})$/.exec(item) ?? []
      const bytes = text.length % 4 === 0 ? Uint8Array.from(atob(text), (char) => char.charCodeAt(0)) : new Uint8Array()
      if (bytes.byteLength !== keyBytes)
        context.addIssue(
          `must be a ring of id:base64 keys, each of ${keyBytes} bytes, separated by commas; the first encrypts`,
        )
      // What one of them encrypted would be decrypted with the other, and read as damaged.
      else if (items.filter((other) => other.startsWith(`${id}:`)).length > 1)
        context.addIssue('has two keys of one id: each needs its own')
      return { id, bytes }
    }),
  ),
  HASH_KEY: z
    .string(`is required: a secret of ${minHashKeyBytes} bytes or more`)
    .refine(
      (text) => new TextEncoder().encode(text).byteLength >= minHashKeyBytes,
      `must have ${minHashKeyBytes} bytes or more`,
    ),
})

export type ParsedSettings =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly problems: readonly string[] }

/** @param env names and values, as a Worker's `env` or `process.env` has them; bindings among them are passed over */
export function parseSettings(env: Readonly<Record<string, unknown>>): ParsedSettings {
  const texts = Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (isText(value) ? [[name, String(value).trim()]] : [])),
  )
  const parsed = format.safeParse(texts)
  const problems = parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`)
  const hookSecrets = new Map<string, readonly string[]>()
  for (const [name, text] of Object.entries(texts)) {
    const source = /^HOOK_SECRET_([A-Z0-9_]+)$/.exec(name)?.[1]
    if (source === undefined) continue
    const secrets = list.safeParse(text)
    if (!secrets.success) problems.push(...secrets.error.issues.map(({ message }) => `${name} ${message}`))
    else if (secrets.data.length === 0) problems.push(`${name} is empty`)
    else hookSecrets.set(source.toLowerCase().replaceAll('_', '-'), secrets.data)
    const short = secrets.data?.findIndex((secret) => ownPart(secret).length < minHookSecretChars) ?? -1
    if (short !== -1)
      problems.push(
        `${name} must have ${minHookSecretChars} characters or more (behind a label or user and its colon)${perItem(short, secrets.data?.length ?? 1)}`,
      )
  }
  const url = texts['UPSTASH_REDIS_REST_URL'] ?? ''
  const token = texts['UPSTASH_REDIS_REST_TOKEN'] ?? ''
  if ((url === '') !== (token === ''))
    problems.push(
      `${url === '' ? 'UPSTASH_REDIS_REST_URL' : 'UPSTASH_REDIS_REST_TOKEN'} is missing: set both, or neither`,
    )
  const times = parsed.success ? timesOf(parsed.data) : undefined
  if (parsed.success && times !== undefined)
    problems.push(...contradictions({ ...parsed.data, ...times }), ...sharedSecrets(parsed.data, hookSecrets))
  if (!parsed.success || times === undefined || problems.length > 0) return { ok: false, problems }

  const given = parsed.data
  return {
    ok: true,
    settings: {
      targetClientCode: given.TARGET_CLIENT_CODE,
      targetOrigin: given.TARGET_ORIGIN?.replace(/\/$/, '') ?? `https://${given.TARGET_CLIENT_CODE}.tt.omtrdc.net`,
      ...(given.TARGET_TOKEN === undefined ? {} : { targetToken: given.TARGET_TOKEN }),
      targetMethod: given.TARGET_METHOD,
      targetStrictAnswer: given.TARGET_STRICT_ANSWER === '1',
      ...(given.TARGET_TOKEN_EXPIRES_AT === undefined
        ? {}
        : { targetTokenExpiresAtMs: Date.parse(given.TARGET_TOKEN_EXPIRES_AT) }),
      targetTimeoutMs: given.TARGET_TIMEOUT_MS,
      answerDeadlineMs: given.ANSWER_DEADLINE_MS,
      outageSettleMs: times.OUTAGE_SETTLE_MS,
      backoffBaseMs: given.BACKOFF_BASE_MS,
      flushMaxMs: given.FLUSH_MAX_MS,
      flushMaxOps: given.FLUSH_MAX_OPS,
      flushMaxCalls: given.FLUSH_MAX_CALLS,
      quotaLimit: given.QUOTA_LIMIT,
      quotaWindowMs: given.QUOTA_WINDOW_MS,
      quotaBucketMs: given.QUOTA_BUCKET_MS,
      quotaSlackMs: times.QUOTA_SLACK_MS,
      replayReserve: given.REPLAY_RESERVE,
      retentionHours: given.RETENTION_HOURS,
      ledgerTimeoutMs: times.LEDGER_TIMEOUT_MS,
      host: given.HOST ?? '127.0.0.1',
      port: given.PORT,
      relayDb: given.RELAY_DB ?? 'target-relay.sqlite',
      flushEveryMs: given.FLUSH_EVERY_MS,
      ...(url === '' ? {} : { upstash: { url, token } }),
      apiTokens: given.API_TOKENS,
      ...(given.ADMIN_TOKEN === undefined ? {} : { adminToken: given.ADMIN_TOKEN }),
      hookSecrets,
      hashKey: given.HASH_KEY,
      backlogKeys: given.BACKLOG_KEYS,
    },
  }
}

type Given = z.output<typeof format>
type Times = { readonly [Name in 'OUTAGE_SETTLE_MS' | 'QUOTA_SLACK_MS' | 'LEDGER_TIMEOUT_MS']: number }

/** The defaults that go along with what else is set. */
function timesOf(given: Given): Times {
  const flightMs = youngMs(given.TARGET_TIMEOUT_MS)
  const ledgerMs = given.LEDGER_TIMEOUT_MS ?? Math.min(defaultLedgerTimeoutMs, given.ANSWER_DEADLINE_MS)
  return {
    LEDGER_TIMEOUT_MS: ledgerMs,
    QUOTA_SLACK_MS: given.QUOTA_SLACK_MS ?? Math.max(defaultSlackMs, flightMs),
    OUTAGE_SETTLE_MS: given.OUTAGE_SETTLE_MS ?? Math.max(defaultOutageSettleMs, flightMs + ledgerMs),
  }
}

/** Values that are good alone, and together would break a promise: each is told with the reason. */
function contradictions(given: Omit<Given, keyof Times> & Times): readonly string[] {
  const {
    TARGET_TIMEOUT_MS: targetMs,
    LEDGER_TIMEOUT_MS: ledgerMs,
    OUTAGE_SETTLE_MS: settleMs,
    QUOTA_WINDOW_MS: windowMs,
  } = given
  const flightMs = youngMs(targetMs)
  const retentionMs = given.RETENTION_HOURS * 3_600_000
  const behindMs = startWithinMs + targetMs + 2 * ledgerMs
  // A stand-in of Target on this machine has no quota of Adobe's: there days may be tried out in seconds.
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

/** Of `label:secret` and `user:password` what is secret. */
function ownPart(secret: string): string {
  return secret.slice(secret.indexOf(':') + 1)
}

/** One secret for two purposes: whoever holds it for the one could do the other. Nothing of it is told. */
function sharedSecrets(given: Given, hookSecrets: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const lanes = new Map<string, string>()
  const problems: string[] = []
  for (const { token, lane } of given.API_TOKENS) {
    if ((lanes.get(token) ?? lane) !== lane)
      problems.push('API_TOKENS grants one token two lanes: give each lane a token of its own')
    lanes.set(token, lane)
  }
  // `label:secret` and `user:password` are the secret behind the colon, too. Sources may share one: an app of a vendor
  // that sends to several of them has but one.
  const ofSources = [...hookSecrets].map(([source, secrets]): Purpose => {
    const name = `HOOK_SECRET_${source.toUpperCase().replaceAll('-', '_')}`
    return [name, secrets.flatMap((secret) => [secret, ownPart(secret)])]
  })
  const purposes: readonly Purpose[] = [
    ['ADMIN_TOKEN', given.ADMIN_TOKEN === undefined ? [] : [given.ADMIN_TOKEN]],
    ['HASH_KEY', [given.HASH_KEY]],
    ['API_TOKENS', [...lanes.keys()]],
  ]
  for (const [index, [name, secrets]] of purposes.entries())
    for (const [other, others] of [...purposes.slice(index + 1), ...ofSources])
      if (secrets.some((secret) => others.includes(secret)))
        problems.push(`${other} holds the same secret as ${name}: each needs its own`)
  return [...new Set(problems)]
}

type Purpose = readonly [setting: string, secrets: readonly string[]]

/** What the ledger needs of the settings. */
export function ledgerSettings(settings: Settings): LedgerSettings {
  return {
    quotaLimit: settings.quotaLimit,
    quotaWindowMs: settings.quotaWindowMs,
    quotaBucketMs: settings.quotaBucketMs,
    quotaSlackMs: settings.quotaSlackMs,
    replayReserve: settings.replayReserve,
    retentionMs: settings.retentionHours * 3_600_000,
    youngMs: youngMs(settings.targetTimeoutMs),
    longestYoungMs,
  }
}

function isText(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number'
}

function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, pathname, search, hash, username } = new URL(text)
  const loopback = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
  return (
    pathname === '/' &&
    search === '' &&
    hash === '' &&
    username === '' &&
    (protocol === 'https:' || (protocol === 'http:' && loopback))
  )
}
