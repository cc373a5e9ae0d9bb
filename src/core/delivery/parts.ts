/**
 * Work of bounded size. An update of very many attributes, or of more than one call carries, is sent as several parts;
 * attempts go to the ledger in admissions of bounded size.
 *
 * The cut depends on no setting: between two tries of an event only another version of the relay cuts it differently.
 * Even then a part's key names its attributes, so that it counts as done only if exactly these were, and all parts
 * have the first stamp of their event.
 */

import type { Ledger } from '../ledger/port.ts'
import { maxBatch } from '../ledger/rules/settings.ts'
import type { Limits } from '../limits.ts'
import type { Hasher } from '../update/hash.ts'
import type { Attribute, Stamp, Visitor } from '../update/update.ts'
import { attributeBytes, idBytes, maxPostBodyBytes } from '../wire/calls.ts'
import { zip } from '../zip.ts'
import type { EncodedUpdate } from './encoded-update.ts'

/** What goes through the door as one attempt. If the update was cut, its `event` is a key of its own. */
export interface Part extends EncodedUpdate {
  /** The update as its sender gave it. */
  readonly whole: EncodedUpdate
}

/**
 * Cuts greedily, in order: each slice has at most `attributesPerAttempt` attributes and fits one POST. An attribute
 * that fits in no POST gets a slice of its own.
 */
export function cutAttributes<T extends Attribute>(
  visitor: Visitor,
  attributes: readonly T[],
  { attributesPerAttempt }: Pick<Limits, 'attributesPerAttempt'>,
): readonly (readonly T[])[] {
  const room = maxPostBodyBytes - idBytes(visitor)
  const slices: T[][] = []
  let slice: T[] = []
  let used = 0
  for (const attribute of attributes) {
    const bytes = attributeBytes(attribute)
    if (slice.length > 0 && (slice.length >= attributesPerAttempt || used + bytes > room)) {
      slices.push(slice)
      slice = []
      used = 0
    }
    slice.push(attribute)
    used += bytes
  }
  if (slice.length > 0) slices.push(slice)
  return slices
}

/** An update that fits stays as it is. */
export async function partsOf(
  update: EncodedUpdate,
  hasher: Pick<Hasher, 'part'>,
  limits: Limits,
): Promise<readonly Part[]> {
  if (isOneCall(update) && update.attributes.length <= limits.attributesPerAttempt)
    return [{ ...update, whole: update }]
  const slices = cutAttributes(update.visitor, update.attributes, limits)
  if (slices.length <= 1) return [{ ...update, whole: update }]
  // The calls of the whole are not those of a part.
  const { event, encoding: _, ...own } = update
  return Promise.all(
    slices.map(async (attributes) => ({
      ...own,
      attributes,
      ...(event === undefined
        ? {}
        : {
            event: await hasher.part(
              event,
              attributes.map(({ name }) => name),
            ),
          }),
      whole: update,
    })),
  )
}

/** What fits in one call of any method fits in one POST: it needs no measuring. */
function isOneCall({ encoding }: EncodedUpdate): boolean {
  return encoding?.calls.length === 1
}

/**
 * Puts updates that were cut under the first stamps of their events. The keys of parts are new wherever the cut is, so
 * what orders such an event is the first stamp of the whole: its register then knows each attribute, whichever part it
 * came in before.
 *
 * @param cut the parts of each update
 * @param ask the ledger; a rejection of it rejects
 */
export async function underFirstStamps(
  cut: readonly (readonly Part[])[],
  ask: Ledger['firstStamps'],
): Promise<readonly (readonly Part[])[]> {
  const asked = cut.flatMap(([part, ...others]) =>
    part?.whole.event === undefined || others.length === 0
      ? []
      : [{ event: part.whole.event, stamp: part.whole.stamp }],
  )
  const firsts = new Map<string, Stamp | null>()
  for (let start = 0; start < asked.length; start += maxBatch) {
    const some = asked.slice(start, start + maxBatch)
    for (const [{ event }, stamp] of zip(some, await ask(some))) firsts.set(event, stamp)
  }
  const under = (part: Part): Part => {
    const { event } = part.whole
    if (event === undefined) return part
    const stamp = firsts.get(event) ?? null
    // Its id came with other content: the ledger says so to each part that asks by the whole's key.
    return stamp === null ? { ...part, event } : { ...part, stamp }
  }
  return cut.map((parts) => (parts.length === 1 ? parts : parts.map(under)))
}

/** Groups parts or attempts, in order, into admissions: as many as one may hold, at least one. */
export function inAdmissions<T extends { readonly attributes: readonly unknown[] }>(
  items: readonly T[],
  { attemptsTogether, attributesTogether }: Pick<Limits, 'attemptsTogether' | 'attributesTogether'>,
): readonly (readonly T[])[] {
  const admissions: T[][] = []
  let attributes = 0
  for (const item of items) {
    const last = admissions.at(-1)
    attributes += item.attributes.length
    if (last !== undefined && last.length < attemptsTogether && attributes <= attributesTogether) last.push(item)
    else {
      admissions.push([item])
      attributes = item.attributes.length
    }
  }
  return admissions
}
