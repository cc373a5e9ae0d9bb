/**
 * In place of `@upstash/core-analytics` in the Worker's bundle (`alias` in wrangler.toml): `@upstash/ratelimit` imports it
 * for analytics, which the relay does not turn on, and it takes 1.7 KB of the bundle.
 */
export class Analytics {}
