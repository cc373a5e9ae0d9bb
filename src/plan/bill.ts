/** What a month costs on each platform, from counted operations (`counts.ts`) and list prices (`prices.ts`). */

import { figure } from '../core/words.ts'
import { aChunkMore, chunkVisitors, counted, cpuMsAnUpdate, type Operations, runsADay, type Stores } from './counts.ts'
import type { Metered, Prices } from './prices.ts'

/** What the traffic made the relay do, of some days. */
export interface Work {
  readonly days: number
  readonly updates: number
  readonly deferred: number
  readonly unchanged: number
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

/** The platforms, the cheapest to begin with first. */
export function billsOf(work: Work, prices: Prices): readonly Bill[] {
  const month = monthOf(work)
  return [
    freeBill(month, prices),
    workersBill(month, prices, 'Durable Object, `BACKLOG_STORE=object`'),
    workersBill(month, prices, 'Durable Object, Workers KV'),
    workersBill(month, prices, 'Upstash, Workers KV'),
    fixedBill(month, prices),
    serverBill(prices),
  ]
}

const namesOf = {
  'Durable Object, `BACKLOG_STORE=object`': 'ledger and backlog Durable Object',
  'Durable Object, Workers KV': 'ledger Durable Object, backlog KV',
  'Upstash, Workers KV': 'ledger Upstash, backlog KV',
} as const

/** The same of a month of 30 days, and the runs in which nothing waited. */
interface Month extends Omit<Work, 'days'> {
  readonly idleRuns: number
}

function monthOf({ days, ...work }: Work): Month {
  // Of an hour at least: what is shorter says nothing about a month.
  const factor = daysAMonth / Math.max(1 / 24, days)
  const scaled = Object.fromEntries(Object.entries(work).map(([name, count]) => [name, count * factor])) as typeof work
  return { ...scaled, idleRuns: Math.max(0, runsADay * daysAMonth - scaled.busyRuns) }
}

function operationsOf(month: Month, stores: Stores): Operations {
  const { live, superseded, deferred, replayOfOne, replayOfFiveMerged, replayOf16Visitors, idleRun } = counted[stores]
  const { updates, unchanged, replayed, entriesLeft, busyRuns, idleRuns } = month
  const moreVisitors = Math.max(0, replayed - busyRuns)
  const moreEntries = Math.max(0, entriesLeft - Math.max(replayed, busyRuns))
  const moreChunks = Math.max(0, replayed / chunkVisitors - busyRuns)
  const sum = (name: keyof Operations) =>
    (updates - month.deferred - unchanged) * live[name] +
    unchanged * superseded[name] +
    month.deferred * deferred[name] +
    idleRuns * idleRun[name] +
    busyRuns * replayOfOne[name] +
    (moreVisitors * (replayOf16Visitors[name] - replayOfOne[name])) / (chunkVisitors - 1) +
    (moreEntries * (replayOfFiveMerged[name] - replayOfOne[name])) / 4 +
    moreChunks * aChunkMore[ledgerOf(stores)][name]
  return {
    commands: sum('commands'),
    objectRequests: sum('objectRequests'),
    rowsWritten: sum('rowsWritten'),
    kvWrites: sum('kvWrites'),
    kvDeletes: sum('kvDeletes'),
    kvLists: idleRun.kvLists === 0 ? 0 : Math.max(sum('kvLists'), month.lists + idleRuns),
  }
}

function ledgerOf(stores: Stores): 'upstash' | 'object' {
  return stores.startsWith('Upstash') ? 'upstash' : 'object'
}

function workersBill(month: Month, { workersPaid, upstash }: Prices, stores: Stores): Bill {
  const used = operationsOf(month, stores)
  const ledger = ledgerOf(stores)
  // The ledger's, the backlog's; beside Upstash the witness is idle for most of a minute.
  const objects = ledger === 'upstash' ? 0 : stores.endsWith('KV') ? 1 : 2
  const parts: BillPart[] = [
    { what: 'Workers Paid', amount: 1, price: workersPaid.base },
    metered('Worker requests', month.updates + month.busyRuns + month.idleRuns, workersPaid.requests),
    metered('CPU, ms', month.updates * cpuMsAnUpdate[ledger], workersPaid.cpuMs),
    metered('object requests', used.objectRequests, workersPaid.objectRequests),
    metered('object rows written', used.rowsWritten, workersPaid.objectRowsWritten),
    metered('object GB-s', objects * objectGbSecondsAMonth, workersPaid.objectGbSeconds),
    metered('KV writes', used.kvWrites, workersPaid.kvWrites),
    metered('KV deletes', used.kvDeletes, workersPaid.kvDeletes),
    metered('KV lists', used.kvLists, workersPaid.kvLists),
    metered(upstashCommands, used.commands, upstash.commands),
  ].filter(({ amount }) => amount > 0)
  return {
    platform: `Workers Paid, ${namesOf[stores]}`,
    monthly: sumOf(parts),
    parts,
    notes: ['storage is not counted'],
  }
}

const upstashCommands = 'Upstash commands'

function sumOf(parts: readonly BillPart[]): number {
  return parts.reduce((sum, { price }) => sum + price, 0)
}

/** Upstash at a fixed price, whatever the commands. */
function fixedBill(month: Month, prices: Prices): Bill {
  const bill = workersBill(month, prices, 'Upstash, Workers KV')
  const [least] = prices.upstash.fixed
  const parts = bill.parts.filter(({ what }) => what !== upstashCommands)
  if (least !== undefined) parts.push({ what: `Upstash fixed, ${least.gb} GB`, amount: 1, price: least.price })
  return {
    platform: 'Workers Paid, ledger Upstash at a fixed price, backlog KV',
    ...(least === undefined ? {} : { monthly: sumOf(parts) }),
    parts,
    notes: [
      ...bill.notes,
      `the smallest fixed plan; ${prices.upstash.fixed
        .slice(1, 3)
        .map(({ gb, price }) => `$${price} for ${gb} GB`)
        .join(', ')}`,
    ],
  }
}

function freeBill(month: Month, { workersFree }: Prices): Bill {
  const stores = 'Durable Object, `BACKLOG_STORE=object`'
  const used = operationsOf(month, stores)
  const over = [
    ['requests', month.updates + month.busyRuns + month.idleRuns, workersFree.requests],
    ['object requests', used.objectRequests, workersFree.objectRequests],
    ['object rows written', used.rowsWritten, workersFree.objectRowsWritten],
  ] as const
  const notes = over.flatMap(([what, amount, limit]) =>
    amount > limit * daysAMonth
      ? [`${figure(amount / daysAMonth)} ${what} on an average day, of ${figure(limit)}`]
      : [],
  )
  return {
    platform: `Workers Free, ${namesOf[stores]}`,
    ...(notes.length === 0 ? { monthly: 0 } : {}),
    parts: over.map(([what, amount]) => ({ what, amount, price: 0 })),
    notes: notes.length === 0 ? ['on an average day: one with more stops at the limit'] : notes,
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
