/** The relay on Cloudflare Workers: the storage that KV and the object make, and the handlers of a Worker. */
import { WorkerEntrypoint } from 'cloudflare:workers'
import { kvBacklog } from '../core/backlog/kv.ts'
import { rowsBacklog } from '../core/backlog/sqlite.ts'
import { twoStores } from '../core/backlog/two-stores.ts'
import { newEpochMemory } from '../core/ledger/loss/epoch.ts'
import type { FlushReport } from '../cron/report.ts'
import type { Segment } from '../cron/segments.ts'
import type { Source } from '../edge/source/types.ts'
import { newRelayMemory } from '../relay/compose.ts'
import { systemClock, systemRandom } from '../relay/runtime.ts'
import type { Settings } from '../relay/settings.ts'
import type { Storage } from '../relay/storage.ts'
import { startRunIn } from './flush-object.ts'
import { type HandlersOptions, relayHandlers } from './handlers.ts'
import { type Env, objectLedger, stubs } from './ledger-object.ts'
import { objectRows, type RowsStub } from './object-rows.ts'

export { BacklogObject } from './backlog-object.ts'
export { FlushObject } from './flush-object.ts'
export { type Env, LedgerObject } from './ledger-object.ts'

/** What this isolate knows of the ledger's epoch; plain data, which may outlive a request. */
const epochMemory = newEpochMemory()
const relayMemory = newRelayMemory()
/** What it knows of a store that the backlog moves out of. */
const moveMemory = {}

/** What must outlive a request is in KV and in the object. Makes no request until it is used. */
export function workersStorage(env: Env): Storage {
  const stub = stubs(env.LEDGER)
  return {
    embeddedLedger: () => objectLedger(stub),
    witness: { read: () => stub().testimony(), replace: (seen, next) => stub().testify(seen, next) },
    memory: epochMemory,
    relayMemory,
    cronCame: () => stub().cronCame(),
    backlog: (seal, { backlogStore }) => {
      const parts = { randomHex: systemRandom.hex, seal }
      const inKv = kvBacklog(env.BACKLOG, parts)
      const { BACKLOG_OBJECT: objects } = env
      if (objects === undefined) return inKv
      const object = () => objects.get(objects.idFromName('backlog')) as unknown as RowsStub
      const inObject = rowsBacklog(objectRows(object), parts)
      const keepsIn = backlogStore === 'object' ? 'sql' : 'kv'
      return twoStores({ kv: inKv, sql: inObject, keepsIn, now: systemClock.now, memory: moveMemory })
    },
  }
}

/** What the settings ask for and this Worker has not. */
function missing(
  env: Env,
  { backlogStore, flushRuns }: Pick<Settings, 'backlogStore' | 'flushRuns'>,
): readonly string[] {
  const lacks = (setting: string, binding: string, name: string) =>
    `${setting}, and there is no binding ${binding}: wrangler.toml binds it to the class ${name}`
  return [
    ...(backlogStore === 'object' && env.BACKLOG_OBJECT === undefined
      ? [lacks('BACKLOG_STORE is object', 'BACKLOG_OBJECT', 'BacklogObject')]
      : []),
    ...(flushRuns > 1 && env.FLUSH_OBJECT === undefined
      ? [lacks('FLUSH_RUNS is above 1', 'FLUSH_OBJECT', 'FlushObject')]
      : []),
  ]
}

const handlersOf = (sources: readonly Source[]) =>
  relayHandlers({
    sources,
    storageOf: workersStorage,
    missing,
    startRunOf: (env, exports) => startRunIn(env.FLUSH_OBJECT, exports),
  } satisfies HandlersOptions<Env>)

/** Spelled out, since a declaration can't hold a class without a name that has protected members. */
export type FlushStarterClass = new (
  ctx: ExecutionContext,
  env: Env,
) => WorkerEntrypoint<Env> & { flush(): Promise<void>; flushPart(segment: Segment): Promise<FlushReport> }

/**
 * What the object's alarm calls to start a flush while the cron is silent, and `FlushObject` for one of several runs. To be exported by the Worker under this name:
 * `export const FlushStarter = flushStarter({ sources })`. It is no route: only this Worker's own object reaches it.
 */
export function flushStarter({ sources }: { readonly sources: readonly Source[] }): FlushStarterClass {
  const { flushForCron, flushPart } = handlersOf(sources)
  return class FlushStarter extends WorkerEntrypoint<Env> {
    /** One run; resolves when it is over, and never rejects. */
    flush(): Promise<void> {
      return flushForCron(this.env, this.ctx)
    }
    /** One of several; rejects where it died. */
    flushPart(segment: Segment): Promise<FlushReport> {
      return flushPart(this.env, this.ctx, segment)
    }
  }
}

/** The handlers of a Worker that is nothing but a relay. */
export function createWorker({
  sources,
}: {
  readonly sources: readonly Source[]
}): Required<Pick<ExportedHandler<Env>, 'fetch' | 'scheduled'>> {
  const { fetch, scheduled } = handlersOf(sources)
  return { fetch, scheduled }
}
