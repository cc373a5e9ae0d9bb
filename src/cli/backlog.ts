/** `target-relay backlog`: what waits, for whom, why, and until when. */
import { parseArgs } from 'node:util'
import { census } from '../edge/contract/status.ts'
import { print, relayOptions, wantArguments } from './asking.ts'
import { type Command, exit } from './command.ts'
import { adminClient } from './relay-client.ts'
import { backlogLines, throughLines } from './status-page.ts'

export const backlog: Command = {
  summary: 'show what waits, why, and until when',
  usage: `target-relay backlog [--relay <url>] [--json]

Shows how many entries wait, of how many visitors, how many calls that is, the oldest, by source and by reason, when that
was counted, and when it is through at the present quota.`,

  async run({ args, env, out }) {
    const { values, positionals } = parseArgs({ args: [...args], options: relayOptions, allowPositionals: true })
    wantArguments(positionals, 0)
    const answer = await adminClient({ env }, values.relay).ask('/admin/api/backlog', census)
    const clock = { nowMs: Date.now() }
    print({ out }, values.json, answer, (said) => [...backlogLines(said, clock), ...throughLines(said, clock)])
    return exit.ok
  },
}
