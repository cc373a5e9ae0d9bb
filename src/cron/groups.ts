/** One visitor's entries in a run: in which order, under which stamps, as which attempts, and where they stand behind them. */
import type { KeptEntry } from '../core/backlog/port.ts'
import type { Attempt, Passage, StampedAttribute } from '../core/door.ts'
import { type Fate, standing } from '../core/fate.ts'
import { type Ledger, maxBatch } from '../core/ledger/port.ts'
import type { Limits } from '../core/limits.ts'
import { mergeNewest } from '../core/merge.ts'
import { cutAttributes } from '../core/parts.ts'
import type { Stamp } from '../core/update.ts'

/** What a run must clean up after one visitor, once it was through the door. */
export interface Group {
  readonly visitorHash: string
  readonly entries: readonly KeptEntry[]
}

/** With what it comes to the door as. */
export interface MergedGroup extends Group {
  readonly attempts: readonly Attempt[]
}

/** Where each attribute of one entry stands, by name, with the fate that put it there. */
export type Standings = Map<string, { readonly fate: Fate; readonly loser: boolean }>

/**
 * Who has waited longest goes first, or with little quota the end of the alphabet would wait for ever (G7); behind all of
 * them those of `last`, in its order.
 */
export function groupByVisitor(entries: readonly KeptEntry[], last: ReadonlySet<string>): readonly Group[] {
  const groups = new Map<string, KeptEntry[]>()
  for (const kept of entries) {
    const group = groups.get(kept.entry.visitorHash)
    if (group === undefined) groups.set(kept.entry.visitorHash, [kept])
    else group.push(kept)
  }
  const lastAt = new Map([...last].map((visitorHash, index) => [visitorHash, index + 1]))
  return [...groups]
    .map(([visitorHash, entries]) => ({ visitorHash, entries }))
    .map((group) => ({
      group,
      lastAt: lastAt.get(group.visitorHash) ?? 0,
      sinceMs: Math.min(...group.entries.map(({ entry }) => entry.firstSeenMs)),
    }))
    .sort((a, b) => a.lastAt - b.lastAt || a.sinceMs - b.sinceMs)
    .map(({ group }) => group)
}

/**
 * Puts entries under the stamps that order them: equal ids under their earliest, and what never met the ledger under its
 * event's first. The ledger is asked a batch at a time, as far as the groups that come next need it.
 *
 * @param groups in the order in which they will be given
 */
export function firstStamps(groups: readonly Group[], ask: Ledger['firstStamps']): (group: Group) => Promise<Group> {
  const earliest = new Map<string, Stamp>()
  const unasked = new Set<string>()
  for (const { entry } of groups.flatMap(({ entries }) => entries)) {
    if (entry.event === undefined) continue
    const held = earliest.get(entry.event)
    if (held === undefined || entry.stamp < held) earliest.set(entry.event, entry.stamp)
    if (entry.blind === true) unasked.add(entry.event)
  }
  return async ({ visitorHash, entries }) => {
    while (entries.some(({ entry }) => unasked.has(entry.event ?? ''))) {
      const asked = [...unasked].slice(0, maxBatch).map((event) => ({ event, stamp: earliest.get(event) ?? '' }))
      const stamps = await ask(asked)
      asked.forEach(({ event }, index) => {
        unasked.delete(event)
        earliest.set(event, stamps[index] ?? earliest.get(event) ?? '')
      })
    }
    return {
      visitorHash,
      entries: entries.map(({ key, entry }) => {
        const stamp = entry.event === undefined ? entry.stamp : (earliest.get(entry.event) ?? entry.stamp)
        return { key, entry: { ...entry, stamp } }
      }),
    }
  }
}

/** Per attribute the newest of all entries, in attempts of bounded size. */
export function merged(group: Group, limits: Limits): MergedGroup {
  return { ...group, attempts: attemptsOf(group, mergeNewest(group.entries.map(({ entry }) => entry)), limits) }
}

export function attemptsOf(group: Group, attributes: readonly StampedAttribute[], limits: Limits): readonly Attempt[] {
  const [first] = group.entries
  if (first === undefined) return []
  const { visitor, source } = first.entry
  const shared = group.entries.every(({ entry }) => entry.source === source)
  return cutAttributes(visitor, attributes, limits).map((slice) => ({
    visitor,
    visitorHash: group.visitorHash,
    attributes: slice,
    ...(shared ? { source } : {}),
  }))
}

/**
 * Where each entry's attributes stand, by its key: an attribute stands where the newest of its name stands. One that has
 * not passed is missing.
 */
export function standingsOf(group: Group, passages: readonly Passage[]): ReadonlyMap<string, Standings> {
  const winners = new Map(passages.flatMap(({ attributes }) => attributes.map((attribute) => [attribute.name, attribute])))
  return new Map(
    group.entries.map(({ key, entry }) => [
      key,
      new Map(
        entry.attributes.flatMap(({ name }) => {
          const winner = winners.get(name)
          return winner === undefined ? [] : [[name, { fate: winner.fate, loser: winner.stamp !== entry.stamp }] as const]
        }),
      ),
    ]),
  )
}

/** A loser only follows a winner that Target has. */
export function standingOf(at: { fate: Fate; loser: boolean } | undefined) {
  if (at === undefined) return 'open'
  const winner = standing(at.fate)
  return at.loser && winner !== 'done' ? 'open' : winner
}
