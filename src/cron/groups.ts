/** One visitor's entries in a run: their order, their stamps, their attempts, and where they stand after those. */
import type { KeptEntry } from '../core/backlog/port.ts'
import type { Attempt } from '../core/delivery/attempt.ts'
import { type Fate, standing } from '../core/delivery/fate.ts'
import { cutAttributes } from '../core/delivery/parts.ts'
import type { Passage } from '../core/delivery/passage.ts'
import { given } from '../core/given.ts'
import type { Ledger } from '../core/ledger/port.ts'
import { type Traits, traitsOf } from '../core/ledger/rules/health.ts'
import { maxBatch } from '../core/ledger/rules/settings.ts'
import type { Limits } from '../core/limits.ts'
import { stampName } from '../core/update/stamp.ts'
import type { Stamp, StampedAttribute } from '../core/update/update.ts'
import { mergeNewest } from './merge.ts'

/** The entries of one visitor, which a run cleans up once their attempts were through the door. */
export interface Group {
  readonly visitorHash: string
  readonly entries: readonly KeptEntry[]
  /** Tries that failed, as far as this run knows. */
  readonly failures: number
}

/** With the attempts that go to the door. */
export interface MergedGroup extends Group {
  readonly attempts: readonly Attempt[]
}

/** Where each attribute of one entry stands, by name, with the fate that put it there. */
export type Standings = Map<string, Standing>
interface Standing {
  readonly fate: Fate
  readonly loser: boolean
}

/**
 * Who has waited longest goes first, or with little quota the end of the alphabet would wait for ever (G7); after all
 * of them those of `last`, in its order.
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
    .map(([visitorHash, entries]) => ({ visitorHash, entries, failures: 0 }))
    .map((group) => ({
      group,
      lastAt: lastAt.get(group.visitorHash) ?? 0,
      sinceMs: Math.min(...group.entries.map(({ entry }) => entry.firstSeenMs)),
    }))
    .sort((a, b) => a.lastAt - b.lastAt || a.sinceMs - b.sinceMs)
    .map(({ group }) => group)
}

/**
 * Puts entries under the stamps that order them: the same event under its earliest, and what never met the ledger under
 * its event's first. Other content under an id is another event, which has been acknowledged: it stays under its own.
 * The ledger is asked in batches, and only when a group that is about to be sent needs the answer.
 *
 * @param groups in the order in which they will be given
 */
export function firstStamps(groups: readonly Group[], ask: Ledger['firstStamps']): (group: Group) => Promise<Group> {
  const earliest = new Map<string, { readonly event: string; readonly stamp: Stamp }>()
  const unasked = new Set<string>()
  for (const { entry } of groups.flatMap(({ entries }) => entries)) {
    const { event, stamp } = entry
    if (event === undefined) continue
    const name = eventName(entry)
    const held = earliest.get(name)
    if (held === undefined || stamp < held.stamp) earliest.set(name, { event, stamp })
    if (entry.blind === true) unasked.add(name)
  }
  return async ({ entries, ...group }) => {
    while (entries.some(({ entry }) => unasked.has(eventName(entry)))) {
      const names = [...unasked].slice(0, maxBatch)
      const asked = names.flatMap((name) => earliest.get(name) ?? [])
      const stamps = await ask(asked)
      asked.forEach(({ event, stamp }, index) => {
        const name = eventName({ event, stamp })
        unasked.delete(name)
        earliest.set(name, { event, stamp: stamps[index] ?? stamp })
      })
    }
    return {
      ...group,
      entries: entries.map(({ key, entry }) => ({
        key,
        entry: { ...entry, stamp: earliest.get(eventName(entry))?.stamp ?? entry.stamp },
      })),
    }
  }
}

/** The same for the same content under the same id. */
function eventName({ event = '', stamp }: { readonly event?: string; readonly stamp: Stamp }): string {
  return `${event} ${stampName(stamp)}`
}

/** The entries that the breaker is not about; undefined where there are none. */
export function without(group: Group, shut: Traits | undefined): Group | undefined {
  if (shut === undefined) return group
  const entries = group.entries.filter(({ entry }) => {
    const traits = new Set(
      traitsOf(
        group.visitorHash,
        [entry.source],
        entry.attributes.map(({ name }) => name),
      ),
    )
    return !shut.every((trait) => traits.has(trait))
  })
  return entries.length === 0 ? undefined : { ...group, entries }
}

/**
 * What of a group is to be asked about once more, after the others: all of it if a try failed before; if the breaker
 * held it back, the entries that the breaker is not about, or all of it if the breaker was closed since. Undefined if
 * its passages are final.
 */
export function askedAgain(group: Group, passages: readonly Passage[], closed: boolean): readonly Group[] | undefined {
  const failed = passages.find(({ failedBefore }) => failedBefore === true)
  if (failed !== undefined) return [{ ...group, failures: failed.attempts }]
  const shut = passages.find(({ shutTraits }) => shutTraits !== undefined)?.shutTraits
  if (shut !== undefined && closed) return [group]
  const open = without(group, shut)
  if (shut === undefined || open === undefined || group.entries.length === 1) return undefined
  return open.entries.length < group.entries.length
    ? [open]
    : open.entries.map((entry) => ({ ...group, entries: [entry] }))
}

/** Per attribute the newest of all entries, in attempts of bounded size. */
export function merged(group: Group, limits: Limits): MergedGroup {
  return { ...group, attempts: replayAttempts(group, mergeNewest(group.entries.map(({ entry }) => entry)), limits) }
}

export function replayAttempts(
  group: Group,
  attributes: readonly StampedAttribute[],
  limits: Limits,
): readonly Attempt[] {
  const [first] = group.entries
  if (first === undefined) return []
  const sources = [...new Set(group.entries.map(({ entry }) => entry.source))]
  const sourceOf = new Map(group.entries.map(({ entry }) => [entry.stamp, entry.source]))
  const withSources =
    sources.length === 1
      ? attributes
      : attributes.map((one) => ({ ...one, ...given({ source: sourceOf.get(one.stamp) }) }))
  return cutAttributes(first.entry.visitor, withSources, limits).map((slice) => ({
    visitor: first.entry.visitor,
    visitorHash: group.visitorHash,
    attributes: slice,
    sources,
    ...(group.entries.length > 1 ? { mergedEntries: group.entries.length - 1 } : {}),
    round: group.failures === 0 ? 'first tries' : 'last resort',
  }))
}

/**
 * Where each entry's attributes stand, by its key: an attribute stands where the newest of its name stands. One that
 * has not passed is missing.
 */
export function standingsOf(group: Group, passages: readonly Passage[]): ReadonlyMap<string, Standings> {
  const winners = new Map(
    passages.flatMap(({ attributes }) => attributes.map((attribute) => [attribute.name, attribute])),
  )
  return new Map(
    group.entries.map(({ key, entry }) => [
      key,
      new Map(
        entry.attributes.flatMap(({ name }) => {
          const winner = winners.get(name)
          return winner === undefined
            ? []
            : [[name, { fate: winner.fate, loser: winner.stamp !== entry.stamp }] as const]
        }),
      ),
    ]),
  )
}

/** Per attribute whose newest value is set aside, the newest of those that lost to it. */
export function nextNewest({ entries }: Group, standings: ReadonlyMap<string, Standings>): readonly StampedAttribute[] {
  return mergeNewest(
    entries.map(({ key, entry }) => ({
      stamp: entry.stamp,
      attributes: entry.attributes.filter(({ name }) => lostToDead(standings.get(key)?.get(name))),
    })),
  )
}

/** Records where those stand that had lost to what was set aside. */
export function standNext(
  { entries }: Group,
  standings: ReadonlyMap<string, Standings>,
  passages: readonly Passage[],
): void {
  for (const { name, stamp, fate } of passages.flatMap(({ attributes }) => attributes))
    for (const { key, entry } of entries)
      if (lostToDead(standings.get(key)?.get(name)))
        standings.get(key)?.set(name, { fate, loser: stamp !== entry.stamp })
}

function lostToDead(at: Standing | undefined): boolean {
  return at?.loser === true && standing(at.fate) === 'dead'
}

/** A loser only follows a winner that Target has. */
export function standingOf(at: Standing | undefined) {
  if (at === undefined) return 'open'
  const winner = standing(at.fate)
  return at.loser && winner !== 'done' ? 'open' : winner
}
