/**
 * `npm run bench:drain [-- --sizes 1000,10000] [--only KV] [--target 150] [--kv 60] [--object 20] [--ledger 5] [--real]
 * [--write]`: how fast runs of the flush drain a backlog, beside the ideal: six connections over the connection time that a visitor
 * takes, which is its call and, on KV, a delete for each of its entries. Delays stand before a real SQLite ledger, a KV
 * with the limits of Workers, a real SQLite backlog, and that backlog asked as a Worker asks its object, on a virtual
 * clock; `--real` measures one run in real time, which the virtual clock must agree with. Rates are of the first run;
 * the time until all has drained grows linearly. Several runs share what is more than a page, in invocations of their own.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleepReally } from 'node:timers/promises'
import { URL } from 'node:url'
import { parseArgs } from 'node:util'
import { kvBacklog } from '../../../src/core/backlog/kv.ts'
import type { Backlog } from '../../../src/core/backlog/port.ts'
import { rowsBacklog, type SqliteBacklogParts, sqliteBacklog } from '../../../src/core/backlog/sqlite.ts'
import { sqliteRows } from '../../../src/core/backlog/sqlite-rows.ts'
import { twoStores } from '../../../src/core/backlog/two-stores.ts'
import type { Clock } from '../../../src/core/clock.ts'
import { sqlLedger } from '../../../src/core/ledger/sql/ledger.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'
import { createHasher } from '../../../src/core/update/hash.ts'
import { makeStamp } from '../../../src/core/update/stamp.ts'
import { lastRunMemo, writeLastRun } from '../../../src/cron/report.ts'
import { composeRelay, type Relay } from '../../../src/relay/compose.ts'
import { ledgerSettings, parseSettings, type Settings } from '../../../src/relay/settings.ts'
import { objectRows } from '../../../src/workers/object-rows.ts'
import { VirtualTime } from '../../sim/time.ts'
import { seededRandom } from '../../support/clock.ts'
import { watched } from '../../support/ledger.ts'
import { plainSeal } from '../../support/seal.ts'
import { settingsFor } from '../../support/settings.ts'
import { Connections, indexedKv, type Sleep, slow } from './stores.ts'

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '1000,10000' },
    target: { type: 'string', default: '150' },
    only: { type: 'string', default: '' },
    kv: { type: 'string', default: '60' },
    object: { type: 'string', default: '20' },
    ledger: { type: 'string', default: '5' },
    real: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
})
const [targetMs, ledgerMs] = [Number(values.target), Number(values.ledger)]
const [kvMs, objectMs] = [Number(values.kv), Number(values.object)]
const connectionCount = 6
const startMs = 1_790_000_000_000
const yes = '<response><success>true</success><pcId></pcId><message>Request successfully submitted</message></response>'

type Store = 'kv' | 'sqlite' | 'object'
interface Case {
  readonly name: string
  readonly store: Store
  /** Entries of each visitor, which one call carries. */
  readonly entriesEach: number
  /** That share the backlog, each with six connections. Default: 1. */
  readonly runs?: number
  readonly wanted: number
}
const cases: readonly Case[] = [
  { name: 'KV, alone', store: 'kv', entriesEach: 1, wanted: 0.8 },
  { name: 'KV, five merge', store: 'kv', entriesEach: 5, wanted: 0.7 },
  { name: 'SQLite, alone', store: 'sqlite', entriesEach: 1, wanted: 0.85 },
  { name: 'Object, alone', store: 'object', entriesEach: 1, wanted: 0.85 },
  // Twice the pace of one.
  { name: 'KV, two runs', store: 'kv', entriesEach: 1, runs: 2, wanted: 0.7 },
  { name: 'KV, four runs', store: 'kv', entriesEach: 1, runs: 4, wanted: 0.7 },
  { name: 'Object, four runs', store: 'object', entriesEach: 1, runs: 4, wanted: 0.7 },
]

interface Drained {
  /** Of the first run. */
  readonly visitorsASecond: number
  readonly entriesASecond: number
  readonly stopped: string
  readonly runs: number
  readonly drainedMs: number
}

async function drain(
  { store, entriesEach, runs: together = 1 }: Case,
  entries: number,
  real: boolean,
): Promise<Drained> {
  const time = new VirtualTime(startMs)
  const sleep: Sleep = real ? (ms) => sleepReally(ms) : (ms) => time.sleep(ms)
  const beganMs = performance.now()
  const clock: Clock = real
    ? {
        now: () => Math.round(startMs + performance.now() - beganMs),
        after: (ms) => {
          const abort = new AbortController()
          const elapsed = new Promise<void>((resolve) => {
            sleepReally(ms, undefined, { signal: abort.signal }).then(resolve, () => {})
          })
          return { elapsed, cancel: () => abort.abort() }
        },
      }
    : { now: () => Math.round(time.nowMs), after: (ms) => time.after(ms) }
  const random = seededRandom(1)
  const settings = settingsOf(together)
  const backlogParts = { randomHex: random.hex, seal: plainSeal }
  const { filled, askedOver } = backlogs(store, backlogParts, sleep)
  await fill(filled, entries, entriesEach)
  const sqlite = nodeSqlite(new DatabaseSync(':memory:'))
  const ledgerStore = sqlLedger(sqlite, ledgerSettings(settings), { now: clock.now })
  const ledger = watched(slow(ledgerStore, (work) => sleep(ledgerMs).then(work)))
  /** Of one invocation, with connections of its own. */
  const newRelay = (): Promise<Relay> => {
    const connections = new Connections(connectionCount)
    return composeRelay({
      settings,
      sources: [],
      ledger,
      backlog: askedOver(connections),
      clock,
      random,
      fetch: () =>
        connections.use(async () => {
          await sleep(targetMs)
          return new Response(yes)
        }),
      startRun: async (segment) => (await newRelay()).flushPart(segment),
      background: () => {},
      log: () => {},
    })
  }
  const relay = await newRelay()
  // As behind a run that did not carry what waits.
  if (together > 1)
    await ledgerStore.remember(lastRunMemo, writeLastRun({ atMs: startMs, report: { stopped: 'time' } }))
  let first: Pick<Drained, 'visitorsASecond' | 'entriesASecond' | 'stopped'> | undefined
  for (let runs = 1; ; runs++) {
    const run = relay.flush()
    let over = false
    void run.finally(() => {
      over = true
    })
    const began = clock.now()
    while (!real && !over) await time.run(time.nowMs + 100)
    const { replayed, superseded, calls, durationMs, stopped } = await run
    first ??= {
      visitorsASecond: (calls * 1_000) / durationMs,
      entriesASecond: ((replayed + superseded) * 1_000) / durationMs,
      stopped,
    }
    const { items } = await filled.list({ limit: 1 })
    if (items.length === 0 || real) return { ...first, runs, drainedMs: clock.now() - startMs }
    if (replayed + superseded === 0) throw new Error(`a run that does nothing: ${stopped}`)
    await time.run(Math.max(time.nowMs, began + 60_000))
  }
}

/** A backlog to be filled at once, and the same as a run asks it. */
function backlogs(
  store: Store,
  parts: SqliteBacklogParts,
  sleep: Sleep,
): { readonly filled: Backlog; readonly askedOver: (connections: Connections) => Backlog } {
  const taking = (connections: Connections, ms: number) => (work: () => unknown) =>
    connections.use(async () => {
      await sleep(ms)
      return work()
    })
  const kv = indexedKv()
  const inSlowKv = (connections: Connections) => kvBacklog(slow(kv, taking(connections, kvMs)), parts)
  if (store === 'kv') return { filled: kvBacklog(kv, parts), askedOver: inSlowKv }
  const sql = nodeSqlite(new DatabaseSync(':memory:'))
  const filled = sqliteBacklog(sql, parts)
  if (store === 'sqlite') return { filled, askedOver: () => filled }
  return {
    filled,
    askedOver: (connections) => {
      const stub = slow(sqliteRows(sql, false), taking(connections, objectMs))
      const inObject = rowsBacklog(
        objectRows(() => stub),
        parts,
      )
      const stores = { kv: inSlowKv(connections), sql: inObject, keepsIn: 'sql' } as const
      return twoStores({ ...stores, now: () => startMs, memory: {} })
    },
  }
}

function settingsOf(runs: number): Settings {
  const own = { QUOTA_LIMIT: '1000000', REPLAY_RESERVE: '0', FLUSH_RUNS: String(runs) }
  const parsed = parseSettings(settingsFor('https://target.example', own))
  if (!parsed.ok) throw new Error(parsed.problems.join('; '))
  // More than Adobe gives, so that the quota bounds nothing.
  return { ...parsed.settings, quotaLimit: 1_000_000_000 }
}

async function fill(backlog: Backlog, entries: number, entriesEach: number): Promise<void> {
  const hasher = await createHasher('a-hash-key-of-32-bytes-for-tests-only')
  const random = seededRandom(2)
  for (let n = 0; n < entries; n++) {
    const visitor = { thirdPartyId: String(Math.floor(n / entriesEach)) }
    const firstSeenMs = startMs - 3_600_000 + Math.floor(random.fraction() * 3_000_000)
    await backlog.put({
      visitor,
      visitorHash: await hasher.visitor(visitor),
      attributes: [{ name: 'tier', value: `gold ${n}` }],
      stamp: makeStamp(firstSeenMs, firstSeenMs, random.hex(7)),
      source: 'api',
      firstSeenMs,
      reason: 'quota',
    })
  }
}

const idealOf = ({ store, entriesEach, runs = 1 }: Case) =>
  (runs * connectionCount * 1_000) / (targetMs + (store === 'kv' ? entriesEach * kvMs : 0))

const header = [
  ...['backlog', 'entries', 'visitors/s', 'entries/s', 'ideal visitors/s', 'ratio', 'wanted', 'the first run ended by'],
  ...['runs', 'the backlog is empty after', 'an entry'],
]
const rule = header.map((_, index) => (index === 0 ? '---' : '--:'))
const print = (cells: readonly string[]) => {
  const row = `| ${cells.join(' | ')} |`
  console.log(row)
  return row
}

console.log(
  `Target ${targetMs} ms, KV ${kvMs} ms, object ${objectMs} ms, ledger ${ledgerMs} ms${values.real ? ', in real time' : ''}`,
)
const table = [header, rule].map(print)
for (const one of cases.filter(({ name }) => name.startsWith(values.only)))
  for (const entries of values.sizes.split(',').map(Number)) {
    const { visitorsASecond, entriesASecond, stopped, runs, drainedMs } = await drain(one, entries, values.real)
    const ideal = idealOf(one)
    const cells = [
      ...[
        one.name,
        entries.toLocaleString('en'),
        visitorsASecond.toFixed(1),
        entriesASecond.toFixed(1),
        ideal.toFixed(1),
      ],
      ...[(visitorsASecond / ideal).toFixed(2), String(one.wanted), stopped, runs.toLocaleString('en')],
      ...[
        `${(drainedMs / 1_000).toLocaleString('en', { maximumFractionDigits: 0 })} s`,
        `${(drainedMs / entries).toFixed(1)} ms`,
      ],
    ]
    table.push(print(cells))
  }
if (values.write) {
  const page = new URL('../../../docs/drain.md', import.meta.url)
  const text = readFileSync(page, 'utf8')
  writeFileSync(
    page,
    text.replace(/<!-- table -->[\s\S]*<!-- end -->/, `<!-- table -->\n\n${table.join('\n')}\n\n<!-- end -->`),
  )
}
