/** The text of `docs/benchmarks.md`, made from the figures of a run. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { URL } from 'node:url'
import { floorName, type Variant } from './variants.ts'

export interface Page {
  readonly variants: readonly Variant[]
  readonly tables: readonly { readonly senders: number; readonly table: string }[]
  readonly helpers: string
  readonly seconds: number
  readonly rounds: number
  /** Workers ran through Miniflare. */
  readonly miniflare: boolean
}

export function pageOf({ variants, tables, helpers, seconds, rounds, miniflare }: Page): string {
  return `# Benchmarks

Made by \`npm run bench:compare -- --write\`; do not edit. All figures are of one run on one machine: each of ${rounds} rounds measured
every variant for ${seconds} seconds, in turn. A figure is the median of the rounds; a ratio is the median of the rounds' ratios to the
floor. On another machine the figures differ; the ratios are what to compare.

## Variants

${variants.map(({ name, about }) => `- \`${name}\`: ${about}`).join('\n')}

The floor does the least that a Worker with a quota in Redis can do for an update: it authenticates nobody, validates nothing, keeps
nothing that Target did not take, and knows no order of events. It is what the relay is measured against, and no alternative to it.

${tables.map(({ senders, table }) => `## ${senders} senders\n\n${table}`).join('\n\n')}

Workers run ${miniflare ? 'through Miniflare, whose own Workers stand before them and before each of their fetches and count' : 'on workerd alone, without Miniflare, whose own Workers would cost every variant the same'}.
CPU is the user and system time of the variant's processes, the work behind the answers included. Redis, the stand-in of Upstash,
Target and the senders are processes of their own, and not counted: they took of one core at most: ${helpers}.

## The machine

${machine()
  .map((line) => `- ${line}`)
  .join('\n')}

## The commands

\`\`\`sh
npm ci
npm run bench:compare                                   # prints the tables
npm run bench:compare -- --write                        # and makes this page
npm run bench:compare -- --only ${floorName},node-sqlite --senders 32 --rounds 3 --seconds 2
npm run bench:compare -- --beside ../other-checkout     # the relays of another version in the same run
npm run bench:compare -- --miniflare                    # Workers as \`wrangler dev\` runs them
\`\`\`

Each sender sends an update of three attributes to \`POST /v1/updates\` and waits for the answer before it sends the next. No update
is sent twice. A run in which an answer is not 200, or Target is not called once for each update, fails.

## What was not measured

- The network. Everything is on the loopback interface, without TLS: a round trip to Upstash or Target takes no time to speak of,
  so latencies here are CPU and waiting for a turn, and throughput is bounded by CPU.
- Cloudflare's own machines: Workers run on many isolates there, and a Durable Object writes to several places. Here one thread
  runs the Worker and the object, and Workers KV is a stand-in in memory, which no update that is delivered asks for.
- Upstash itself: a small process answers in its place, over a stock Redis that writes nothing to disk.
- Webhooks with signatures, merged updates, deferred ones and the flush, an update at the quota's end, repeats of one event.
- The relay on servers with Upstash, unless named above; several servers on one file or one Redis.
`
}

/** The machine and the versions of what ran on it, a line each. */
export function machine(): string[] {
  const version = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: 'utf8' }).trim()
  const workerd = JSON.parse(
    readFileSync(new URL('../../../node_modules/workerd/package.json', import.meta.url), 'utf8'),
  ) as {
    version: string
  }
  const [, redis = ''] = /v=(\S+)/.exec(version('redis-server', '--version')) ?? []
  const [, deno = ''] = /^deno (\S+)/.exec(version('deno', '--version')) ?? []
  return [
    `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB of memory, ${type()} ${release().split('-')[0]}`,
    `workerd ${workerd.version}, Node ${process.versions.node}, Deno ${deno}, Bun ${version('bun', '--version')}, Redis ${redis}`,
  ]
}
