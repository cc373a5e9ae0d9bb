/** `target-relay status`: how a relay is doing. */
import { parseArgs } from 'node:util'
import * as z from 'zod'
import { type Command, exit } from './command.ts'
import { adminClient } from './relay-client.ts'

/** The latest time of a JavaScript date. */
const maxTimeMs = 8_640_000_000_000_000

const ready = z.looseObject({
  status: z.string(),
  ledger: z.string(),
  checks: z.record(z.string(), z.string()),
  lastFlushAt: z.string().optional(),
  sources: z.string().optional(),
})
const timeMs = z.number().min(0).max(maxTimeMs)
const usage = z.looseObject({
  used: z.number(),
  limit: z.number(),
  nextFreeAtMs: timeMs.optional(),
  health: z.looseObject({
    paused: z.boolean(),
    breaker: z.looseObject({ cause: z.string(), sinceMs: timeMs }).optional(),
  }),
  counters: z.record(z.string(), z.number()),
  leads: z.record(z.string(), z.number()).optional(),
  clock: z.looseObject({ jumpedByMs: z.number() }).optional(),
})
type Ready = z.output<typeof ready>
type Usage = z.output<typeof usage>

export const status: Command = {
  summary: 'show how a relay is doing',
  usage: `target-relay status [--relay <url>] [--json]

Asks a relay (--relay, or RELAY_URL; http://127.0.0.1:8787) with ADMIN_TOKEN. Exit 1 where it is not ready, or one of its checks fails.`,

  async run({ args, env, out }) {
    const { values } = parseArgs({
      args: [...args],
      options: { relay: { type: 'string' }, json: { type: 'boolean', default: false } },
    })
    const client = adminClient({ env }, values.relay)
    // A wrong token is an error here; /readyz only leaves out its details.
    const has = await client.get('/admin/api/status', usage)
    const is = await client.get('/readyz', ready)
    if (values.json) out(JSON.stringify({ ready: is, usage: has }))
    else for (const line of describe(client.url, is, has)) out(line)
    return is.status === 'ready' && !Object.values(is.checks).includes('fail') ? exit.ok : exit.failed
  },
}

function* describe(url: string, is: Ready, has: Usage): Generator<string> {
  const { status, ledger, checks, lastFlushAt, sources } = is
  const { used, limit, nextFreeAtMs, health, counters, clock, leads = {} } = has
  yield `${url}: ${status.replaceAll('_', ' ')}, ${ledger} ledger`
  yield `checks    ${Object.entries(checks)
    .map(([name, verdict]) => `${name} ${verdict}`)
    .join(', ')}`
  const free = nextFreeAtMs === undefined ? '' : `, the next unit frees at ${new Date(nextFreeAtMs).toISOString()}`
  yield `quota     ${used} of ${limit} used (${((100 * used) / limit).toFixed(1)} %)${free}`
  if (clock !== undefined)
    yield `clock     the ledger's jumped by ${clock.jumpedByMs} ms: nothing is sent until it is right again or confirmed`
  if (health.paused) yield 'paused    nothing is sent until it is resumed'
  if (health.breaker !== undefined)
    yield `breaker   open since ${new Date(health.breaker.sinceMs).toISOString()}: ${health.breaker.cause}`
  yield `flush     ${lastFlushAt === undefined ? 'no run yet' : `last run at ${lastFlushAt}`}`
  if (sources !== undefined) yield `sources   ${sources}`
  const ahead = Object.entries(leads).map(([source, ms]) => `${source} by ${(ms / 1_000).toFixed(1)} s`)
  if (ahead.length > 0) yield `clocks    ahead: ${ahead.join(', ')} (clockAhead of a source takes it off)`
  const counts = Object.entries(counters).sort(([a], [b]) => (a < b ? -1 : 1))
  if (counts.length > 0) yield `counts    ${counts.map(([name, count]) => `${name} ${count}`).join(', ')}`
}
