/** How the relay that is planned would be set: from the environment, as `serve` and the Worker read it. */

import type { Way } from '../../plan/engine.ts'
import type { RunSettings } from '../../plan/model-shapes.ts'
import { parseSettings } from '../../relay/settings.ts'
import { serverDefaults } from '../../server/index.ts'
import { Misuse } from '../errors.ts'

/** Settings that change what a plan says; all others are left out, so that a plan needs no secrets. */
const read = [
  ...[
    'QUOTA_LIMIT',
    'QUOTA_WINDOW_MS',
    'QUOTA_BUCKET_MS',
    'QUOTA_SLACK_MS',
    'REPLAY_RESERVE',
    'PACE',
    'RETENTION_HOURS',
  ],
  ...['FLUSH_MAX_MS', 'FLUSH_MAX_OPS', 'FLUSH_MAX_CALLS', 'FLUSH_RUNS'],
] as const

export const stores = ['kv', 'object', 'sqlite'] as const
export type Store = (typeof stores)[number]

/** Of an invocation; and the share of them that the flush keeps busy (`npm run bench:drain`). */
const connections = 6
const busy = { kv: 0.8, object: 0.85, sqlite: 0.85 } as const
const leastBucketMs = 1_000
const entriesTogether = 10_000

export interface Speeds {
  readonly callMs: number
  /** What a delete in Workers KV takes. */
  readonly kvMs: number
}

/** @throws Misuse for a setting that is none */
export function wayOf(
  env: Readonly<Record<string, string | undefined>>,
  store: Store,
  { callMs, kvMs }: Speeds,
): Omit<Way, 'name' | 'skipUnchanged'> {
  const texts = Object.fromEntries(read.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])))
  const unused = { TARGET_CLIENT_CODE: 'plan', HASH_KEY: '0'.repeat(64) }
  const atLeast = store === 'kv' ? {} : { FLUSH_MAX_OPS: serverDefaults.FLUSH_MAX_OPS }
  const parsed = parseSettings({ ...atLeast, ...texts, ...unused })
  if (!parsed.ok) throw new Misuse(parsed.problems.join('\n'))
  const { settings } = parsed
  if (settings.quotaBucketMs < leastBucketMs)
    throw new Misuse(`a plan needs a QUOTA_BUCKET_MS of ${leastBucketMs} or more`)
  const run: RunSettings = {
    // Several runs have the budgets of one each.
    maxMs: settings.flushMaxMs * settings.flushRuns,
    maxCalls: settings.flushMaxCalls * settings.flushRuns,
    maxOperations: settings.flushMaxOps * settings.flushRuns,
    msPerCall: callMs / connections / busy[store],
    msPerEntry: store === 'kv' ? kvMs / connections / busy[store] : 0,
    entriesTogether,
  }
  const { quotaLimit, quotaWindowMs, quotaBucketMs, quotaSlackMs, replayReserve, pace } = settings
  return {
    retentionMs: settings.retentionHours * 3_600_000,
    callMs,
    run,
    quota: { quotaLimit, quotaWindowMs, quotaBucketMs, quotaSlackMs, replayReserve, pace },
  }
}
