/** `target-relay series`: the figures of the last hours, slot by slot. */
import { parseArgs } from 'node:util'
import type * as z from 'zod'
import { clockTime, figure, table, zoneOf } from '../core/words.ts'
import { series as shape } from '../edge/contract/status.ts'
import { print, relayOptions, wantArguments } from './asking.ts'
import { type Command, exit } from './command.ts'
import { Misuse } from './errors.ts'
import { adminClient } from './relay-client.ts'

type Slot = z.output<typeof shape>['slots'][number]

const defaultHours = 6
const defaultStepMinutes = 60

export const series: Command = {
  summary: 'show the figures of the last hours, slot by slot',
  usage: `target-relay series [--hours ${defaultHours}] [--step ${defaultStepMinutes}] [--source <name>] [--relay <url>] [--json]

What was received, submitted, deferred, replayed … in slots of --step minutes (a multiple of 10), of one source or all. They
are kept for 72 hours.`,

  async run({ args, env, out }) {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: {
        ...relayOptions,
        hours: { type: 'string', default: String(defaultHours) },
        step: { type: 'string', default: String(defaultStepMinutes) },
        source: { type: 'string' },
      },
      allowPositionals: true,
    })
    wantArguments(positionals, 0)
    const [hours, step] = [whole('--hours', values.hours, 72), whole('--step', values.step, 72 * 60)]
    if (step % 10 !== 0) throw new Misuse('--step is a multiple of 10 minutes')
    const clock = { nowMs: Date.now() }
    const from = new Date(clock.nowMs - hours * 3_600_000).toISOString()
    const answer = await adminClient({ env }, values.relay).ask(
      `/admin/api/series?from=${encodeURIComponent(from)}&step=${step * 60}`,
      shape,
    )
    print({ out }, values.json, answer, ({ slots }) => {
      const rows = slots.map(({ at, counts }) => ({ at, counts: countsOf(counts, values.source) }))
      const names = [...new Set(rows.flatMap(({ counts }) => Object.keys(counts)))].sort()
      if (names.length === 0) return ['nothing was counted in this time']
      return table(
        [`from (${zoneOf(clock)})`, ...names],
        rows.map(({ at, counts }) => [clockTime(at, clock), ...names.map((name) => figure(counts[name] ?? 0))]),
      )
    })
    return exit.ok
  },
}

/** Of one source, or the sum of all. */
function countsOf(bySource: Slot['counts'], source: string | undefined): Record<string, number> {
  const sum: Record<string, number> = {}
  for (const [name, counts] of Object.entries(bySource)) {
    if (source !== undefined && name !== source) continue
    for (const [what, count] of Object.entries(counts)) sum[what] = (sum[what] ?? 0) + count
  }
  return sum
}

function whole(option: string, text: string, most: number): number {
  if (!/^[1-9]\d{0,5}$/.test(text) || Number(text) > most)
    throw new Misuse(`${option} is a whole number from 1 to ${most}`)
  return Number(text)
}
