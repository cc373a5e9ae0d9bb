/**
 * What a relay has that belongs to no request: keys, names, rules, checked sources. Built once a process or an isolate,
 * since it costs more than all else that an update needs.
 *
 * Guarantee: nothing in it has to do with I/O. On Workers it may therefore be used by every request of an isolate,
 * while stubs, connections, timers and `waitUntil` stay with the request that they belong to.
 */
import { createSeal, type Seal } from '../core/backlog/seal.ts'
import { createPrepare, type Prepare } from '../core/delivery/prepare.ts'
import { type Owner, ownerOf } from '../core/operator/owner.ts'
import { createHasher, type Hasher } from '../core/update/hash.ts'
import type { Wire } from '../core/wire/calls.ts'
import { sharesOf } from '../edge/source/check.ts'
import type { Source } from '../edge/source/types.ts'
import { randomBytes } from './runtime.ts'
import type { Settings } from './settings.ts'

export interface RelayBase {
  readonly settings: Settings
  readonly sources: readonly Source[]
  /** Names visitors and events under `HASH_KEY`. */
  readonly hasher: Hasher
  readonly owner: Owner
  /** Encrypts what is kept, under `BACKLOG_KEYS`. */
  readonly seal: Seal
  readonly wire: Wire
  readonly prepare: Prepare
  /** Units a window for each source with a share of its own. */
  readonly shares: ReadonlyMap<string, number>
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
    seal: await createSeal(settings.backlogKeys, randomBytes, owner.mark, owner.marksBefore),
    wire,
    prepare: createPrepare({ hasher, wire, retentionMs: settings.retentionHours * 3_600_000 }),
    shares: sharesOf(sources, settings.quotaLimit),
  }
}
