/**
 * The relay as it is deployed: real workerd from the real wrangler.toml, with real KV and the real Durable Object, on a
 * free loopback port. What the demo, the black-box tests and the benchmarks run against.
 */
import { fileURLToPath, URL } from 'node:url'

// Set before wrangler loads: the tests must not send anything to the network.
process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false'
process.env['WRANGLER_SEND_METRICS'] = 'false'

const { createTestHarness } = await import('wrangler')

export interface WorkerdRelay extends AsyncDisposable {
  /** Without a trailing slash. */
  readonly url: string
  /** Triggers the cron once and waits until its run is over. */
  flush(): Promise<void>
  /** All keys in the real KV. */
  keys(prefix: string): Promise<readonly string[]>
  /** What the Worker logged, parsed if it is JSON. */
  logs(): readonly Record<string, unknown>[]
  close(): Promise<void>
}

/** @param configPaths of the relay, and of other Workers beside it */
export async function startWorkerdRelay(
  settings: Readonly<Record<string, string>>,
  [configPath, ...others]: readonly [string, ...string[]] = ['wrangler.toml'],
): Promise<WorkerdRelay> {
  const harness = createTestHarness({
    root: fileURLToPath(new URL('../..', import.meta.url)),
    workers: [{ configPath, vars: settings }, ...others.map((other) => ({ configPath: other }))],
  })
  const { url: listening } = await harness.listen()
  const url = listening.href.replace(/\/$/, '')
  const worker = harness.getWorker<{ BACKLOG: KVNamespace }>()
  const close = () => harness.close()
  return {
    url,
    flush: async () => {
      await worker.scheduled({ cron: '* * * * *', scheduledTime: new Date() })
    },
    keys: async (prefix) => {
      const { BACKLOG } = await worker.getEnv()
      const names: string[] = []
      for (let cursor: string | undefined; ; ) {
        const page = await BACKLOG.list({ prefix, ...(cursor === undefined ? {} : { cursor }) })
        names.push(...page.keys.map(({ name }) => name))
        if (page.list_complete) return names
        cursor = page.cursor
      }
    },
    logs: () =>
      harness.getLogs().flatMap(({ message }) => {
        try {
          return [JSON.parse(message) as Record<string, unknown>]
        } catch {
          return []
        }
      }),
    close,
    [Symbol.asyncDispose]: close,
  }
}
