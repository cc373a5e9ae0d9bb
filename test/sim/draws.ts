/**
 * What a night (one run) may contain besides the plain weather. Each draw has its own randomness, so that one can be left
 * out (`--without`) and the rest of the night stays the same. If it still breaks, that is the smaller case.
 */
import type { Random } from '../../src/core/clock.ts'
import { seededRandom } from '../support/clock.ts'

/** The chance of each in a night that is not gentle. The slow ones are rare. */
const chances = {
  /** Settings drawn from their whole documented ranges. */
  settings: 0.3,
  /** Senders on every lane. */
  lanes: 0.3,
  /** Limits of a few items for pages, reads, rows and attempts. */
  'tiny limits': 0.25,
  /** Few connections, and chunks of a few visitors beside each other. */
  pipeline: 0.4,
  /** Runs of a few calls that share what is more than a page; some of them die. */
  segments: 0.3,
  /** Runs of a second and of a few operations. */
  'tiny budgets': 0.12,
  /** A platform that refuses the 51st subrequest of an invocation. */
  subrequests: 0.1,
  /** Isolates whose clocks drift and jump. */
  clocks: 0.15,
  /** The ledger's clock steps and jumps. */
  'ledger clock': 0.1,
  /** Calls spread over the window. */
  pace: 0.2,
  /** Values that come again and again, of which what is unchanged is skipped. */
  unchanged: 0.25,
  /** Settings that change between restarts. */
  knobs: 0.2,
  /** A visitor for whom the ledger never answers. */
  'refused visitor': 0.08,
  /** Senders that use an id again for something else. */
  'reused ids': 0.1,
  /** Hundreds of events of one visitor. */
  'hot visitor': 0.02,
  /** Updates with very many attributes, with tens of kilobytes, and with almost nothing. */
  'odd sizes': 0.1,
  /** A key of KV that can't be read. */
  'sick key': 0.08,
  /** One that takes 20 s to be read. */
  'slow key': 0.05,
  /** Updates that are denied each time, by content or by visitor; a few tries are a verdict. */
  denials: 0.1,
  /** Entries in KV that nobody can read. */
  garbage: 0.08,
  /** A wrong URL for a while: every isolate talks to another, empty ledger, and then to its own again. */
  'another ledger': 0.06,
  /** Ledger and witness restored together from a backup; the operator says so. */
  'restored backup': 0.05,
  /** Isolates that are suspended between any two steps, and while a call connects. */
  suspended: 0.1,
  /** An operator who erases a visitor. */
  erase: 0.06,
  /** An operator who asks how much waits, once nothing comes and goes. */
  census: 0.3,
  /** Operators who replay, map again and drop dead letters. */
  plans: 0.15,
  /** A backlog in the object, alone or while isolates move what is new there and back. */
  'object store': 0.2,
} as const

export type Draw = keyof typeof chances
export const draws = Object.keys(chances) as readonly Draw[]

/** Drawn only on request (`--with`): they break what is not fixed yet. */
const pending: ReadonlySet<Draw> = new Set<Draw>()

export interface DrawOptions {
  /** Exactly these, even if the night would be gentle. */
  readonly only?: readonly Draw[]
  readonly with?: readonly Draw[]
  readonly without?: readonly Draw[]
}

export interface Night {
  has(draw: Draw): boolean
  /** The draw's own randomness, the same object each time. */
  random(draw: Draw): Random
}

export function nightOf(seed: number, gentle: boolean, options: DrawOptions = {}): Night {
  const streams = new Map<Draw, Random>(draws.map((draw) => [draw, seededRandom(mixed(seed, draw))]))
  const random = (draw: Draw) => streams.get(draw) as Random
  const drawn = new Set<Draw>()
  for (const draw of draws) {
    const lucky =
      random(draw).fraction() < chances[draw] &&
      !gentle &&
      (!pending.has(draw) || options.with?.includes(draw) === true)
    if (options.only === undefined ? lucky && options.without?.includes(draw) !== true : options.only.includes(draw))
      drawn.add(draw)
  }
  return { has: (draw) => drawn.has(draw), random }
}

/** The seed of a separate stream (FNV-1a). */
function mixed(seed: number, name: string): number {
  let hash = 0x811c9dc5
  for (const char of `${seed} ${name}`) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193)
  return hash >>> 0
}

export const between = (random: Random, least: number, most: number): number =>
  least + Math.floor(random.fraction() * (most - least + 1))
/** A number of any magnitude: small ones are as likely as large ones. */
export const magnitude = (random: Random, least: number, most: number): number =>
  Math.round(Math.exp(Math.log(least) + random.fraction() * (Math.log(most) - Math.log(least))))
export const pick = <T>(random: Random, items: readonly T[]): T =>
  items[Math.floor(random.fraction() * items.length)] as T
