import type { Redis } from '@upstash/redis/cloudflare'
import type { Limits } from '../../limits.ts'
import type { LedgerSettings } from '../rules/settings.ts'
import type { Keys } from './keys.ts'
import type { Scripts } from './run-script.ts'

/** What the methods of a ledger on Redis share. */
export interface UpstashParts {
  readonly redis: Redis
  readonly keys: Keys
  readonly scripts: Scripts
  readonly settings: LedgerSettings
  readonly limits: Limits
}
