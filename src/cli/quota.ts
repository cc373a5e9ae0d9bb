/** `target-relay quota`: what is spent and what is foretold, or an operator's word on what was really spent. */
import { parseArgs } from 'node:util'
import { counted } from '../core/words.ts'
import { usage } from '../edge/contract/admin.ts'
import { status } from '../edge/contract/status.ts'
import { print, relayOptions, wantArguments } from './asking.ts'
import { type Command, exit } from './command.ts'
import { Misuse } from './errors.ts'
import { adminClient } from './relay-client.ts'
import { quotaLines } from './status-page.ts'

export const quota: Command = {
  summary: 'show the quota, or state what was really spent',
  usage: `target-relay quota [--relay <url>] [--json]
target-relay quota spent <calls> [--relay <url>]

Shows what is used of the quota by lane, and when it is used up at the pace of the last hour. spent states how many calls
were really made in the window that ends now, after the ledger lost its state (ADMIN_TOKEN): Target's own report has the figure.`,

  async run({ args, env, out }) {
    const { values, positionals } = parseArgs({ args: [...args], options: relayOptions, allowPositionals: true })
    const [what, calls] = positionals
    wantArguments(positionals, 2)
    const client = adminClient({ env }, values.relay)
    if (what === undefined) {
      const { said, whole } = await client.ask('/admin/api/status', status)
      const { quota } = whole as { quota: unknown }
      print({ out }, values.json, { said, whole: quota }, (has) => quotaLines(has, { nowMs: Date.now() }))
      return exit.ok
    }
    if (what !== 'spent' || calls === undefined || !/^\d{1,7}$/.test(calls))
      throw new Misuse('say nothing, or spent and a whole number of calls')
    const answer = await client.tell('/admin/api/quota/spent', { units: Number(calls) }, usage)
    print({ out }, values.json, answer, ({ used, limit }) => [
      `${counted(used, 'call')} of ${limit} count as made in the window that ends now`,
    ])
    return exit.ok
  },
}
