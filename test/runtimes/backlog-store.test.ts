/** BACKLOG_STORE on workerd: what waits moves from KV into the object and back, and nothing of it is lost or doubled. */
import { describe, expect, it } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { testSecrets } from '../support/secrets.ts'
import { settingsFor } from '../support/settings.ts'
import { newFolder, operate, post, type RunningRelay, startRelay } from './relays.ts'

type Store = 'kv' | 'object'
const visitors = 12
const visitorOf = (index: number) => `visitor-${index}`

async function look({ url }: RunningRelay, path: string) {
  const response = await fetch(`${url}/admin/api${path}`, {
    headers: { authorization: `Bearer ${testSecrets.adminToken}` },
  })
  expect(response.status).toBe(200)
  return (await response.json()) as { waiting: number; bySource: Record<string, number>; letters: { key: string }[] }
}

/** An update of each visitor, deferred since calls are paused. */
async function defer(relay: RunningRelay, round: number): Promise<void> {
  for (let index = 0; index < visitors; index++) {
    const { answer } = await post(relay, {
      id: `e-${round}-${index}`,
      visitor: { thirdPartyId: visitorOf(index) },
      attributes: { round: String(round), [`only${round}`]: 'yes' },
    })
    expect(answer).toMatchObject({ status: 'deferred', reason: 'paused' })
  }
}

describe.each([
  ['kv', 'object'],
  ['object', 'kv'],
] satisfies [Store, Store][])('from %s to %s', (from, to) => {
  it('what waits in both is counted, merged by order, sent once, and a letter is dropped (G2, G3, G4, G9)', {
    timeout: 120_000,
  }, async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const folder = newFolder()
    const start = (store: Store) =>
      startRelay('workerd', folder, settingsFor(emulator.origin, { BACKLOG_STORE: store, FLUSH_EVERY_MS: '60000' }))

    let relay = await start(from)
    await operate(relay, '/pause')
    await defer(relay, 1)
    // A letter, in the old store.
    const quarantined = await fetch(`${relay.url}/hooks/kiosk`, {
      method: 'POST',
      headers: { authorization: `Bearer ${testSecrets.hook('kiosk')}`, 'content-type': 'application/json' },
      body: JSON.stringify({ nothing: 'that its schema knows' }),
    })
    expect(quarantined.status).toBe(202)
    await relay.end('SIGKILL')

    relay = await start(to)
    await defer(relay, 2)
    // What KV holds is counted by a run.
    await operate(relay, '/flush')
    expect(await look(relay, '/backlog')).toMatchObject({ waiting: 2 * visitors, bySource: { api: 2 * visitors } })
    expect((await look(relay, '/dead')).letters.length).toBe(1)
    await operate(relay, '/resume')
    for (let runs = 0; runs < 5; runs++) await operate(relay, '/flush')
    for (let index = 0; index < visitors; index++)
      expect(emulator.profiles.values(`3p:${visitorOf(index)}`)).toMatchObject({
        round: '2',
        only1: 'yes',
        only2: 'yes',
      })
    expect(await look(relay, '/backlog')).toMatchObject({ waiting: 0 })
    const { plan } = (await operate(relay, '/dead/plan', { action: 'drop', filter: {} })) as { plan: string }
    await operate(relay, '/dead/run', { plan })
    for (let runs = 0; runs < 3; runs++) await operate(relay, '/flush')
    expect((await look(relay, '/dead')).letters).toEqual([])
    await relay.end('SIGKILL')

    // Nothing comes back with the old setting.
    relay = await start(from)
    await operate(relay, '/flush')
    expect(await look(relay, '/backlog')).toMatchObject({ waiting: 0 })
    await relay.end('SIGKILL')
  })
})
