/**
 * The relay's Worker, which counts what it is billed for: calls of its objects, rows that they read and write, operations on
 * KV, bytes of its log. `/counts` answers what was counted since the last time; `/run` is a run of the cron.
 */
import { BacklogObject as Backlog, createWorker, type Env, LedgerObject as Ledger } from '../../src/workers/index.ts'

type Name =
  | 'kvReads'
  | 'kvWrites'
  | 'kvDeletes'
  | 'kvLists'
  | 'objectRequests'
  | 'logBytes'
  | 'rowsRead'
  | 'rowsWritten'

// Two minutes past an hour: no slot of figures and no hour of a lifetime begins while a bill is counted.
const hourMs = 3_600_000
const realNow = Date.now
let shiftedByMs: number | undefined
/** How far the Worker's clock is before the platform's. It has none while the Worker is loaded. */
function shiftMs(): number {
  const nowMs = realNow()
  shiftedByMs ??= nowMs - Math.floor(nowMs / hourMs) * hourMs - hourMs / 30
  return shiftedByMs
}
Date.now = () => realNow() - shiftMs()

const counts = new Map<Name, number>()
const add = (name: Name, by = 1) => counts.set(name, (counts.get(name) ?? 0) + by)
/** Rows are known once a statement was read to its end. */
let cursors: { readonly rowsRead: number; readonly rowsWritten: number }[] = []

for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const)
  console[method] = (text: unknown) => add('logBytes', new TextEncoder().encode(String(text)).byteLength)

const kvOperations: Readonly<Record<string, Name>> = {
  get: 'kvReads',
  getWithMetadata: 'kvReads',
  put: 'kvWrites',
  delete: 'kvDeletes',
  list: 'kvLists',
}

/** The same object, whose methods are counted as `nameOf` says before they are called. */
function counted<T extends object>(
  given: T,
  nameOf: (method: string) => Name | undefined,
  becomes = (answer: unknown) => answer,
): T {
  return new Proxy(given, {
    get: (target, property) => {
      const method: unknown = Reflect.get(target, property)
      if (typeof method !== 'function') return method
      return (...args: unknown[]) => {
        const name = nameOf(String(property))
        if (name !== undefined) add(name)
        return becomes(Reflect.apply(method, target, args))
      }
    },
  })
}

const countedKv = (kv: KVNamespace) => counted(kv, (method) => kvOperations[method])
/** A namespace of objects: each call of a stub is a request. */
function countedObjects<T extends object>(objects: T): T {
  return counted(
    objects,
    () => undefined,
    (answer) =>
      typeof answer === 'object' && answer !== null && 'fetch' in answer
        ? counted(answer, () => 'objectRequests')
        : answer,
  )
}

function countStorage(ctx: DurableObjectState): void {
  const { storage } = ctx
  const sql = new Proxy(storage.sql, {
    get: (target, property) => {
      const given: unknown = Reflect.get(target, property)
      if (property !== 'exec' || typeof given !== 'function') return given
      return (...args: unknown[]) => {
        const cursor = Reflect.apply(given, target, args) as (typeof cursors)[number]
        cursors.push(cursor)
        return cursor
      }
    },
  })
  const proxied = new Proxy(storage, {
    get: (target, property) => {
      if (property === 'sql') return sql
      const given: unknown = Reflect.get(target, property)
      if (typeof given !== 'function') return given
      return (...args: unknown[]) => {
        if (property !== 'setAlarm') return Reflect.apply(given, target, args)
        // An alarm that is set is a row written. It rings by the platform's clock.
        add('rowsWritten')
        return Reflect.apply(given, target, [Number(args[0]) + shiftMs()])
      }
    },
  })
  Object.defineProperty(ctx, 'storage', { value: proxied })
}

export class LedgerObject extends Ledger {
  constructor(ctx: DurableObjectState, env: Env) {
    countStorage(ctx)
    super(ctx, { ...env, BACKLOG: countedKv(env.BACKLOG) })
  }
}

export class BacklogObject extends Backlog {
  constructor(ctx: DurableObjectState, env: object) {
    countStorage(ctx)
    super(ctx, env)
  }
}

const { fetch, scheduled } = createWorker({ sources: [] })
let known: Env | undefined

export default {
  async fetch(request: Parameters<typeof fetch>[0], env: Env, ctx: ExecutionContext): Promise<Response> {
    known ??= {
      ...env,
      BACKLOG: countedKv(env.BACKLOG),
      LEDGER: countedObjects(env.LEDGER),
      ...(env.BACKLOG_OBJECT === undefined ? {} : { BACKLOG_OBJECT: countedObjects(env.BACKLOG_OBJECT) }),
    }
    const { pathname } = new URL(request.url)
    if (pathname === '/run') {
      await scheduled({ noRetry: () => {}, scheduledTime: Date.now(), cron: '' }, known, ctx)
      return new Response()
    }
    if (pathname !== '/counts') return fetch(request, known, ctx)
    for (const { rowsRead, rowsWritten } of cursors) {
      add('rowsRead', rowsRead)
      add('rowsWritten', rowsWritten)
    }
    cursors = []
    const answer = Response.json(Object.fromEntries(counts))
    counts.clear()
    return answer
  },
}
