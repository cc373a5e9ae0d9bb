/** All settings by name: what each may be, and its default (docs/settings.md). */
import * as z from 'zod'
import { keyBytes } from '../core/backlog/seal.ts'
import { maxTargetTimeoutMs } from '../core/ledger/rules/in-flight.ts'
import { paces } from '../core/ledger/rules/settings.ts'
import type { Lane } from '../core/update/update.ts'
import { logRequestsChoices } from '../edge/http/request-line.ts'
import {
  fraction,
  list,
  operatorTokens,
  optional,
  origin,
  perItem,
  readDay,
  tokenProblem,
  webhookSecrets,
  webhookUrl,
  whole,
  wholeOrNone,
} from './settings-fields.ts'

/** Adobe: at most 1,000,000 updates in any rolling 24 hours. */
export const adobeQuota = 1_000_000
/** A margin of 0.1 % for the last grants that a failover of the ledger may forget. */
const defaultQuota = 999_000
export const dayMs = 86_400_000
const minHashKeyBytes = 32
/**
 * With less a run can't get past a page that is slow to read, and the backlog would not drain (G7; found by the
 * simulator).
 */
const leastFlushMs = 5_000
const leastFlushOps = 40

export const table = z.object({
  TARGET_CLIENT_CODE: z
    .string('is required: your Adobe Target client code')
    .min(1, 'is required: your Adobe Target client code')
    .regex(/^[a-z0-9-]*$/, 'must be lower-case letters, digits and hyphens'),
  TARGET_ORIGIN: origin,
  TARGET_TOKEN: optional,
  TARGET_METHOD: z.enum(['post', 'auto', 'get'], 'must be post, auto or get').default('post'),
  TARGET_STRICT_ANSWER: z.enum(['0', '1'], 'must be 0 or 1').default('1'),
  TARGET_TOKEN_EXPIRES_AT: optional.refine(
    (text) => text === undefined || readDay(text) !== undefined,
    'must be ISO 8601: a date, or a time with an offset',
  ),
  TARGET_TIMEOUT_MS: whole(100, maxTargetTimeoutMs, 5_000),
  ANSWER_DEADLINE_MS: whole(100, 25_000, 2_500),
  OUTAGE_SETTLE_MS: wholeOrNone(0, dayMs),
  BACKOFF_BASE_MS: whole(1, 900_000, 5_000),
  FLUSH_MAX_MS: whole(leastFlushMs, 600_000, 45_000),
  FLUSH_MAX_OPS: wholeOrNone(leastFlushOps, 1_000_000),
  FLUSH_MAX_CALLS: whole(1, 1_000_000, 9_000),
  FLUSH_RUNS: whole(1, 16, 1),
  QUOTA_LIMIT: whole(1, adobeQuota, defaultQuota),
  QUOTA_WINDOW_MS: whole(1_000, 7 * dayMs, dayMs),
  QUOTA_BUCKET_MS: whole(1, dayMs, 60_000),
  QUOTA_SLACK_MS: wholeOrNone(0, 3_600_000),
  REPLAY_RESERVE: fraction(0.5, 0.05),
  API_SKIP_UNCHANGED: z.enum(['0', '1'], 'must be 0 or 1').default('0'),
  PACE: z.enum(paces, 'must be none or even').default('none'),
  RETENTION_HOURS: whole(1, 24 * 30, 72),
  DEAD_RETENTION_DAYS: whole(0, 3_650, 90),
  LEDGER_TIMEOUT_MS: wholeOrNone(50, 10_000),
  LOG_REQUESTS: z.enum(logRequestsChoices, 'must be all, errors or off').default('errors'),
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
  ADMIN_TOKEN: operatorTokens('admin'),
  VIEW_TOKEN: operatorTokens('view'),
  ADMIN_ACCESS: list.transform((items, context) => {
    if (!items.every((item) => /^[^\s@]+@[^\s@]+$/.test(item))) context.addIssue('must be a list of e-mail addresses')
    return items.map((item) => item.toLowerCase())
  }),
  ALERT_URL: webhookUrl,
  ALERT_SECRET: webhookSecrets,
  BACKLOG_STORE: z.enum(['kv', 'object'], 'must be kv or object').default('kv'),
  BACKLOG_KEYS: list.transform((items, context) =>
    items.map((item) => {
      const [, id = '', text = ''] = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/]+={0,2})$/.exec(item) ?? []
      const bytes = text.length % 4 === 0 ? Uint8Array.from(atob(text), (char) => char.charCodeAt(0)) : new Uint8Array()
      if (bytes.byteLength !== keyBytes)
        context.addIssue(
          `must be a ring of id:base64 keys, each of ${keyBytes} bytes, separated by commas; the first encrypts`,
        )
      // A text encrypted with one would be decrypted with the other, and read as damaged.
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

/** The settings as the table reads them. */
export type Given = z.output<typeof table>
