/** The table of `npm run bench:load`, and the text of `docs/load.md`. */
import type { Verdict } from '../../load/judge.ts'
import { machine } from '../compare/page.ts'
import { markdownTable } from '../compare/summary.ts'
import type { LoadResult } from './open-loop.ts'
import type { Relay } from './variants.ts'

export interface Result {
  readonly name: string
  /** The highest rates that were held, events a second: the relay's, and its floor's. */
  readonly rate: number
  readonly floorRate: number
  /** What was answered at twice the rate. */
  readonly held: LoadResult
  /** Resident memory: before the load, the most in each half of it, and after the drain. */
  readonly memory: {
    readonly idleMb: number
    readonly earlyMb: number
    readonly lateMb: number
    readonly restMb: number
  }
  /** Events of the whole run, the ramp's included, that were answered 200 or 202. */
  readonly acknowledged: number
  /** Entries that still waited at the end. */
  readonly waiting: number
  readonly verdict: Verdict
  /** What must not be, in words. */
  readonly faults: readonly string[]
}

export interface Page {
  readonly results: readonly Result[]
  readonly relays: readonly Pick<Relay, 'name' | 'about'>[]
  readonly targetDelayMs: number
  readonly slowestMs: number
  readonly heldMs: number
  readonly stepMs: number
  readonly precision: number
  /** Whether the state of the relays is on a disk, and not in memory. */
  readonly onDisk: boolean
}

export function tableOf(results: readonly Result[]): string {
  return `${ratesOf(results)}\n\n${overloadOf(results)}\n\n${proofOf(results)}`
}

function ratesOf(results: readonly Result[]): string {
  return markdownTable([
    ['relay', 'events/s', 'floor events/s', 'relay : floor'],
    ...results.map(({ name, rate, floorRate }) => [
      name,
      rate.toFixed(0),
      floorRate.toFixed(0),
      (rate / floorRate).toFixed(2),
    ]),
  ])
}

function overloadOf(results: readonly Result[]): string {
  const share = (count: number | undefined, all: number) => `${(((count ?? 0) * 100) / all).toFixed(1)} %`
  return markdownTable([
    [
      'relay',
      'events/s',
      '200',
      '202',
      '503',
      'p50 ms',
      'p99 ms',
      'MB before',
      'MB 1st half',
      'MB 2nd half',
      'MB after',
    ],
    ...results.map(({ name, rate, held: { statuses, sent, p50Ms, p99Ms }, memory }) => [
      name,
      (2 * rate).toFixed(0),
      share(statuses[200], sent),
      share(statuses[202], sent),
      share(statuses[503], sent),
      p50Ms.toFixed(0),
      p99Ms.toFixed(0),
      ...[memory.idleMb, memory.earlyMb, memory.lateMb, memory.restMb].map((mb) => mb.toFixed(0)),
    ]),
  ])
}

function proofOf(results: readonly Result[]): string {
  return markdownTable([
    ['relay', 'acknowledged', 'calls to Target', 'wait', 'dead letters', 'lost', 'older over newer', 'sent again'],
    ...results.map(({ name, acknowledged, waiting, verdict: { calls, deadLetters, lost, stale, sentAgain } }) => [
      name,
      String(acknowledged),
      String(calls),
      String(waiting),
      String(Object.values(deadLetters).reduce((sum, count) => sum + count, 0)),
      String(lost),
      String(stale),
      String(sentAgain),
    ]),
  ])
}

export function pageOf({ results, relays, targetDelayMs, slowestMs, heldMs, stepMs, precision, onDisk }: Page): string {
  return `# Under load

Made by \`npm run bench:load -- --write\`; do not edit. All figures are of one run on one machine, on which the relay, its senders,
Target and Redis shared the cores. On another machine the rates differ; the ratios to the floor are what to compare. What must hold
everywhere is the second half of the page: what is answered, and that nothing is lost.

${relays.map(({ name, about }) => `- \`${name}\`: the relay ${about}`).join('\n')}

## The highest rate that is held

Events arrive at random times at a mean rate, and no sender waits for the answer to the one before. Target takes ${targetDelayMs} ms
for each call. Connections are open before, as a proxy in front of a relay keeps them. Each step of a ramp takes ${stepMs / 1_000} s. A rate is held if 99 of 100 answers come within ${slowestMs / 1_000} s, counted from when the
event was due, and none is 5xx; it is found to a factor of ${precision}. The floor is a bare server of the same runtime: it reads the
JSON, posts to Target and answers. It authenticates nobody, validates nothing, counts nothing and keeps nothing.

${ratesOf(results)}

## At twice that rate

Held for ${heldMs / 1_000} s, while a run of the flush follows another. Every answer must be 200, 202, or 503 with \`Retry-After\`, and memory must
not grow from one half to the other. 202: kept in the backlog. 503: nothing was kept, the sender comes again. Memory is the
resident memory of the relay's process.

${overloadOf(results)}

## The proof

Each event has values of its own, and Target keeps what it took. At the end, once the backlog has drained, every value of every
event that was answered 200 or 202 was taken by Target, or a newer one of its attribute was, or it is in the backlog or a dead letter.
The events of the ramp count too. No older value was taken after a newer one.

${proofOf(results)}

## The machine

${[
  ...machine(),
  `the relays' files and objects are ${onDisk ? 'on a disk' : 'in memory (tmpfs), so that writing to disk costs nothing'}`,
]
  .map((line) => `- ${line}`)
  .join('\n')}

## The commands

\`\`\`sh
npm run bench:load                             # prints the tables; exits with 1 if an event was lost or answered otherwise
npm run bench:load -- --short                  # some seconds a relay, and rates only to a factor of 1.5
npm run bench:load -- --only node-sqlite --hold 300 --seed 7
npm run bench:load -- --write                  # and makes this page
\`\`\`

## What was not measured

- The network, Cloudflare's own machines, and Upstash itself: see [Benchmarks](benchmarks.md#what-was-not-measured).
- Senders that come again after a 503: here they give up, so that the rate stays what it is.
- New connections for each event: an overloaded Node accepts one in each turn of its loop, and the rest wait for seconds before the
  relay sees them. A proxy that keeps its connections avoids that.
`
}
