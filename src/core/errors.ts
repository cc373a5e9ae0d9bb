/** What is reported of a caught error: its name and its kind, never its message, which may quote an id or a value. */

/** For the log. */
export function errorName(error: unknown): string {
  return error instanceof Error ? error.name : 'unknown'
}

const platformLimit = /too many (subrequests|api requests by single worker invocation)/i

/**
 * The platform's own bound on what one invocation may ask for (Workers: 50 or 10,000 requests to the outside, 1,000 or
 * more to KV). Nothing was started, no other service has failed, and every further request of this invocation fails
 * too.
 */
export function isPlatformLimit(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++)
    if (platformLimit.test(at.message)) return true
  return false
}
