/** The settings of a relay under `target-relay dev`. */
import { devTokens } from '../../dev/secrets.ts'
import type { Looked } from './look.ts'

/** Whatever `.dev.vars` says: no call leaves this machine, and every run begins with stores of its own. */
const neverOwn = /^(TARGET_ORIGIN|UPSTASH_REDIS_REST_URL|UPSTASH_REDIS_REST_TOKEN|HOST|PORT|RELAY_DB)$/

/** @param own a developer's settings, which come before dev's */
export function devSettings(
  sources: readonly Looked[],
  own: Readonly<Record<string, string>>,
  targetOrigin: string,
): Readonly<Record<string, string>> {
  const secrets = sources.flatMap(({ secretName, secrets: secret }) =>
    secretName === undefined || secret === undefined ? [] : [[secretName, secret] as const],
  )
  return {
    TARGET_CLIENT_CODE: 'demo',
    HASH_KEY: 'a-hash-key-for-development-only-32-bytes',
    API_TOKENS: devTokens.api,
    ADMIN_TOKEN: devTokens.admin,
    ...Object.fromEntries(secrets),
    ...Object.fromEntries(Object.entries(own).filter(([name]) => !neverOwn.test(name))),
    TARGET_ORIGIN: targetOrigin,
  }
}
