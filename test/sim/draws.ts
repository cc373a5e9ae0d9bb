/**
 * What a night may hold beside the plain weather. Each draw has a randomness of its own, so that one of them can be left
 * out (`--without`) and the rest of the night stays as it was: what is left when it still breaks is the smaller case.
 */
import type { Random } from '../../src/core/clock.ts'
import { seededRandom } from '../support/clock.ts'

/** How likely each is in a night that is not gentle. Whoever costs time is rare. */
const chances = {
  /** Settings anywhere in their documented ranges. */
  settings: 0.3,
  /** Senders on every lane. */
  lanes: 0.3,
  /** Pages, reads, rows and attempts of a handful. */
  'tiny limits': 0.25,
  /** Runs of a second and of a few operations. */
  'tiny budgets': 0.12,
  /** A platform that refuses the 51st subrequest of an invocation. */
  subrequests: 0.1,
  /** Isolates whose clocks drift and jump. */
  clocks: 0.15,
  /** The ledger's clock steps and jumps. */
  'ledger clock': 0.1,
  /** Settings that change between restarts. */
  knobs: 0.2,
  /** A visitor about whom the ledger never answers. */
  'refused visitor': 0.08,
  /** Senders that use an id again for something else. */
  'reused ids': 0.1,
  /** Hundreds of events of one visitor. */
  'hot visitor': 0.02,
  /** Updates of very many attributes, of tens of kilobytes, and of nearly nothing. */
  'odd sizes': 0.1,
  /** A key of KV that can't be read. */
  'sick key': 0.08,
  /** One that takes 20 s to be read. */
  'slow key': 0.05,
  /** Updates that are denied each time, by what they hold and by whose they are; a few tries are a verdict. */
  denials: 0.1,
  /** Entries in KV that nobody can read. */
  garbage: 0.08,
  /** A URL that is wrong for a while: every isolate speaks to another, empty ledger, and then to its own again. */
  'another ledger': 0.06,
  /** Ledger and witness put back together from a backup; the operator says so. */
  'restored backup': 0.05,
  /** Isolates that are suspended between any two steps, and while a call connects. */
  suspended: 0.1,
  /** An operator who erases a visitor. */
  erase: 0.06,
} as const

export type Draw = keyof typeof chances
export const draws = Object.keys(chances) as readonly Draw[]

/** Drawn only where asked for (`--with`): they break what is not mended yet. */
const pending: ReadonlySet<Draw> = new Set<Draw>()

export interface DrawOptions {
  /** Exactly these, also where the night would be gentle. */
  readonly only?: readonly Draw[]
  readonly with?: readonly Draw[]
  readonly without?: readonly Draw[]
}

export interface Night {
  has(draw: Draw): boolean
  /** The draw's own randomness; the same object each time. */
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

/** A seed for a stream of its own (FNV-1a). */
function mixed(seed: number, name: string): number {
  let hash = 0x811c9dc5
  for (const char of `${seed} ${name}`) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193)
  return hash >>> 0
}

export const between = (random: Random, least: number, most: number): number =>
  least + Math.floor(random.fraction() * (most - least + 1))
/** Small ones as often as large ones. */
export const magnitude = (random: Random, least: number, most: number): number =>
  Math.round(Math.exp(Math.log(least) + random.fraction() * (Math.log(most) - Math.log(least))))
export const pick = <T>(random: Random, items: readonly T[]): T =>
  items[Math.floor(random.fraction() * items.length)] as T
