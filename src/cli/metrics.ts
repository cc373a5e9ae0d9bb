/** `target-relay metrics`: what Prometheus reads. */
import { parseArgs } from 'node:util'
import { wantArguments } from './asking.ts'
import { type Command, exit } from './command.ts'
import { adminClient } from './relay-client.ts'

export const metrics: Command = {
  summary: 'print the metrics that Prometheus reads',
  usage: `target-relay metrics [--relay <url>]

Prints GET /metrics (OpenMetrics text). What each figure means: docs/observability.md.`,

  async run({ args, env, out }) {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { relay: { type: 'string' } },
      allowPositionals: true,
    })
    wantArguments(positionals, 0)
    out((await adminClient({ env }, values.relay).text('/metrics')).trimEnd())
    return exit.ok
  },
}
