/**
 * In the place of `@upstash/core-analytics` in a Worker's bundle (`alias` in `wrangler.toml`): `@upstash/ratelimit` loads
 * it always, and uses it only with `analytics: true`, which the ledger does not set.
 */
export class Analytics {}
