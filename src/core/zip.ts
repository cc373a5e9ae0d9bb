/** Lists that belong together, item by item. */

/**
 * @returns pairs, in order
 * @throws RangeError where the lists differ in length: pairing them would mix up what belongs to whom
 */
export function zip<A, B>(these: readonly A[], those: readonly B[]): readonly (readonly [A, B])[] {
  if (these.length !== those.length) throw new RangeError(`${these.length} and ${those.length} items cannot be paired`)
  return these.map((one, index) => [one, those[index] as B] as const)
}
