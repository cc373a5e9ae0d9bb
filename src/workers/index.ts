/** The relay on Cloudflare Workers: the storage that KV and the object make, and the handlers of a Worker. */
import { WorkerEntrypoint } from 'cloudflare:workers'
import { kvBacklog } from '../core/backlog/kv.ts'
import { newEpochMemory } from '../core/ledger/loss/epoch.ts'
import type { Source } from '../edge/source/types.ts'
import { newRelayMemory } from '../relay/compose.ts'
import { systemRandom } from '../relay/runtime.ts'
import type { Storage } from '../relay/storage.ts'
import { relayHandlers } from './handlers.ts'
import { type Env, objectLedger, stubs } from './ledger-object.ts'

export { type Env, LedgerObject } from './ledger-object.ts'

/** What this isolate knows of the ledger's epoch; plain data, which may outlive a request. */
const epochMemory = newEpochMemory()
const relayMemory = newRelayMemory()

/** What must outlive a request is in KV and in the object. Makes no request until it is used. */
export function workersStorage(env: Env): Storage {
  const stub = stubs(env.LEDGER)
  return {
    embeddedLedger: () => objectLedger(stub),
    witness: { read: () => stub().testimony(), replace: (seen, next) => stub().testify(seen, next) },
    memory: epochMemory,
    relayMemory,
    cronCame: () => stub().cronCame(),
    backlog: (seal) => kvBacklog(env.BACKLOG, { randomHex: systemRandom.hex, seal }),
  }
}

/** Spelled out, since a declaration can't hold a class without a name that has protected members. */
export type FlushStarterClass = new (
  ctx: ExecutionContext,
  env: Env,
) => WorkerEntrypoint<Env> & { flush(): Promise<void> }

/**
 * What the object's alarm calls to start a flush while the cron is silent. To be exported by the Worker under this name:
 * `export const FlushStarter = flushStarter({ sources })`. It is no route: only this Worker's own object reaches it.
 */
export function flushStarter({ sources }: { readonly sources: readonly Source[] }): FlushStarterClass {
  const { flushForCron } = relayHandlers({ sources, storageOf: workersStorage })
  return class FlushStarter extends WorkerEntrypoint<Env> {
    /** One run; resolves when it is over, and never rejects. */
    flush(): Promise<void> {
      return flushForCron(this.env, this.ctx)
    }
  }
}

/** The handlers of a Worker that is nothing but a relay. */
export function createWorker({
  sources,
}: {
  readonly sources: readonly Source[]
}): Required<Pick<ExportedHandler<Env>, 'fetch' | 'scheduled'>> {
  const { fetch, scheduled } = relayHandlers({ sources, storageOf: workersStorage })
  return { fetch, scheduled }
}
