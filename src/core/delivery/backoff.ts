/** How long to leave a visitor alone after a failed try: full jitter over a doubling span, or what Target asked for. */

/** The span stops doubling here. */
export const maxBackoffMs = 15 * 60_000

/**
 * @param attempts failed tries so far, 1 or more
 * @param baseMs span of the first wait
 * @param retryAfterMs what Target's Retry-After asked for, if it did
 * @param fraction uniform in [0, 1)
 */
export function backoffMs(
  attempts: number,
  baseMs: number,
  retryAfterMs: number | undefined,
  fraction: number,
): number {
  const spanMs = Math.min(maxBackoffMs, baseMs * 2 ** Math.min(attempts - 1, 30))
  return Math.max(Math.ceil(spanMs * fraction), retryAfterMs ?? 0)
}
