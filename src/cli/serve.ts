/** `target-relay serve`: the relay as a server, until it is asked to stop. */
import process from 'node:process'
import { parseArgs } from 'node:util'
import { serveUntilStopped } from '../server/index.ts'
import { type Command, exit } from './command.ts'
import { toldAs } from './errors.ts'
import { loadSources } from './load-sources.ts'

export const serve: Command = {
  summary: 'serve webhooks and flush every minute',
  usage: `target-relay serve [--sources <file>]

Serves on HOST and PORT (127.0.0.1:8787), keeps backlog and ledger in RELAY_DB (target-relay.sqlite), and flushes every
FLUSH_EVERY_MS (60000; 0 leaves that to target-relay flush). Required: TARGET_CLIENT_CODE, HASH_KEY. SIGTERM ends it
gracefully. Logs are lines of JSON on standard output. Exit 2 where a setting is bad.`,

  async run({ args, env }) {
    const { values } = parseArgs({ args: [...args], options: { sources: { type: 'string' } } })
    const sources = await loadSources(values.sources ?? env['RELAY_SOURCES'])
    try {
      if (await serveUntilStopped({ sources, env })) return exit.ok
      // What is still open would keep the process alive.
      process.exit(exit.failed)
    } catch (error) {
      throw toldAs(error)
    }
  },
}
