/** `target-relay status`: how a relay is doing. */
import { parseArgs } from 'node:util'
import { status as shape } from '../edge/contract/status.ts'
import { print, relayOptions, wantArguments } from './asking.ts'
import { type Command, exit } from './command.ts'
import { adminClient } from './relay-client.ts'
import { statusLines } from './status-page.ts'

export const status: Command = {
  summary: 'show how a relay is doing',
  usage: `target-relay status [--relay <url>] [--json]

Asks a relay (--relay, or RELAY_URL; http://127.0.0.1:8787) with ADMIN_TOKEN: quota and when it is used up, what waits and when
it is through, dead letters, the last 24 h by source, and its checks. Exit 1 where it is not ready, or one of its checks fails.`,

  async run({ args, env, out }) {
    const { values, positionals } = parseArgs({ args: [...args], options: relayOptions, allowPositionals: true })
    wantArguments(positionals, 0)
    const client = adminClient({ env }, values.relay)
    const answer = await client.ask('/admin/api/status', shape)
    const { checks } = answer.said
    const ready = checks['store'] !== 'fail'
    print({ out }, values.json, answer, (has) =>
      statusLines(client.url, ready ? 'ready' : 'not ready', has, { nowMs: Date.now() }),
    )
    return ready && !Object.values(checks).includes('fail') ? exit.ok : exit.failed
  },
}
