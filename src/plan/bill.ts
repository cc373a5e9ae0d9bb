/** What a month costs on each platform, from counted operations (`counts.ts`) and list prices (`prices.ts`). */
import { aChunk, anEntry, anIdleRun, anUpdate, cpuMsAnUpdate, runsADay } from './counts.ts'
import type { Metered, Prices } from './prices.ts'

/** What the traffic made the relay do, of some days. */
export interface Work {
  readonly days: number
  readonly updates: number
  readonly deferred: number
  readonly replayed: number
  readonly entriesLeft: number
  readonly busyRuns: number
  readonly lists: number
}

export interface Bill {
  readonly platform: string
  /** US dollars a month of 30 days; undefined where it can't be had at any price, or nobody said what it costs. */
  readonly monthly?: number
  readonly parts: readonly BillPart[]
  /** Why the platform is not enough, or what is not counted. */
  readonly notes: readonly string[]
}

export interface BillPart {
  readonly what: string
  readonly amount: number
  readonly price: number
}

const daysAMonth = 30
/** An object of 128 MB that is never idle. */
const objectGbSecondsAMonth = 0.128 * 86_400 * daysAMonth

interface Month {
  readonly updates: number
  readonly live: number
  readonly deferred: number
  readonly chunks: number
  readonly replayed: number
  readonly left: number
  readonly lists: number
  readonly idleRuns: number
  readonly runs: number
}

/** The platforms, the cheapest to begin with first. */
export function billsOf(work: Work, prices: Prices): readonly Bill[] {
  const month = monthOf(work)
  return [
    freeBill(month, prices),
    workersBill(month, prices, 'object', 'object'),
    workersBill(month, prices, 'object', 'kv'),
    workersBill(month, prices, 'upstash', 'kv'),
    fixedBill(month, prices),
    serverBill(prices),
  ]
}

function monthOf(work: Work): Month {
  const of = (count: number) => (count * daysAMonth) / Math.max(1 / 24, work.days)
  const runs = runsADay * daysAMonth
  return {
    updates: of(work.updates),
    live: of(work.updates - work.deferred),
    deferred: of(work.deferred),
    replayed: of(work.replayed),
    // Each run that has anything ends with a chunk that is not full.
    chunks: of(work.replayed / aChunk.visitors + work.busyRuns / 2),
    left: of(work.entriesLeft),
    lists: of(work.lists) + runs * anIdleRun.kv.lists,
    idleRuns: Math.max(0, runs - of(work.busyRuns)),
    runs,
  }
}

function ledgerOf(month: Month) {
  const { updates, live, deferred, chunks, replayed, runs } = month
  return {
    commands:
      updates * anUpdate.upstash.commands + chunks * aChunk.upstash.commands + runs * anIdleRun.upstash.commands,
    requests: updates * anUpdate.object.requests + chunks * aChunk.object.requests + runs * anIdleRun.object.requests,
    rows:
      live * anUpdate.object.liveRows +
      deferred * anUpdate.object.deferredRows +
      replayed * aChunk.object.rowsAVisitor +
      runs * anIdleRun.object.rows,
  }
}

function workersBill(
  month: Month,
  { workersPaid, upstash }: Prices,
  ledger: 'object' | 'upstash',
  store: 'object' | 'kv',
): Bill {
  const used = ledgerOf(month)
  const inObject = {
    requests:
      (ledger === 'object' ? used.requests : 0) + (store === 'object' ? month.left * anEntry.object.requests : 0),
    rows: (ledger === 'object' ? used.rows : 0) + (store === 'object' ? month.left * anEntry.object.rows : 0),
    count: (ledger === 'object' ? 1 : 0) + (store === 'object' ? 1 : 0),
  }
  const parts: BillPart[] = [
    { what: 'Workers Paid', amount: 1, price: workersPaid.base },
    metered('Worker requests', month.updates * anUpdate.workerRequests + month.runs, workersPaid.requests),
    metered('CPU, ms', month.updates * cpuMsAnUpdate[ledger], workersPaid.cpuMs),
  ]
  if (inObject.count > 0)
    parts.push(
      metered('object requests', inObject.requests, workersPaid.objectRequests),
      metered('object rows written', inObject.rows, workersPaid.objectRowsWritten),
      metered('object GB-s', inObject.count * objectGbSecondsAMonth, workersPaid.objectGbSeconds),
    )
  if (store === 'kv')
    parts.push(
      metered('KV puts', month.deferred * anEntry.kv.puts, workersPaid.kvWrites),
      metered('KV deletes', month.left * anEntry.kv.deletes, workersPaid.kvDeletes),
      metered('KV lists', month.lists, workersPaid.kvLists),
    )
  if (ledger === 'upstash') parts.push(metered('Upstash commands', used.commands, upstash.commands))
  const names = { object: 'Durable Object', upstash: 'Upstash by commands', kv: 'KV' }
  return {
    platform: `Workers Paid, ledger ${names[ledger]}, backlog ${names[store]}`,
    monthly: parts.reduce((sum, { price }) => sum + price, 0),
    parts,
    notes: ['storage is not counted'],
  }
}

/** Upstash at a fixed price, whatever the commands. */
function fixedBill(month: Month, prices: Prices): Bill {
  const bill = workersBill(month, prices, 'upstash', 'kv')
  const [least] = prices.upstash.fixed
  const parts = bill.parts.filter(({ what }) => what !== 'Upstash commands')
  if (least !== undefined) parts.push({ what: `Upstash fixed, ${least.gb} GB`, amount: 1, price: least.price })
  return {
    platform: 'Workers Paid, ledger Upstash at a fixed price, backlog KV',
    ...(least === undefined ? {} : { monthly: parts.reduce((sum, { price }) => sum + price, 0) }),
    parts,
    notes: [
      ...bill.notes,
      `the smallest fixed plan: one that holds more costs ${prices.upstash.fixed
        .slice(1)
        .map(({ gb, price }) => `$${price} (${gb} GB)`)
        .join(', ')}`,
    ],
  }
}

function freeBill(month: Month, { workersFree }: Prices): Bill {
  const used = ledgerOf(month)
  const a = (count: number) => count / daysAMonth
  const over = [
    ['requests', a(month.updates + month.runs), workersFree.requests],
    ['object requests', a(used.requests + month.left * anEntry.object.requests), workersFree.objectRequests],
    ['object rows written', a(used.rows + month.left * anEntry.object.rows), workersFree.objectRowsWritten],
  ] as const
  const notes = over.flatMap(([what, amount, limit]) =>
    amount > limit ? [`${Math.round(amount)} ${what} a day, of ${limit}`] : [],
  )
  return {
    platform: 'Workers Free, ledger and backlog Durable Object',
    ...(notes.length === 0 ? { monthly: 0 } : {}),
    parts: over.map(([what, amount]) => ({ what: `${what} a day`, amount, price: 0 })),
    notes: notes.length === 0 ? ['on an average day: a day with more stops at the limit'] : notes,
  }
}

function serverBill({ server }: Prices): Bill {
  return {
    platform: 'a server with SQLite',
    ...(server === undefined ? {} : { monthly: server }),
    parts: [],
    notes: server === undefined ? ['what your server costs: give its price with --prices'] : [],
  }
}

function metered(what: string, amount: number, { included, per, price }: Metered): BillPart {
  return { what, amount, price: (Math.max(0, amount - included) / per) * price }
}
