/** `target-relay status`: how a relay is doing. */
import { parseArgs } from 'node:util'
import type { Leads, Usage } from '../core/ledger/port.ts'
import { type Command, exit } from './command.ts'
import { adminClient } from './relay-client.ts'

interface Ready {
  readonly status: string
  readonly ledger: string
  readonly checks: Readonly<Record<string, string>>
  readonly [detail: string]: unknown
}

export const status: Command = {
  summary: 'show how a relay is doing',
  usage: `target-relay status [--relay <url>] [--json]

Asks a relay (--relay, or RELAY_URL; http://127.0.0.1:8787) with ADMIN_TOKEN. Exit 1 where it is not ready.`,

  async run({ args, env, out }) {
    const { values } = parseArgs({
      args: [...args],
      options: { relay: { type: 'string' }, json: { type: 'boolean', default: false } },
    })
    const client = adminClient({ env }, values.relay)
    const ready = (await client.get('/readyz')) as Ready
    const usage = (await client.get('/admin/api/status')) as Usage
    if (values.json) out(JSON.stringify({ ready, usage }))
    else for (const line of describe(client.url, ready, usage)) out(line)
    return ready.status === 'ready' ? exit.ok : exit.failed
  },
}

function* describe(
  url: string,
  { status, ledger, checks, ...details }: Ready,
  usage: Usage & { readonly leads?: Leads },
): Generator<string> {
  const { used, limit, nextFreeAtMs, health, counters, leads = {} } = usage
  yield `${url}: ${status.replaceAll('_', ' ')}, ${ledger} ledger`
  yield `checks    ${Object.entries(checks)
    .map(([name, verdict]) => `${name} ${verdict}`)
    .join(', ')}`
  const free = nextFreeAtMs === undefined ? '' : `, the next unit frees at ${new Date(nextFreeAtMs).toISOString()}`
  yield `quota     ${used} of ${limit} used (${((100 * used) / limit).toFixed(1)} %)${free}`
  if (health.paused) yield 'paused    nothing is sent until it is resumed'
  if (health.breaker !== undefined) yield `breaker   open since ${new Date(health.breaker.sinceMs).toISOString()}: ${health.breaker.cause}`
  const last = details['lastFlushAt']
  yield `flush     ${typeof last === 'string' ? `last run at ${last}` : 'no run yet'}`
  const { sources } = details
  if (typeof sources === 'string') yield `sources   ${sources}`
  const ahead = Object.entries(leads).map(([source, ms]) => `${source} by ${(ms / 1_000).toFixed(1)} s`)
  if (ahead.length > 0) yield `clocks    ahead: ${ahead.join(', ')} (clockAhead of a source takes it off)`
  const counts = Object.entries(counters).sort(([a], [b]) => (a < b ? -1 : 1))
  if (counts.length > 0) yield `counts    ${counts.map(([name, count]) => `${name} ${count}`).join(', ')}`
}
