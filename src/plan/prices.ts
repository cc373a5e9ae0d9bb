/**
 * List prices in US dollars, without tax, as they were on `pricesOf`. Where a page gave no price it is left out here, and
 * what it is the price of is named as not counted. `target-relay plan --prices <file>` puts others in their place.
 *
 * Sources:
 * - Workers: developers.cloudflare.com/workers/platform/pricing (requests, CPU, Workers Logs from 1 December 2026)
 * - Workers KV: developers.cloudflare.com/kv/platform/pricing
 * - Durable Objects: developers.cloudflare.com/durable-objects/platform/pricing (requests, duration, rows)
 * - Upstash: upstash.com/pricing/redis
 */

export const pricesOf = '2026-11-27'

/** Usage-based billing: `included` units a month are free, and each `per` units beyond them cost `price` US dollars. */
export interface Metered {
  readonly included: number
  readonly per: number
  readonly price: number
}

export interface Prices {
  readonly workersPaid: {
    /** A month. */
    readonly base: number
    readonly requests: Metered
    readonly cpuMs: Metered
    readonly logGb: Metered
    readonly kvReads: Metered
    readonly kvWrites: Metered
    readonly kvDeletes: Metered
    readonly kvLists: Metered
    readonly objectRequests: Metered
    readonly objectGbSeconds: Metered
    readonly objectRowsWritten: Metered
  }
  /** Daily limits of the Free plan. */
  readonly workersFree: {
    readonly requests: number
    readonly kvWrites: number
    readonly kvDeletes: number
    readonly kvLists: number
    readonly objectRequests: number
    readonly objectRowsWritten: number
  }
  readonly upstash: {
    readonly commands: Metered
    /** Commands of the free plan, a month. */
    readonly freeCommands: number
    /** Fixed plans: any number of commands, by what they hold; a month. */
    readonly fixed: readonly { readonly gb: number; readonly price: number }[]
  }
  /** Of a server, a month; nobody knows which: only by `--prices`. */
  readonly server?: number | undefined
}

const million = 1_000_000

export const listPrices: Prices = {
  workersPaid: {
    base: 5,
    requests: { included: 10 * million, per: million, price: 0.3 },
    cpuMs: { included: 30 * million, per: million, price: 0.02 },
    logGb: { included: 50, per: 1, price: 0.25 },
    kvReads: { included: 10 * million, per: million, price: 0.5 },
    kvWrites: { included: million, per: million, price: 5 },
    kvDeletes: { included: million, per: million, price: 5 },
    kvLists: { included: million, per: million, price: 5 },
    objectRequests: { included: million, per: million, price: 0.15 },
    objectGbSeconds: { included: 400_000, per: million, price: 12.5 },
    objectRowsWritten: { included: 50 * million, per: million, price: 1 },
  },
  workersFree: {
    requests: 100_000,
    kvWrites: 1_000,
    kvDeletes: 1_000,
    kvLists: 1_000,
    objectRequests: 100_000,
    objectRowsWritten: 100_000,
  },
  upstash: {
    commands: { included: 0, per: 100_000, price: 0.2 },
    freeCommands: 500_000,
    fixed: [
      { gb: 0.25, price: 10 },
      { gb: 1, price: 20 },
      { gb: 5, price: 100 },
      { gb: 10, price: 200 },
      { gb: 50, price: 400 },
      { gb: 100, price: 800 },
      { gb: 500, price: 1_500 },
    ],
  },
}

export type ReadPrices =
  | { readonly ok: true; readonly prices: Prices }
  | { readonly ok: false; readonly problem: string }

/** @param given JSON in the shape of `Prices`; parts that are left out keep their list price */
export function withPrices(given: unknown, prices: Prices = listPrices): ReadPrices {
  const problem = problemOf(given, { ...prices, server: prices.server ?? 0 }, '')
  return problem === undefined ? { ok: true, prices: joined(prices, given) as Prices } : { ok: false, problem }
}

function problemOf(given: unknown, known: unknown, path: string): string | undefined {
  if (typeof known === 'number')
    return typeof given === 'number' && Number.isFinite(given) && given >= 0
      ? undefined
      : `${path} must be a number, 0 or more`
  if (Array.isArray(known)) {
    if (!Array.isArray(given)) return `${path} must be a list`
    return given.map((one, at) => problemOf(one, known[0], `${path}.${at}`)).find((found) => found !== undefined)
  }
  if (!isObject(given)) return `${path === '' ? 'the file' : path} must be an object`
  for (const [name, value] of Object.entries(given)) {
    const here = path === '' ? name : `${path}.${name}`
    if (!isObject(known) || !Object.hasOwn(known, name)) return `${here} is no price that is known`
    const problem = problemOf(value, known[name], here)
    if (problem !== undefined) return problem
  }
  return undefined
}

function joined(prices: unknown, given: unknown): unknown {
  if (!isObject(given) || !isObject(prices)) return given ?? prices
  return Object.fromEntries(
    [...new Set([...Object.keys(prices), ...Object.keys(given)])].map((name) => [
      name,
      Object.hasOwn(given, name) ? joined(prices[name], given[name]) : prices[name],
    ]),
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
