/** Files that were restored from a backup, or removed: no restore reopens the quota silently (G1). */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Emulator, startEmulator } from '../../src/emulator/emulator.ts'
import { cli } from '../support/cli.ts'
import { testSecrets } from '../support/secrets.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { startUpstashStandIn } from '../support/upstash-stand-in.ts'

const settings = { QUOTA_LIMIT: '20' }
let serial = 0
const send = async ({ url }: Pick<TestServer, 'url'>, times: number) => {
  const statuses: string[] = []
  for (let n = 0; n < times; n++) {
    const response = await fetch(`${url}/v1/updates`, {
      method: 'POST',
      headers: { authorization: `Bearer ${testSecrets.apiToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ id: `e${++serial}`, visitor: { thirdPartyId: `v${serial}` }, attributes: { tier: 'x' } }),
    })
    statuses.push(String(((await response.json()) as { status: unknown }).status))
  }
  return statuses
}
const ends = ['', '-wal', '-shm', '-witness', '-witness-wal', '-witness-shm']
const backup = (file: string) => {
  for (const end of ends) if (existsSync(`${file}${end}`)) copyFileSync(`${file}${end}`, `${file}.backup${end}`)
}
/** Restores: removes the current files and puts the backed-up ones in their place. */
const putBack = (file: string, which: 'file' | 'witness' | 'both') => {
  for (const end of ends) {
    if (which !== 'both' && end.startsWith('-witness') !== (which === 'witness')) continue
    rmSync(`${file}${end}`, { force: true })
    if (existsSync(`${file}.backup${end}`)) copyFileSync(`${file}.backup${end}`, `${file}${end}`)
  }
}
/** A stopped server after two calls, a backup, and calls until the quota is used up. */
async function spentAfterBackup(emulator: Emulator) {
  const folder = mkdtempSync(join(tmpdir(), 'target-relay-restored-'))
  const start = () => startServer(emulator.origin, { folder, settings })
  const file = join(folder, 'relay.sqlite')
  const first = await start()
  await send(first, 2)
  await first.stop()
  backup(file)
  const second = await start()
  await send(second, 25)
  // When it stops, the witness learns how much was spent.
  await second.stop()
  const spent = emulator.statistics().calls
  expect(spent).toBeGreaterThan(2)
  expect(spent).toBeLessThanOrEqual(20)
  return { folder, file, start, spent, env: { RELAY_DB: file, ...accountOf(emulator), ...settings } }
}

/** The account of a server's ledger, which an operator's commands must give too. */
const accountOf = (emulator: { readonly origin: string }) => ({
  TARGET_CLIENT_CODE: 'demo',
  TARGET_ORIGIN: emulator.origin,
  HASH_KEY: testSecrets.hashKey,
})

describe('restored from a backup', () => {
  it.each([
    ['the ledger alone', 'file'],
    ['the witness alone', 'witness'],
  ] as const)('%s: no more is sent than the quota', async (_, which) => {
    await using emulator = await startEmulator({ autoSeed: true })
    const { file, start } = await spentAfterBackup(emulator)
    putBack(file, which)
    await using server = await start()
    await server.relay.flush()
    await send(server, 25)
    await server.relay.flush()
    expect(emulator.statistics().calls).toBeLessThanOrEqual(20)
    expect(server.logged.some(({ event }) => event === 'ledger_went_back')).toBe(which === 'file')
    expect(server.logged.some(({ event }) => event === 'ledger_lost')).toBe(false)
  })

  it('the ledger alone, after a run of the batch runner', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using server = await startServer(emulator.origin, { settings })
    await server.relay.operator.pause(true)
    await send(server, 5)
    await server.relay.operator.pause(false)
    await server.stop()
    const file = join(server.folder, 'relay.sqlite')
    backup(file)
    expect(JSON.parse((await cli(['flush'], server.env)).out)).toMatchObject({ replayed: 5 })
    putBack(file, 'file')
    await using again = await startServer(emulator.origin, { folder: server.folder, settings })
    await again.relay.flush()
    expect((await again.relay.operator.usage()).used).toBe(5)
    expect(again.logged.some(({ event }) => event === 'ledger_went_back')).toBe(true)
    expect(emulator.statistics().calls).toBe(5)
  })

  it('the ledger, with its witness missing: the whole quota counts as spent until it is stated', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const { file, start, spent } = await spentAfterBackup(emulator)
    putBack(file, 'file')
    for (const end of ends.slice(3)) rmSync(`${file}${end}`, { force: true })
    const server = await start()
    await server.relay.flush()
    expect(await send(server, 5)).not.toContain('submitted')
    expect(emulator.statistics().calls).toBe(spent)
    expect(server.logged.some(({ event }) => event === 'ledger_lost')).toBe(true)
    expect(await server.relay.operator.usage()).toMatchObject({ used: 20, lostAtMs: expect.any(Number) })
    await server.stop()
    // The loss is noticed once: now the witness knows the ledger.
    await using again = await start()
    await again.relay.flush()
    expect(again.logged.some(({ event }) => event === 'ledger_lost')).toBe(false)
    await again.relay.operator.restate(0)
    expect((await again.relay.operator.usage()).used).toBe(0)
  })

  it('both, declared before the start: nothing is sent', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const { file, start, spent, env } = await spentAfterBackup(emulator)
    putBack(file, 'both')
    const said = await cli(['ledger', 'restored'], env)
    expect([said.status, said.err]).toEqual([0, expect.stringMatching(/the whole quota counts as spent/)])
    await using server = await start()
    await server.relay.flush()
    expect(await send(server, 25)).not.toContain('submitted')
    expect(emulator.statistics().calls).toBe(spent)
    expect(await server.relay.operator.usage()).toMatchObject({ used: 20, lostAtMs: expect.any(Number) })
    expect(server.logged.some(({ event }) => event === 'ledger_lost')).toBe(false)
  })

  it('both, declared to a running relay: nothing is sent', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const { file, start, spent, env } = await spentAfterBackup(emulator)
    putBack(file, 'both')
    await using server = await start()
    const said = await cli(['ledger', 'restored', '--relay', server.url], {
      ...env,
      ADMIN_TOKEN: testSecrets.adminToken,
    })
    expect(said).toMatchObject({ status: 0, out: '' })
    expect(await send(server, 25)).not.toContain('submitted')
    expect(emulator.statistics().calls).toBe(spent)
  })

  it('a ledger in Redis, declared as restored: running servers adopt its new epoch', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using upstash = await startUpstashStandIn()
    const redis = { ...settings, UPSTASH_REDIS_REST_URL: upstash.url, UPSTASH_REDIS_REST_TOKEN: upstash.token }
    await using server = await startServer(emulator.origin, { settings: redis })
    await send(server, 2)
    const env = { RELAY_DB: join(server.folder, 'another.sqlite'), ...accountOf(emulator), ...redis }
    expect((await cli(['ledger', 'restored'], env)).err).toMatch(/^Upstash: /)
    expect(await send(server, 5)).not.toContain('submitted')
    expect(emulator.statistics().calls).toBe(2)
    await server.relay.operator.restate(18)
  })
})

it('a server whose witness is removed while it runs acknowledges nothing more, and fails /readyz at once', async () => {
  await using emulator = await startEmulator({ autoSeed: true })
  await using server = await startServer(emulator.origin, { settings })
  await send(server, 2)
  for (const end of ends.slice(3)) rmSync(`${server.folder}/relay.sqlite${end}`, { force: true })
  expect(await send(server, 3)).toEqual([503, 503, 503].map(String))
  expect((await server.relay.flush()).stopped).toBe('ledger_unavailable')
  const ready = await fetch(`${server.url}/readyz`, { headers: { authorization: `Bearer ${testSecrets.adminToken}` } })
  expect([ready.status, await ready.json()]).toMatchObject([503, { storeError: 'FileReplaced' }])
  expect(emulator.statistics().calls).toBe(2)
})
