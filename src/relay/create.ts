/**
 * The relay from settings, sources and a storage. Only here is it decided which ledger it has.
 *
 * For whoever mounts it in an app or a Worker of their own (docs/library.md); `worker.ts` and `server/index.ts` do the
 * same.
 */

import type { Clock, Random } from '../core/clock.ts'
import { given } from '../core/given.ts'
import { withDeadline } from '../core/ledger/deadline.ts'
import { watchedLedger } from '../core/ledger/loss/epoch.ts'
import type { Ledger } from '../core/ledger/port.ts'
import { checkSources } from '../edge/source/check.ts'
import type { Source } from '../edge/source/types.ts'
import { createBase, type RelayBase, redisStore } from './base.ts'
import { type OpenRelay, openRelay, type Relay, type RelayPorts, withApp } from './compose.ts'
import { SettingsError } from './errors.ts'
import { log as logLine, runtimeName, systemClock, systemRandom } from './runtime.ts'
import { type ParsedSettings, parseSettings, type Settings } from './settings.ts'
import type { Storage } from './storage.ts'

export interface RelayOptions {
  readonly sources: readonly Source[]
  /** From `readSettings`. */
  readonly settings: Settings
  readonly storage: Storage
  /**
   * Keeps work alive behind an answer: `(work) => ctx.waitUntil(work)` in a Worker. The promise never rejects. Default:
   * nothing, for processes that go on.
   */
  readonly background?: (work: Promise<unknown>) => void
  readonly fetch?: typeof globalThis.fetch
  readonly log?: RelayPorts['log']
  /** The platform's tracing, around each step that waits. Default: none. */
  readonly span?: RelayPorts['span']
  readonly clock?: Clock
  readonly random?: Random
  readonly stopping?: () => boolean
  /** Starts another run that takes part, where `FLUSH_RUNS` allows. Default: each run is one alone. */
  readonly startRun?: RelayPorts['startRun']
  /** What starts its flushes. Default: the cron. */
  readonly startedBy?: RelayPorts['startedBy']
}

/**
 * Settings from the environment (docs/settings.md), checked against the sources.
 *
 * @param env names and values, as `process.env` or a Worker's `env` has them
 */
export function parseAll(env: Readonly<Record<string, unknown>>, sources: readonly Source[]): ParsedSettings {
  const parsed = parseSettings(env)
  if (!parsed.ok) return parsed
  const problems = checkSources(sources, { retentionMs: parsed.settings.retentionHours * 3_600_000 })
  return problems.length === 0 ? parsed : { ok: false, problems }
}

/** @throws SettingsError */
export function readSettings(env: Readonly<Record<string, unknown>>): Settings {
  const parsed = parseSettings(env)
  if (!parsed.ok) throw new SettingsError(parsed.problems)
  return parsed.settings
}

/** @throws SettingsError where the sources do not go with the settings or with each other */
export async function createRelay(options: RelayOptions): Promise<Relay> {
  const { settings, sources } = options
  const problems = checkSources(sources, { retentionMs: settings.retentionHours * 3_600_000 })
  if (problems.length > 0) throw new SettingsError(problems)
  return withApp(openFrom(await createBase(settings, sources), options))
}

/** A relay with a storage and ports of its own, on what it shares with others. Synchronous and cheap. */
export function openFrom(base: RelayBase, options: Omit<RelayOptions, 'settings' | 'sources'>): OpenRelay {
  const { storage, clock = systemClock, random = systemRandom, log = logLine } = options
  const { settings } = base
  const background = options.background ?? (() => {})
  return openRelay(base, {
    ledger: withDeadline(openLedger({ settings, storage, random, log }, base.redis), settings.ledgerTimeoutMs, clock, {
      background,
      log,
    }),
    backlog: storage.backlog(base.seal, settings),
    clock,
    random,
    // Not the function itself: some runtimes want it called as their own.
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    background,
    // No Worker is suspended in the middle of a request, and none sends a POST again.
    streamBody: runtimeName !== 'workers',
    ...given({
      span: options.span,
      stopping: options.stopping,
      startRun: options.startRun,
      startedBy: options.startedBy,
      cronCame: storage.cronCame,
    }),
    log,
    ...given({ memory: storage.relayMemory }),
  })
}

/**
 * The ledger that the settings name, watched by the storage's witness. Without a deadline.
 *
 * @param redis the one on Redis, where it is there already
 */
export function openLedger(
  { settings, storage, random = systemRandom, log = logLine }: Omit<RelayOptions, 'sources'>,
  redis = redisStore(settings),
): Ledger {
  if (redis === undefined) return storage.embeddedLedger(settings)
  return watchedLedger(redis, { witness: storage.witness, memory: storage.memory, random, log })
}
