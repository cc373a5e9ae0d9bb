/** The relay as a server in this process, on its own file and a free loopback port. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Source } from '../../src/edge/source/types.ts'
import { type Server, serve } from '../../src/server/index.ts'
import { sources as exampleSources } from '../../src/sources.ts'
import { settingsFor } from './settings.ts'

export interface TestServer extends Server, AsyncDisposable {
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
  readonly logged: { readonly event: string; readonly [detail: string]: unknown }[]
}

export interface TestServerOptions {
  readonly settings?: Readonly<Record<string, string>>
  readonly sources?: readonly Source[]
  /** The folder of an earlier server, to start on its file. */
  readonly folder?: string
}

export async function startServer(targetOrigin: string, options: TestServerOptions = {}): Promise<TestServer> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'target-relay-server-'))
  const logged: { event: string }[] = []
  const env = settingsFor(targetOrigin, {
    PORT: '0',
    RELAY_DB: join(folder, 'relay.sqlite'),
    FLUSH_EVERY_MS: '0',
    ...options.settings,
  })
  const server = await serve({
    sources: options.sources ?? exampleSources,
    env,
    log: (event, details = {}) => logged.push({ event, ...details }),
  })
  let stopped: Promise<boolean> | undefined
  const stop = () => {
    stopped ??= server.stop()
    return stopped
  }
  return { ...server, stop, folder, env, logged, [Symbol.asyncDispose]: async () => void (await stop()) }
}
