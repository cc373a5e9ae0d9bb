/** `target-relay keys`: what each key of `BACKLOG_KEYS` still seals, and an old key's way to its end. */
import { parseArgs } from 'node:util'
import type * as z from 'zod'
import { counted } from '../core/words.ts'
import { seals as shape } from '../edge/contract/seals.ts'
import { relayOptions, wantArguments } from './asking.ts'
import { type Command, exit } from './command.ts'
import { Misuse } from './errors.ts'
import { adminClient, type RelayClient } from './relay-client.ts'

type Seals = z.output<typeof shape>

export const keys: Command = {
  summary: 'show what each key of BACKLOG_KEYS seals, or seal it anew',
  usage: `target-relay keys [--relay <url>] [--json]
target-relay keys reseal [--relay <url>] [--json]

Counts what waits and what is dead by the key that seals it. reseal (ADMIN_TOKEN) seals anew, under the first key of the ring,
what another one sealed; then the old key may leave BACKLOG_KEYS. It may run beside everything else, and be run again.
Exit 1 where something is left under an old key, or could not be read.`,

  async run({ args, env, out, err, progress }) {
    const { values, positionals } = parseArgs({ args: [...args], options: relayOptions, allowPositionals: true })
    const [what] = positionals
    wantArguments(positionals, 1)
    if (what !== undefined && what !== 'reseal') throw new Misuse('say reseal, or nothing')
    const sum = await askAll(adminClient({ env }, values.relay), what === 'reseal', (soFar) => progress?.(soFar))
    progress?.('')
    if (values.json) out(JSON.stringify(sum))
    else for (const line of inWords(sum)) out(line)
    if (sum.failed > 0) err(`the store did not give or take ${counted(sum.failed, 'value')}: run it again`)
    const isLeft = Object.keys(sum.byKey).some((name) => name !== sum.first && name !== plainName)
    return what === 'reseal' && (isLeft || sum.failed > 0) ? exit.failed : exit.ok
  },
}

const plainName = 'not sealed'

async function askAll(client: RelayClient, anew: boolean, tell: (soFar: string) => void): Promise<Seals> {
  let sum: Seals = { byKey: {}, resealed: 0, failed: 0, complete: false }
  do {
    const { cursor } = sum
    const now: Seals = anew
      ? await client.post('/admin/api/seals', cursor === undefined ? {} : { cursor }, shape)
      : await client.get(
          `/admin/api/seals${cursor === undefined ? '' : `?cursor=${encodeURIComponent(cursor)}`}`,
          shape,
        )
    sum = added(sum, now)
    tell(`${counted(sum.resealed, 'value')} sealed anew`)
  } while (sum.cursor !== undefined)
  return sum
}

function added(before: Seals, now: Seals): Seals {
  const byKey = { ...before.byKey }
  for (const [name, { entries, dead }] of Object.entries(now.byKey)) {
    const known = byKey[name] ?? { entries: 0, dead: 0 }
    byKey[name] = { entries: known.entries + entries, dead: known.dead + dead }
  }
  return {
    ...now,
    byKey,
    resealed: before.resealed + now.resealed,
    failed: before.failed + now.failed,
  }
}

function* inWords({ byKey, first, resealed }: Seals): Generator<string> {
  if (resealed > 0) yield `${counted(resealed, 'value')} sealed anew under ${first}`
  yield first === undefined ? 'BACKLOG_KEYS is not set: nothing is sealed' : `${first} seals what is kept from now on`
  for (const [name, { entries, dead }] of Object.entries(byKey).sort(([a], [b]) => (a < b ? -1 : 1)))
    yield `${name}: ${counted(entries, 'entry', 'entries')}, ${counted(dead, 'dead letter')}${name === first || name === plainName ? '' : ' still'}`
}
