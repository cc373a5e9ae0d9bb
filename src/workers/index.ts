/** The relay on Cloudflare Workers: the storage that KV and the object make, and the handlers of a Worker. */
import { kvBacklog } from '../core/backlog/kv.ts'
import { errorName } from '../core/errors.ts'
import { newEpochMemory } from '../core/ledger/loss/epoch.ts'
import { answerOf, createBrokenApp } from '../edge/app.ts'
import type { Source } from '../edge/source/source.ts'
import { newRelayMemory, type Relay } from '../relay/compose.ts'
import { createRelay, parseAll } from '../relay/create.ts'
import { log, systemRandom } from '../relay/runtime.ts'
import type { ParsedSettings, Settings } from '../relay/settings.ts'
import type { Storage } from '../relay/storage.ts'
import { type Env, objectLedger, stubs } from './ledger-object.ts'

export { type Env, LedgerObject } from './ledger-object.ts'

/** What this isolate knows of the ledger's epoch; plain data, which may outlive a request. */
const epochMemory = newEpochMemory()
const relayMemory = newRelayMemory()

/** What must outlive a request lies in KV and in the object. Asks for nothing until it is used. */
export function workersStorage(env: Env): Storage {
  const stub = stubs(env.LEDGER)
  return {
    embeddedLedger: () => objectLedger(stub),
    witness: { read: () => stub().testimony(), replace: (seen, next) => stub().testify(seen, next) },
    memory: epochMemory,
    relayMemory,
    backlog: (seal) => kvBacklog(env.BACKLOG, { randomHex: systemRandom.hex, seal }),
  }
}

/** The handlers of a Worker that is nothing but a relay. */
export function createWorker({
  sources,
}: {
  readonly sources: readonly Source[]
}): Required<Pick<ExportedHandler<Env>, 'fetch' | 'scheduled'>> {
  /** Parsed once in an isolate's life. */
  const parsed = new WeakMap<object, ParsedSettings>()
  const settingsOf = (env: Env): ParsedSettings => {
    const known = parsed.get(env) ?? parseAll(env as unknown as Record<string, unknown>, sources)
    parsed.set(env, known)
    return known
  }
  const open = (settings: Settings, env: Env, ctx: Pick<ExecutionContext, 'waitUntil'>): Promise<Relay> =>
    createRelay({ sources, settings, storage: workersStorage(env), background: (work) => ctx.waitUntil(work) })

  return {
    async fetch(request, env, ctx) {
      const given = settingsOf(env)
      if (!given.ok) return createBrokenApp(given.problems).fetch(request)
      const { app } = await open(given.settings, env, ctx)
      const answer = answerOf(app, request, log)
      // From the start, so that a sender that hangs up cancels nothing.
      ctx.waitUntil(answer)
      return answer
    },

    async scheduled(controller, env, ctx) {
      // A run that failed is followed by the next one in a minute; a retry would only overlap it.
      controller.noRetry()
      const given = settingsOf(env)
      if (!given.ok) {
        log('settings', { problems: given.problems.join('; ') })
        return
      }
      try {
        const relay = await open(given.settings, env, ctx)
        await relay.flush()
      } catch (error) {
        log('flush_failed', { error: errorName(error) })
      }
    },
  }
}
