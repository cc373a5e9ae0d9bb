/**
 * What a relay has that belongs to no request: keys, names, rules, checked sources. Built once a process or an isolate,
 * since it costs more than all else that an update needs.
 *
 * Guarantee: nothing in it holds I/O. On Workers it may therefore be used by every request of an isolate, while stubs,
 * connections, timers and `waitUntil` stay with the request that they belong to. The ledger on Redis is among it: its
 * client holds an address and a token, and each call is one `fetch` of the request that makes it.
 */
import { createSeal, type Seal } from '../core/backlog/seal.ts'
import { createPrepare, type Prepare } from '../core/delivery/prepare.ts'
import { lateAnswerMs } from '../core/ledger/deadline.ts'
import type { LedgerStore } from '../core/ledger/port.ts'
import { upstashLedger } from '../core/ledger/redis/ledger.ts'
import { type Owner, ownerOf } from '../core/operator/owner.ts'
import { createHasher, type Hasher } from '../core/update/hash.ts'
import type { Wire } from '../core/wire/calls.ts'
import { apiSource } from '../edge/routes/parts.ts'
import { sharesOf } from '../edge/source/check.ts'
import type { Source } from '../edge/source/types.ts'
import { randomBytes } from './runtime.ts'
import { ledgerSettings, type Settings } from './settings.ts'

export interface RelayBase {
  readonly settings: Settings
  readonly sources: readonly Source[]
  /** Names visitors and events under `HASH_KEY`. */
  readonly hasher: Hasher
  readonly owner: Owner
  /** The ledger on Redis, without a watch and without a deadline; undefined where the settings name none. */
  readonly redis: LedgerStore | undefined
  /** Encrypts what is kept, under `BACKLOG_KEYS`. */
  readonly seal: Seal
  readonly wire: Wire
  readonly prepare: Prepare
  /** Units a window for each source with a share of its own. */
  readonly shares: ReadonlyMap<string, number>
  /** The sources that skip what is unchanged. */
  readonly skipping: ReadonlySet<string>
}

/** @param sources checked against the settings before (`checkSources`) */
export async function createBase(settings: Settings, sources: readonly Source[]): Promise<RelayBase> {
  const hasher = await createHasher(settings.hashKey)
  const owner = await ownerOf(settings, hasher)
  const wire: Wire = {
    method: settings.targetMethod,
    origin: settings.targetOrigin,
    clientCode: settings.targetClientCode,
  }
  return {
    settings,
    sources,
    hasher,
    owner,
    redis: redisStore(settings),
    seal: await createSeal(settings.backlogKeys, randomBytes, owner.mark, owner.marksBefore),
    wire,
    prepare: createPrepare({ hasher, wire, retentionMs: settings.retentionHours * 3_600_000 }),
    shares: sharesOf(sources, settings.quotaLimit),
    skipping: new Set([
      ...sources.flatMap(({ name, skipsUnchanged }) => (skipsUnchanged ? [name] : [])),
      ...(settings.apiSkipsUnchanged ? [apiSource] : []),
    ]),
  }
}

/** The ledger on Redis that the settings name, if they name one. */
export function redisStore(settings: Settings): LedgerStore | undefined {
  if (settings.upstash === undefined) return undefined
  return upstashLedger({
    ...settings.upstash,
    settings: ledgerSettings(settings),
    // Longer than the caller waits: once a late answer is there, the admission can be cancelled (deadline.ts).
    timeoutMs: settings.ledgerTimeoutMs + lateAnswerMs,
  })
}
