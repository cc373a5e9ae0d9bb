/** A ledger's owner, in real workerd: a Worker with another client code is refused, and nothing of it is stored. */
import { expect, it } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { testSecrets } from '../support/secrets.ts'
import { settingsFor } from '../support/settings.ts'
import { startUpstashStandIn } from '../support/upstash-stand-in.ts'
import { startWorkerdRelay } from '../support/workerd.ts'

const post = (origin: string, id: string) =>
  fetch(`${origin}/v1/updates`, {
    method: 'POST',
    headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ id, visitor: { thirdPartyId: id }, attributes: { tier: 'gold' } }),
  })

it.each(['the Redis of another account', 'a Durable Object'])(
  'a ledger’s owner is checked on %s',
  { timeout: 120_000 },
  async (ledger) => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using standIn = await startUpstashStandIn()
    const redis = { UPSTASH_REDIS_REST_URL: standIn.url, UPSTASH_REDIS_REST_TOKEN: standIn.token }
    await standIn.command('SET', 'tr1:memo:owner', '{"client":"theirs","hashKey":"x"}')
    const foreign = ledger !== 'a Durable Object'
    await using relay = await startWorkerdRelay(
      settingsFor(emulator.origin, { LEDGER_TIMEOUT_MS: '2500', ...(foreign ? redis : {}) }),
    )
    const statuses = [(await post(relay.url, 'one')).status, (await post(relay.url, 'two')).status]
    await relay.flush()
    expect(statuses).toEqual(foreign ? [503, 503] : [200, 200])
    expect(emulator.statistics().calls).toBe(foreign ? 0 : 2)
    expect(await relay.keys('')).toHaveLength(foreign ? 0 : 1)
    const said = relay.logs().filter(({ event }) => event === 'foreign_store')
    if (!foreign) return expect(said).toEqual([])
    expect(said[0]).toMatchObject({
      error: expect.stringContaining('its TARGET_CLIENT_CODE is theirs, here it is demo'),
    })
    const ready = await fetch(`${relay.url}/readyz`, { headers: { authorization: `Bearer ${testSecrets.adminToken}` } })
    expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining('theirs')])
  },
)
