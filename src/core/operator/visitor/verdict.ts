/** Whether an attribute is in Target: what the relay knows of it beside what Target holds. */

export type Verdict = 'there' | 'not seen yet' | 'waits' | 'fate open'

/**
 * @param known of the relay: times in ISO 8601
 * @param held of Target, where it holds any
 */
export function verdictOf(
  known: {
    readonly deliveredAt?: string | undefined
    readonly openAt?: string | undefined
    readonly waitingAt: readonly string[]
  },
  held: { readonly modifiedAt?: unknown } | undefined,
): Verdict {
  const { deliveredAt, openAt, waitingAt } = known
  const modifiedMs = typeof held?.modifiedAt === 'string' ? Date.parse(held.modifiedAt) : Number.NaN
  const behind = deliveredAt !== undefined && modifiedMs < Date.parse(deliveredAt)
  if (openAt !== undefined) return 'fate open'
  if (waitingAt.length > 0) return 'waits'
  return held === undefined || behind ? 'not seen yet' : 'there'
}
