/** The keys of a ledger on Redis (docs/storage.md). */

export interface Keys {
  readonly prefix: string
  readonly quota: string
  /** Of an older version: it is only read. */
  readonly counters: string
  readonly slots: string
  readonly health: string
  readonly leads: string
  readonly acts: string
  /** Before the name of a grant, as `Ratelimit` makes its key. */
  readonly grants: string
  source(name: string): string
  grant(grant: string): string
  visitor(hash: string): string
  event(event: string): string
  lease(name: string): string
  memo(name: string): string
}

export function keysUnder(prefix: string): Keys {
  return {
    prefix,
    quota: `${prefix}:quota`,
    counters: `${prefix}:counters`,
    slots: `${prefix}:slots`,
    health: `${prefix}:health`,
    leads: `${prefix}:leads`,
    acts: `${prefix}:acts`,
    grants: `${prefix}:grant`,
    source: (name) => `${prefix}:quota:${name}`,
    grant: (grant) => `${prefix}:grant:${grant}`,
    visitor: (hash) => `${prefix}:v:${hash}`,
    event: (event) => `${prefix}:e:${event}`,
    lease: (name) => `${prefix}:lease:${name}`,
    memo: (name) => `${prefix}:memo:${name}`,
  }
}

/**
 * Those of one attempt: its visitor, its event, its source's quota; the visitor again in the place of what it has not.
 */
export function attemptKeys(
  keys: Keys,
  { visitorHash, event, source }: { visitorHash: string; event: string | undefined; source: string | undefined },
): string[] {
  const visitor = keys.visitor(visitorHash)
  return [
    visitor,
    event === undefined ? visitor : keys.event(event),
    source === undefined ? visitor : keys.source(source),
  ]
}
