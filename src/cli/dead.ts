/** `target-relay dead …`: what was set aside; to be listed, read, planned for, brought back or dropped. */
import { parseArgs } from 'node:util'
import type * as z from 'zod'
import { clockTime, table, zoneOf } from '../core/words.ts'
import { letter, letters } from '../edge/contract/dead.ts'
import { print, relayOptions, wantArguments } from './asking.ts'
import { type Command, type Exit, exit, type Io } from './command.ts'
import { exportDead, importDead } from './dead-files.ts'
import { filterOf, filterOptions, filterUsage } from './dead-filter.ts'
import { cancelPlan, planDead, runPlan } from './dead-plan.ts'
import { Misuse } from './errors.ts'
import { adminClient } from './relay-client.ts'

type Listed = z.output<typeof letters>['letters'][number]
type Letter = z.output<typeof letter>

const defaultLimit = 50
const mostLimit = 1_000
const detailChars = 60

const actions: Readonly<Record<string, (io: Io) => Promise<Exit>>> = {
  ls: list,
  show,
  plan: planDead,
  run: runPlan,
  cancel: cancelPlan,
  export: exportDead,
  import: importDead,
}

export const dead: Command = {
  summary: 'list, read, replay, map again or drop what was set aside',
  usage: `target-relay dead ls ${filterUsage}
                     [--limit ${defaultLimit}] [--cursor <text>]
target-relay dead show <key> [--reveal]
target-relay dead plan replay|remap|drop <filter> | --keys <key,…>  [--as-new]
target-relay dead run <plan> [--no-wait]
target-relay dead cancel <plan>
target-relay dead export <file> [filter]
target-relay dead import <file>
    each with [--relay <url>] [--json]

ls lists letters, the newest first, without values; show reads one (--reveal: with its values, which is on record). plan
fixes a set and says what would be done with it; nothing is done until run, which goes on with each flush until it is
through, or until cancel. replay sends letters as they are, under their own time, so that a newer value that was delivered
meanwhile stays (--as-new: as if they had happened now). remap maps events again that could not be mapped. drop removes.
export writes letters whole to a file (on record), import brings them back, each once. Exit 1 where a run failed for some letters
or was cancelled, or a file holds what is no letter of this relay.`,

  async run(io) {
    const [name = '', ...args] = io.args
    const action = Object.hasOwn(actions, name) ? actions[name] : undefined
    if (action === undefined) throw new Misuse(`expected one of ${Object.keys(actions).join(', ')}`)
    return action({ ...io, args })
  },
}

async function list({ args, env, out }: Io): Promise<Exit> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      ...relayOptions,
      ...filterOptions,
      limit: { type: 'string', default: String(defaultLimit) },
      cursor: { type: 'string' },
    },
    allowPositionals: true,
  })
  wantArguments(positionals, 0)
  const limit = Number(values.limit)
  if (!/^\d{1,4}$/.test(values.limit) || limit < 1 || limit > mostLimit)
    throw new Misuse(`--limit is a whole number from 1 to ${mostLimit}`)
  const asked = { ...filterOf(values), limit, ...(values.cursor === undefined ? {} : { cursor: values.cursor }) }
  // An id has no place in an address, so the filter travels in a body.
  const answer = await adminClient({ env }, values.relay).tell('/admin/api/dead/list', asked, letters)
  const clock = { nowMs: Date.now() }
  print({ out }, values.json, answer, function* ({ letters, cursor }) {
    if (letters.length === 0) yield cursor === undefined ? 'no such letters' : 'none so far'
    else
      yield* table(
        ['key', `at (${zoneOf(clock)})`, 'reason', 'source', 'tries', 'detail'],
        letters.map((one) => rowOf(one, clock)),
      )
    if (cursor !== undefined) yield `there may be more: go on with --cursor '${cursor}'`
  })
  return exit.ok
}

function rowOf(
  { key, at, reason, source = '-', attempts, detail = '' }: Listed,
  clock: { readonly nowMs: number },
): readonly string[] {
  const shown = detail.length > detailChars ? `${detail.slice(0, detailChars - 1)}…` : detail
  const when = at === undefined ? '-' : clockTime(at, clock)
  return [key, when, reason, source, attempts === undefined ? '-' : String(attempts), shown]
}

async function show({ args, env, out }: Io): Promise<Exit> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { ...relayOptions, reveal: { type: 'boolean', default: false } },
    allowPositionals: true,
  })
  const [key] = positionals
  wantArguments(positionals, 1)
  if (key === undefined || !/^[\w/-]+$/.test(key)) throw new Misuse('name one letter by its key')
  const path = `/admin/api/dead/${key}${values.reveal ? '?reveal=1' : ''}`
  const answer = await adminClient({ env }, values.relay).ask(path, letter)
  print({ out }, values.json, answer, letterLines)
  return exit.ok
}

function* letterLines(one: Letter): Generator<string> {
  const { key, reason, source, at, firstSeenAt, attempts, detail, visitor, unreadable, update, raw, rawCharacters } =
    one
  const rows: [label: string, value: string | number | undefined][] = [
    ['key', key],
    ['reason', reason],
    ['detail', detail],
    ['source', source],
    ['set aside', at],
    ['first seen', firstSeenAt],
    ['tries', attempts],
    ['visitor', visitor],
    ['unreadable', unreadable],
    ['event id', one.eventId],
    ['happened', update?.occurredAt],
    ...Object.entries(update?.visitor ?? {}).map(([name, value]): [string, string | number] => [name, value]),
    ...(update?.attributes ?? []).map(({ name, value, characters }): [string, string] => [
      name,
      value === undefined ? `(${characters ?? 0} characters)` : JSON.stringify(value),
    ]),
    ['event', raw ?? (rawCharacters === undefined ? undefined : `(${rawCharacters} characters)`)],
  ]
  const wide = Math.max(...rows.map(([label]) => label.length))
  for (const [label, value] of rows) if (value !== undefined) yield `${label.padEnd(wide)}  ${value}`
}
