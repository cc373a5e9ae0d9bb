/** `target-relay erase`: a visitor is removed from everything that the relay keeps. */
import { parseArgs } from 'node:util'
import type * as z from 'zod'
import { counted } from '../core/words.ts'
import { erased } from '../edge/contract/admin.ts'
import { relayOptions, visitorOf, wantArguments } from './asking.ts'
import { type Command, exit } from './command.ts'
import { adminClient } from './relay-client.ts'

type Erased = z.output<typeof erased>

export const erase: Command = {
  summary: 'remove a visitor from everything that the relay keeps',
  usage: `target-relay erase <thirdPartyId> [--relay <url>] [--json]
target-relay erase --pc-id <pcId> [--relay <url>] [--json]

Removes a visitor's registers, entries and dead letters (ADMIN_TOKEN), asking on until all is done. Target's own profile
is Adobe's to delete. Exit 1 where something is left to do: it says what.`,

  async run({ args, env, out, err, progress }) {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { ...relayOptions, 'pc-id': { type: 'string' } },
      allowPositionals: true,
    })
    wantArguments(positionals, 1)
    const visitor = visitorOf(positionals[0], values['pc-id'])
    const client = adminClient({ env }, values.relay)
    let sum: Erased | undefined
    do {
      const cursor: { cursor?: string } = sum?.cursor === undefined ? {} : { cursor: sum.cursor }
      sum = added(sum, await client.post('/admin/api/erase', { visitor, ...cursor }, erased))
      progress?.(`${counted(sum.entries, 'entry', 'entries')}, ${counted(sum.deadLetters, 'dead letter')} removed`)
    } while (sum.cursor !== undefined)
    progress?.('')
    if (values.json) out(JSON.stringify(sum))
    else
      out(
        `${sum.complete ? 'erased' : 'not all erased'}: ${counted(sum.entries, 'entry', 'entries')}, ${counted(sum.deadLetters, 'dead letter')}, and what the ledger knew`,
      )
    if (sum.mentioned > 0)
      err(
        `${counted(sum.mentioned, 'dead letter')} hold the id within a longer text: look at them (target-relay dead ls --reason unmappable)`,
      )
    if (sum.todo !== undefined) err(sum.todo)
    return sum.complete ? exit.ok : exit.failed
  },
}

/** What could not be read is counted by the relay over all answers. */
function added(before: Erased | undefined, now: Erased): Erased {
  if (before === undefined) return now
  return {
    ...now,
    entries: before.entries + now.entries,
    deadLetters: before.deadLetters + now.deadLetters,
    mentioned: before.mentioned + now.mentioned,
  }
}
