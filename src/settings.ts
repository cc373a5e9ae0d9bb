/**
 * Settings (DESIGN.md §9), parsed once. A bad one stops the start with a message that names it and what it may be, and
 * never repeats a secret.
 */
import * as z from 'zod'
import { keyBytes, type RingKey } from './core/backlog/seal.ts'
import type { LedgerSettings } from './core/ledger/port.ts'
import { youngMs } from './core/ledger/young.ts'
import type { Lane } from './core/update.ts'

/** Adobe: at most 1,000,000 updates in any rolling 24 hours. */
const adobeQuota = 1_000_000
/** A margin of 0.1 % for the last grants that a failover of the ledger may forget. */
const defaultQuota = 999_000
const dayMs = 86_400_000
const minHashKeyBytes = 32
/** A ledger keeps those of two windows, and says them all where it is asked for its usage. */
const maxBucketsPerWindow = 10_000
/** Cloudflare: about 1,000 operations on KV in one invocation. */
const defaultFlushMaxOps = 900
const minAdminTokenChars = 20

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

const whole = (min: number, max: number, fallback: number) =>
  z
    .string()
    .optional()
    .transform((text) => (text === undefined || text === '' ? fallback : /^\d{1,15}$/.test(text.trim()) ? Number(text) : Number.NaN))
    .refine((value) => Number.isInteger(value) && value >= min && value <= max, `must be a whole number from ${min} to ${max}`)

const fraction = (max: number, fallback: number) =>
  z
    .string()
    .optional()
    .transform((text) =>
      text === undefined || text === '' ? fallback : /^(0|0?\.\d+|0\.\d+)$/.test(text.trim()) ? Number(text) : Number.NaN,
    )
    .refine((value) => value >= 0 && value <= max, `must be a number from 0 to ${max}`)

const optional = z
  .string()
  .optional()
  .transform((text) => (text === '' ? undefined : text))

/** Comma-separated: all are accepted, so that secrets can be rotated. */
const list = z
  .string()
  .optional()
  .transform((text) => (text === undefined || text === '' ? [] : text.split(',').map((item) => item.trim())))
  .refine((items) => !items.includes(''), 'has an empty item: remove the extra comma')

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
  TARGET_TOKEN_EXPIRES_AT: optional.refine((text) => text === undefined || !Number.isNaN(Date.parse(text)), 'must be an ISO 8601 time'),
  TARGET_TIMEOUT_MS: whole(100, 25_000, 5_000),
  ANSWER_DEADLINE_MS: whole(100, 25_000, 2_500),
  OUTAGE_SETTLE_MS: whole(0, dayMs, 120_000),
  BACKOFF_BASE_MS: whole(1, 900_000, 5_000),
  FLUSH_MAX_MS: whole(1_000, 600_000, 45_000),
  FLUSH_MAX_OPS: whole(10, 1_000_000, defaultFlushMaxOps),
  QUOTA_LIMIT: whole(1, adobeQuota, defaultQuota),
  QUOTA_WINDOW_MS: whole(1_000, 7 * dayMs, dayMs),
  QUOTA_BUCKET_MS: whole(1, dayMs, 60_000),
  QUOTA_SLACK_MS: whole(0, 3_600_000, 15_000),
  REPLAY_RESERVE: fraction(0.5, 0.05),
  RETENTION_HOURS: whole(1, 24 * 30, 72),
  LEDGER_TIMEOUT_MS: whole(50, 10_000, 1_500),
  HOST: optional,
  PORT: whole(0, 65_535, 8_787),
  RELAY_DB: optional,
  FLUSH_EVERY_MS: whole(0, 3_600_000, 60_000),
  UPSTASH_REDIS_REST_URL: origin,
  UPSTASH_REDIS_REST_TOKEN: optional,
  // A token may be granted a lane: `bulk:…` for imports, `high:…` for what must not wait.
  API_TOKENS: list.transform((items, context) =>
    items.map((item) => {
      const [, lane, token] = /^([a-z]{1,12}):(.+)$/.exec(item) ?? []
      if (lane !== undefined && !['high', 'live', 'bulk'].includes(lane))
        context.addIssue('has a token with a prefix that is no lane: there are high:, live: and bulk:')
      return { token: token ?? item, lane: (lane ?? 'live') as Exclude<Lane, 'replay'> }
    }),
  ),
  // As long as a random one is; a word could be guessed.
  ADMIN_TOKEN: optional.refine(
    (text) => text === undefined || text.length >= minAdminTokenChars,
    `must have ${minAdminTokenChars} characters or more`,
  ),
  BACKLOG_KEYS: list.transform((items, context) =>
    items.map((item) => {
      const [, id = '', text = ''] = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/]+={0,2})$/.exec(item) ?? []
      const bytes = text.length % 4 === 0 ? Uint8Array.from(atob(text), (char) => char.charCodeAt(0)) : new Uint8Array()
      if (bytes.byteLength !== keyBytes)
        context.addIssue(`must be a ring of id:base64 keys, each of ${keyBytes} bytes, separated by commas; the first encrypts`)
      return { id, bytes }
    }),
  ),
  HASH_KEY: z
    .string(`is required: a secret of ${minHashKeyBytes} bytes or more`)
    .refine((text) => new TextEncoder().encode(text).byteLength >= minHashKeyBytes, `must have ${minHashKeyBytes} bytes or more`),
})

export type ParsedSettings =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly problems: readonly string[] }

/** @param env names and values, as a Worker's `env` or `process.env` has them; bindings among them are passed over */
export function parseSettings(env: Readonly<Record<string, unknown>>): ParsedSettings {
  const texts = Object.fromEntries(Object.entries(env).flatMap(([name, value]) => (isText(value) ? [[name, String(value)]] : [])))
  const parsed = format.safeParse(texts)
  const problems = parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`)
  const hookSecrets = new Map<string, readonly string[]>()
  for (const [name, text] of Object.entries(texts)) {
    const source = /^HOOK_SECRET_([A-Z0-9_]+)$/.exec(name)?.[1]
    if (source === undefined) continue
    const secrets = list.safeParse(text)
    if (secrets.success && secrets.data.length > 0) hookSecrets.set(source.toLowerCase().replaceAll('_', '-'), secrets.data)
    else problems.push(`${name} ${secrets.success ? 'is empty' : 'has an empty item: remove the extra comma'}`)
  }
  const url = texts['UPSTASH_REDIS_REST_URL'] ?? ''
  const token = texts['UPSTASH_REDIS_REST_TOKEN'] ?? ''
  if ((url === '') !== (token === ''))
    problems.push(`${url === '' ? 'UPSTASH_REDIS_REST_URL' : 'UPSTASH_REDIS_REST_TOKEN'} is missing: set both, or neither`)
  if (parsed.success && parsed.data.QUOTA_BUCKET_MS * 100 > parsed.data.QUOTA_WINDOW_MS)
    problems.push('QUOTA_BUCKET_MS must be at most a hundredth of QUOTA_WINDOW_MS')
  if (parsed.success && parsed.data.QUOTA_BUCKET_MS * maxBucketsPerWindow < parsed.data.QUOTA_WINDOW_MS)
    problems.push('QUOTA_BUCKET_MS must be at least a ten-thousandth of QUOTA_WINDOW_MS: a ledger keeps every bucket')
  if (!parsed.success || problems.length > 0) return { ok: false, problems }

  const given = parsed.data
  return {
    ok: true,
    settings: {
      targetClientCode: given.TARGET_CLIENT_CODE,
      targetOrigin: given.TARGET_ORIGIN?.replace(/\/$/, '') ?? `https://${given.TARGET_CLIENT_CODE}.tt.omtrdc.net`,
      ...(given.TARGET_TOKEN === undefined ? {} : { targetToken: given.TARGET_TOKEN }),
      targetMethod: given.TARGET_METHOD,
      targetStrictAnswer: given.TARGET_STRICT_ANSWER === '1',
      ...(given.TARGET_TOKEN_EXPIRES_AT === undefined ? {} : { targetTokenExpiresAtMs: Date.parse(given.TARGET_TOKEN_EXPIRES_AT) }),
      targetTimeoutMs: given.TARGET_TIMEOUT_MS,
      answerDeadlineMs: given.ANSWER_DEADLINE_MS,
      outageSettleMs: given.OUTAGE_SETTLE_MS,
      backoffBaseMs: given.BACKOFF_BASE_MS,
      flushMaxMs: given.FLUSH_MAX_MS,
      flushMaxOps: given.FLUSH_MAX_OPS,
      quotaLimit: given.QUOTA_LIMIT,
      quotaWindowMs: given.QUOTA_WINDOW_MS,
      quotaBucketMs: given.QUOTA_BUCKET_MS,
      quotaSlackMs: given.QUOTA_SLACK_MS,
      replayReserve: given.REPLAY_RESERVE,
      retentionHours: given.RETENTION_HOURS,
      ledgerTimeoutMs: given.LEDGER_TIMEOUT_MS,
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
    pathname === '/' && search === '' && hash === '' && username === '' && (protocol === 'https:' || (protocol === 'http:' && loopback))
  )
}
