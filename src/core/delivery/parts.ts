/**
 * Work of bounded size. An update of very many attributes, or of more than one call carries, travels as several parts;
 * attempts go to the ledger in admissions of bounded size.
 *
 * The cut depends on no setting: between two tries of an event only another version of the relay cuts it differently.
 * Even then a part's key names its attributes, so that it counts as done only where exactly these were, and all parts
 * stand under the first stamp of their event.
 */

import type { Limits } from '../limits.ts'
import type { Hasher } from '../update/hash.ts'
import type { Attribute, Update, Visitor } from '../update/update.ts'
import { attributeBytes, idBytes, maxPostBodyBytes } from '../wire/calls.ts'

/** What passes the door as one attempt. Its `event` is a key of its own where the update was cut. */
export interface Part extends Update {
  /** The update as its sender gave it. */
  readonly whole: Update
}

/**
 * Cuts greedily, in order: each slice has at most `attributesPerAttempt` attributes and fits one POST. An attribute that
 * fits none has a slice of its own.
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
export async function partsOf(update: Update, hasher: Pick<Hasher, 'part'>, limits: Limits): Promise<readonly Part[]> {
  const { event } = update
  const slices = cutAttributes(update.visitor, update.attributes, limits)
  if (slices.length <= 1) return [{ ...update, whole: update }]
  return Promise.all(
    slices.map(async (attributes) => ({
      ...update,
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

/** Parts or attempts, in order, as many to an admission as it may hold; one at least. */
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
