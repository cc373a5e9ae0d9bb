/**
 * The relay as a process on Node, Deno and Bun: settings from the environment, backlog and embedded ledger in one
 * SQLite file, a flush every minute.
 *
 * Guarantee: when told to stop, it accepts no new requests, answers those it has, ends a running flush between two
 * calls, and lets the work behind answers finish; only then is the file closed.
 * Known hole: work that takes longer than `stopWithinMs` is left as a crash would leave it, which loses nothing either.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorName } from '../core/errors.ts'
import { type Log, type LogDetails, type LogEvent, levelOf } from '../core/log.ts'
import { answerOf } from '../edge/app.ts'
import { tracedLog, traceIdOf } from '../edge/http/trace.ts'
import { secretProblemsOf } from '../edge/source/check.ts'
import type { Source } from '../edge/source/types.ts'
import type { Relay } from '../relay/compose.ts'
import { createRelay, parseAll } from '../relay/create.ts'
import { SettingsError } from '../relay/errors.ts'
import { runtimeName } from '../relay/runtime.ts'
import type { Settings } from '../relay/settings.ts'
import { type Listening, listen } from './listen.ts'
import { sqliteStorage } from './sqlite-storage.ts'

export interface ServerOptions {
  readonly sources: readonly Source[]
  /** Settings by name. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log?: ServerLog
}

export type ServerLog = Log

export interface Server {
  /** Without a trailing slash. */
  readonly url: string
  readonly relay: Relay
  /** Resolves to whether everything ended in time. */
  stop(): Promise<boolean>
}

/** SQLite counts no operations: a run is bounded by its time. And nobody bills a line of a server's log. */
export const serverDefaults = { FLUSH_MAX_OPS: '100000', LOG_REQUESTS: 'all' }

/** Kubernetes kills a pod 30 s after asking it to stop. */
const stopWithinMs = 25_000

/** One line of JSON an event, with its time, for whatever collects a process's output. */
export function logWithTime(event: LogEvent, details?: LogDetails): void {
  process.stdout.write(`${lineWithTime(event, details)}\n`)
}

export function lineWithTime(event: LogEvent, details: LogDetails = {}): string {
  return JSON.stringify({ time: new Date().toISOString(), level: levelOf(event), event, ...details })
}

/** @throws SettingsError, also where the port is taken or the file can't be opened */
export async function serve({ sources, env, log: write = logWithTime }: ServerOptions): Promise<Server> {
  // Requests share one relay and its log: the trace of each is found by where the line comes from.
  const traces = new AsyncLocalStorage<string | undefined>()
  const log = tracedLog(write, () => traces.getStore())
  const parsed = parseAll({ ...serverDefaults, ...env }, sources)
  if (!parsed.ok) throw new SettingsError(parsed.problems)
  const { settings } = parsed
  const storage = openStorage(settings, log)
  const stopping = new AbortController()
  const behind = new Set<Promise<unknown>>()
  const keep = (work: Promise<unknown>) => {
    const kept = work.then(
      () => {},
      (error: unknown) => log('work_failed', { error: errorName(error) }),
    )
    behind.add(kept)
    void kept.then(() => behind.delete(kept))
  }
  const relay: Relay = await createRelay({
    sources,
    settings,
    storage,
    background: keep,
    log,
    stopping: () => stopping.signal.aborted,
    startRun: (segment) => relay.flushPart(segment),
  })
  // A promise that a deployer's code leaves behind and nobody awaits must not end the process (G2).
  const stray = (error: unknown) => log('unhandled_rejection', { error: errorName(error) })
  process.on('unhandledRejection', stray)
  let listening: Listening
  try {
    listening = await listen((request) => traces.run(traceIdOf(request.headers), () => answered(request)), settings)
  } catch (error) {
    storage.close()
    process.off('unhandledRejection', stray)
    throw new SettingsError([
      `HOST, PORT ${settings.host}:${settings.port} cannot be listened on: ${error instanceof Error ? error.message : ''}`,
    ])
  }
  const flushing = keepFlushing(relay, settings.flushEveryMs, stopping.signal, log)
  log('started', {
    runtime: runtimeName,
    url: listening.url,
    ledger: settings.upstash === undefined ? 'embedded' : 'upstash',
    backlog: settings.relayDb,
    sources: sources.length,
    encrypted: settings.backlogKeys.length > 0 ? 'yes' : 'no',
  })
  // So that the log says at once whether the ledger is another account's, and not only at the first event.
  keep(relay.ready())
  if (sources.length === 0) log('warning', { about: 'there are no sources: every webhook is answered 404' })
  for (const about of await secretProblemsOf(sources, settings.hookSecrets)) log('warning', { about })

  return {
    url: listening.url,
    relay,
    stop: async () => {
      stopping.abort()
      const end = async () => {
        await Promise.all([listening.close(), flushing])
        // Work that ends may have started more.
        while (behind.size > 0) await Promise.all(behind)
        // Otherwise an older copy of the file, restored while nothing runs, would not be recognized as older.
        await relay.testify()
        return true
      }
      const given = new AbortController()
      const inTime = await Promise.race([end(), sleep(stopWithinMs, false, { signal: given.signal })])
      given.abort()
      if (inTime) storage.close()
      process.off('unhandledRejection', stray)
      log('stopped', { inTime: inTime ? 'yes' : 'no' })
      return inTime
    },
  }

  /** A sender that hangs up cancels nothing: its request is handled to the end. */
  function answered(request: Request): Promise<Response> {
    const answer = answerOf(relay.app, request, log)
    keep(answer)
    return answer
  }
}

/** Opens the SQLite file that the settings name. @throws SettingsError if it can't be opened */
export function openStorage({ relayDb }: Settings, log: ServerLog) {
  try {
    return sqliteStorage(relayDb, { log })
  } catch (error) {
    throw new SettingsError([`RELAY_DB ${relayDb}: ${error instanceof Error ? error.message : 'cannot be opened'}`], {
      cause: error,
    })
  }
}

/** Serves until the process is asked to stop; a second request ends it at once. */
export async function serveUntilStopped(options: ServerOptions): Promise<boolean> {
  const asked = Promise.withResolvers<void>()
  let requests = 0
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (++requests > 1) process.exit(1)
      asked.resolve()
    })
  const server = await serve(options)
  await asked.promise
  return server.stop()
}

async function keepFlushing(
  relay: Pick<Relay, 'flush'>,
  everyMs: number,
  stopping: AbortSignal,
  log: ServerLog,
): Promise<void> {
  while (everyMs > 0 && !stopping.aborted) {
    await sleep(everyMs, undefined, { signal: stopping }).catch(() => undefined)
    if (stopping.aborted) return
    try {
      await relay.flush()
    } catch (error) {
      // A bug in one run must not prevent the runs after it (G7).
      log('flush_failed', { error: errorName(error) })
    }
  }
}
