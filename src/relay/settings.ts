/**
 * Settings, parsed once (docs/settings.md). A bad one stops the start with a message that names it and what it may be,
 * and never repeats a secret.
 */

import type { RingKey } from '../core/backlog/seal.ts'
import { given } from '../core/given.ts'
import { inFlightMs, longestInFlightMs } from '../core/ledger/rules/in-flight.ts'
import type { LedgerSettings, Pace } from '../core/ledger/rules/settings.ts'
import type { Lane } from '../core/update/update.ts'
import type { OperatorToken } from '../edge/auth/operators.ts'
import type { LogRequests } from '../edge/http/request-line.ts'
import { list, perItem, readDay } from './settings-fields.ts'
import { contradictions, ownPart, sharedSecrets, type Times, timesOf } from './settings-rules.ts'
import { type Given, table } from './settings-table.ts'

/** Some senders allow only short secrets. */
const minHookSecretChars = 8

/** Cloudflare: at least 1,000 operations on KV in one invocation, on every plan. */
const surelyAllowedOps = 900

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
  /** A run goes on until the platform refuses, and remembers when; all else keeps within `flushMaxOps`. */
  readonly flushLearnsOps: boolean
  readonly flushMaxCalls: number
  /** Runs that share the ring where one does not carry it. */
  readonly flushRuns: number
  readonly quotaLimit: number
  readonly quotaWindowMs: number
  readonly quotaBucketMs: number
  readonly quotaSlackMs: number
  readonly replayReserve: number
  readonly pace: Pace
  /** Whether updates of `/v1` and `/m2` skip what is unchanged. */
  readonly apiSkipsUnchanged: boolean
  readonly retentionHours: number
  /** 0: for ever. */
  readonly deadRetentionDays: number
  readonly ledgerTimeoutMs: number
  readonly logRequests: LogRequests
  /** Off Workers: where it listens, the SQLite file, and how often it flushes (0: never, something else does). */
  readonly host: string
  readonly port: number
  readonly relayDb: string
  readonly flushEveryMs: number
  readonly upstash?: { readonly url: string; readonly token: string }
  readonly apiTokens: readonly { readonly token: string; readonly lane: Exclude<Lane, 'replay'> }[]
  /** Who may use `/admin/api` and `/metrics`, by token. */
  readonly operators: readonly OperatorToken[]
  /** Who may, as Cloudflare Access names them: e-mail addresses in lower case. */
  readonly adminAccess: readonly string[]
  /** Secrets by source name. */
  readonly hookSecrets: ReadonlyMap<string, readonly string[]>
  /** Where alerts go, and what signs them. */
  readonly alert?: { readonly url: string; readonly secrets: readonly Uint8Array<ArrayBuffer>[] }
  readonly hashKey: string
  /** On Workers: where what is new waits. */
  readonly backlogStore: 'kv' | 'object'
  /** The first encrypts what is kept; all decrypt. */
  readonly backlogKeys: readonly RingKey[]
}

export type ParsedSettings =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly problems: readonly string[] }

/** @param env names and values, as a Worker's `env` or `process.env` has them; bindings among them are skipped */
export function parseSettings(env: Readonly<Record<string, unknown>>): ParsedSettings {
  const texts = textsOf(env)
  const parsed = table.safeParse(texts)
  const { hookSecrets, problems } = hookSecretsOf(texts)
  if (!parsed.success)
    problems.unshift(...parsed.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`))
  const url = texts['UPSTASH_REDIS_REST_URL'] ?? ''
  const token = texts['UPSTASH_REDIS_REST_TOKEN'] ?? ''
  if ((url === '') !== (token === ''))
    problems.push(
      `${url === '' ? 'UPSTASH_REDIS_REST_URL' : 'UPSTASH_REDIS_REST_TOKEN'} is missing: set both, or neither`,
    )
  if (!parsed.success) return { ok: false, problems }
  const times = timesOf(parsed.data)
  problems.push(...contradictions({ ...parsed.data, ...times }), ...sharedSecrets(parsed.data, hookSecrets))
  if (problems.length > 0) return { ok: false, problems }
  return {
    ok: true,
    settings: settingsOf(parsed.data, times, { hookSecrets, upstash: url === '' ? undefined : { url, token } }),
  }
}

function textsOf(env: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (isText(value) ? [[name, String(value).trim()]] : [])),
  )
}

/** The secrets of all sources, by source; and what is wrong with them. */
function hookSecretsOf(texts: Readonly<Record<string, string>>): {
  hookSecrets: ReadonlyMap<string, readonly string[]>
  problems: string[]
} {
  const problems: string[] = []
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
  return { hookSecrets, problems }
}

function settingsOf(
  read: Given,
  times: Times,
  { hookSecrets, upstash }: Pick<Settings, 'hookSecrets'> & { upstash: Settings['upstash'] | undefined },
): Settings {
  return {
    targetClientCode: read.TARGET_CLIENT_CODE,
    targetOrigin: read.TARGET_ORIGIN?.replace(/\/$/, '') ?? `https://${read.TARGET_CLIENT_CODE}.tt.omtrdc.net`,
    ...given({ targetToken: read.TARGET_TOKEN }),
    targetMethod: read.TARGET_METHOD,
    targetStrictAnswer: read.TARGET_STRICT_ANSWER === '1',
    ...given({ targetTokenExpiresAtMs: readDay(read.TARGET_TOKEN_EXPIRES_AT ?? '') }),
    targetTimeoutMs: read.TARGET_TIMEOUT_MS,
    answerDeadlineMs: read.ANSWER_DEADLINE_MS,
    outageSettleMs: times.OUTAGE_SETTLE_MS,
    backoffBaseMs: read.BACKOFF_BASE_MS,
    flushMaxMs: read.FLUSH_MAX_MS,
    flushMaxOps: read.FLUSH_MAX_OPS ?? surelyAllowedOps,
    flushLearnsOps: read.FLUSH_MAX_OPS === undefined,
    flushMaxCalls: read.FLUSH_MAX_CALLS,
    flushRuns: read.FLUSH_RUNS,
    quotaLimit: read.QUOTA_LIMIT,
    quotaWindowMs: read.QUOTA_WINDOW_MS,
    quotaBucketMs: read.QUOTA_BUCKET_MS,
    quotaSlackMs: times.QUOTA_SLACK_MS,
    replayReserve: read.REPLAY_RESERVE,
    pace: read.PACE,
    apiSkipsUnchanged: read.API_SKIP_UNCHANGED === '1',
    retentionHours: read.RETENTION_HOURS,
    deadRetentionDays: read.DEAD_RETENTION_DAYS,
    ledgerTimeoutMs: times.LEDGER_TIMEOUT_MS,
    logRequests: read.LOG_REQUESTS,
    host: read.HOST ?? '127.0.0.1',
    port: read.PORT,
    relayDb: read.RELAY_DB ?? 'target-relay.sqlite',
    flushEveryMs: read.FLUSH_EVERY_MS,
    ...given({ upstash }),
    apiTokens: read.API_TOKENS,
    operators: [...read.ADMIN_TOKEN, ...read.VIEW_TOKEN],
    adminAccess: read.ADMIN_ACCESS,
    hookSecrets,
    ...(read.ALERT_URL === undefined
      ? {}
      : { alert: { url: read.ALERT_URL, secrets: read.ALERT_SECRET.map(({ bytes }) => bytes) } }),
    hashKey: read.HASH_KEY,
    backlogStore: read.BACKLOG_STORE,
    backlogKeys: read.BACKLOG_KEYS,
  }
}

/** The part of the settings that a ledger needs. */
export function ledgerSettings(settings: Settings): LedgerSettings {
  return {
    quotaLimit: settings.quotaLimit,
    quotaWindowMs: settings.quotaWindowMs,
    quotaBucketMs: settings.quotaBucketMs,
    quotaSlackMs: settings.quotaSlackMs,
    replayReserve: settings.replayReserve,
    pace: settings.pace,
    retentionMs: settings.retentionHours * 3_600_000,
    inFlightMs: inFlightMs(settings.targetTimeoutMs),
    longestInFlightMs,
  }
}

function isText(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number'
}
