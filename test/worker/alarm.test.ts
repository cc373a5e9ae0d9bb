/** The object's alarm as the second starter of the flush: real workerd, and no cron. */
import { describe, expect, it } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { testSecrets } from '../support/secrets.ts'
import { settingsFor } from '../support/settings.ts'
import { startUpstashStandIn } from '../support/upstash-stand-in.ts'
import { startWorkerdRelay } from '../support/workerd.ts'

const headers = { authorization: `Bearer ${testSecrets.adminToken}`, 'content-type': 'application/json' }
const everyMs = 1_000

async function until(done: () => Promise<boolean> | boolean): Promise<void> {
  const giveUpAtMs = Date.now() + 30_000
  while (!(await done()) && Date.now() < giveUpAtMs) await new Promise((resolve) => setTimeout(resolve, 100))
  expect(await done()).toBe(true)
}

describe.each(['the Durable Object ledger', 'the Upstash ledger'] as const)('in workerd on %s', (name) => {
  it('with the cron silent an alarm starts the flush, and what waits is delivered (G7)', {
    timeout: 90_000,
  }, async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using standIn = await startUpstashStandIn()
    await using relay = await startWorkerdRelay(
      settingsFor(emulator.origin, {
        FLUSH_EVERY_MS: String(everyMs),
        ...(name === 'the Upstash ledger'
          ? { UPSTASH_REDIS_REST_URL: standIn.url, UPSTASH_REDIS_REST_TOKEN: standIn.token }
          : {}),
      }),
    )
    const admin = async (path: string) => {
      const response = await fetch(`${relay.url}/admin/api/${path}`, { method: 'POST', headers })
      expect(response.status).toBe(200)
    }
    await admin('pause')
    const deferred = await fetch(`${relay.url}/v1/updates`, {
      method: 'POST',
      headers: { ...headers, authorization: `Bearer ${testSecrets.apiToken}` },
      body: JSON.stringify({ id: 'e', visitor: { thirdPartyId: 'waits' }, attributes: { tier: 'gold' } }),
    })
    expect(await deferred.json()).toMatchObject({ status: 'deferred', reason: 'paused' })
    await admin('resume')
    await until(() => emulator.profiles.values('3p:waits')?.['tier'] === 'gold')
    await until(async () => (await relay.keys('b1/')).length === 0)
    const events = () => relay.logs().map(({ event }) => event)
    expect(events()).toContain('cron_silent')
    // The cron is back: the alarm is put off.
    const before = events().filter((event) => event === 'cron_silent').length
    for (let count = 0; count < 6; count++) {
      await relay.flush()
      await new Promise((resolve) => setTimeout(resolve, everyMs / 2))
    }
    expect(events().filter((event) => event === 'cron_silent').length - before).toBeLessThanOrEqual(1)
    expect(relay.logs().filter(({ event, type }) => event === 'alert_raised' && type === 'flush.silent')).not.toEqual(
      [],
    )
  })
})
