/** `target-relay audit`: who did what. */
import { parseArgs } from 'node:util'
import { clockTime, table, zoneOf } from '../core/words.ts'
import { audit as shape } from '../edge/contract/admin.ts'
import { print, relayOptions, wantArguments } from './asking.ts'
import { type Command, exit } from './command.ts'
import { adminClient } from './relay-client.ts'

export const audit: Command = {
  summary: 'show who did what: the last 1,000 acts of operators',
  usage: `target-relay audit [--relay <url>] [--json]

Each act with its time, who did it (the name of the token, or its role), and how many it concerned. The newest is last.`,

  async run({ args, env, out }) {
    const { values, positionals } = parseArgs({ args: [...args], options: relayOptions, allowPositionals: true })
    wantArguments(positionals, 0)
    const answer = await adminClient({ env }, values.relay).ask('/admin/api/audit', shape)
    const clock = { nowMs: Date.now() }
    print({ out }, values.json, answer, ({ acts }) =>
      acts.length === 0
        ? ['no act yet']
        : table(
            [`when (${zoneOf(clock)})`, 'who', 'role', 'what', ''],
            acts
              .toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at))
              .map(({ at, who, role, what, details = {} }) => [
                clockTime(at, clock),
                who,
                role,
                what,
                Object.entries(details)
                  .map(([name, value]) => `${name} ${value}`)
                  .join(', '),
              ]),
          ),
    )
    return exit.ok
  },
}
