import { testSecrets } from './secrets.ts'

/** Settings of a relay that talks to an emulator; `overrides` are further settings by name. */
export function settingsFor(
  targetOrigin: string,
  overrides: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return {
    TARGET_CLIENT_CODE: 'demo',
    TARGET_ORIGIN: targetOrigin,
    HASH_KEY: testSecrets.hashKey,
    API_TOKENS: testSecrets.apiToken,
    ADMIN_TOKEN: testSecrets.adminToken,
    HOOK_SECRET_CALL_CENTRE: testSecrets.hook('call-centre'),
    HOOK_SECRET_LOAN: testSecrets.hook('loan'),
    HOOK_SECRET_LOYALTY: testSecrets.hook('loyalty'),
    HOOK_SECRET_KIOSK: testSecrets.hook('kiosk'),
    ...overrides,
  }
}
