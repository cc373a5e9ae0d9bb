/** A ledger belongs to one account: a relay with another client code, HASH_KEY or kind of Target is refused, and says why. */
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { startEmulator } from '../../src/emulator/emulator.ts'
import { createRelay, readSettings } from '../../src/relay/create.ts'
import { sqliteStorage } from '../../src/server/sqlite-storage.ts'
import { cli } from '../support/cli.ts'
import { testSecrets } from '../support/secrets.ts'
import { sendHook, signedHook } from '../support/sender.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { settingsFor } from '../support/settings.ts'
import { startUpstashStandIn } from '../support/upstash-stand-in.ts'

const otherKey = 'another-hash-key-of-more-than-32-bytes'
const update = (id: string, tier = 'gold') => ({ id, visitor: { thirdPartyId: id }, attributes: { tier } })
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
async function post({ url }: Pick<TestServer, 'url'>, body: unknown) {
  const headers = { ...bearer(testSecrets.apiToken), 'content-type': 'application/json' }
  const response = await fetch(`${url}/v1/updates`, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: response.status, text: await response.text() }
}
/** The status of an event that its mapping cannot read. */
const quarantined = async ({ url }: Pick<TestServer, 'url'>) =>
  (await sendHook(url, signedHook('loan', 'msg', { loan: 1 }))).status
const readyz = (url: string, token?: string) =>
  fetch(`${url}/readyz`, { headers: token === undefined ? {} : bearer(token) })
const newFolder = () => mkdtempSync(join(tmpdir(), 'target-relay-owner-'))

/** Checks that everything the server does is refused, and that `secret` is not revealed. */
async function expectRefused(server: TestServer, why: RegExp, secret = testSecrets.hashKey): Promise<void> {
  expect(await post(server, update('refused'))).toMatchObject({ status: 503, text: expect.not.stringMatching(why) })
  expect(await quarantined(server)).toBe(503)
  expect(await (await readyz(server.url)).json()).toEqual({ status: 'not_ready' })
  const told = await readyz(server.url, testSecrets.adminToken)
  expect([told.status, await told.text()]).toEqual([503, expect.stringMatching(why)])
  expect(await server.relay.flush()).toMatchObject({ stopped: 'foreign_store', read: 0, calls: 0 })
  const headers = { ...bearer(testSecrets.adminToken), 'content-type': 'application/json' }
  for (const route of ['pause', 'visitor', 'erase']) {
    const body = JSON.stringify({ visitor: { thirdPartyId: 'theirs' } })
    expect((await fetch(`${server.url}/admin/api/${route}`, { method: 'POST', headers, body })).status).toBe(503)
  }
  const status = await cli(['status'], { RELAY_URL: server.url, ADMIN_TOKEN: testSecrets.adminToken })
  expect(status).toMatchObject({ status: 1, err: expect.stringMatching(why) })
  const said = server.logged.filter(({ event }) => event === 'foreign_store')
  expect(said).toHaveLength(1)
  const log = JSON.stringify(said)
  expect(log).toMatch(why)
  expect(log + status.err).not.toContain(secret)
  const run = await cli(['flush'], server.env)
  expect(run).toMatchObject({ status: 2, out: '', err: expect.stringMatching(why) })
}

const places = [
  [
    'SQLite file',
    async (folder: string) => ({ folder: () => folder, settings: {}, [Symbol.asyncDispose]: async () => {} }),
  ],
  [
    'Redis',
    async () => {
      const standIn = await startUpstashStandIn()
      // Each has a file of its own: they share only the Redis.
      const settings = { UPSTASH_REDIS_REST_URL: standIn.url, UPSTASH_REDIS_REST_TOKEN: standIn.token }
      return { folder: newFolder, settings, [Symbol.asyncDispose]: () => standIn[Symbol.asyncDispose]() }
    },
  ],
] as const

describe.each(places)('on one %s', (_, place) => {
  const others = [
    ['client code', { TARGET_CLIENT_CODE: 'other' }, /its TARGET_CLIENT_CODE is demo, here it is other/],
    ['HASH_KEY', { HASH_KEY: otherKey }, /its HASH_KEY is another/],
    ['kind of Target', { TARGET_ORIGIN: 'https://127.0.0.1:1' }, /TARGET_ORIGIN is no stand-in on loopback/],
  ] as const
  it.each(others)(
    'a relay with another %s sends, keeps and changes nothing',
    { timeout: 60_000 },
    async (_other, settings, why) => {
      await using shared = await place(newFolder())
      await using emulator = await startEmulator({ autoSeed: true })
      await using first = await startServer(emulator.origin, { folder: shared.folder(), settings: shared.settings })
      expect((await post(first, update('theirs'))).status).toBe(200)
      await first.relay.operator.pause(true)
      expect((await post(first, update('waits'))).status).toBe(202)
      await first.relay.operator.pause(false)
      {
        await using second = await startServer(emulator.origin, {
          folder: shared.folder(),
          settings: { ...shared.settings, ...settings },
        })
        await expectRefused(second, why, otherKey)
      }
      // The owner goes on as before: neither paused nor blocked by a lease.
      expect(emulator.statistics().calls).toBe(1)
      expect(await first.relay.flush()).toMatchObject({ stopped: 'drained', read: 1, replayed: 1, unreadable: 0 })
      expect((await post(first, update('theirs'))).text).toContain('duplicate')
    },
  )

  it('of two relays that start at once on an empty one, one becomes its owner and the other is refused', {
    timeout: 60_000,
  }, async () => {
    await using shared = await place(newFolder())
    await using emulator = await startEmulator({ autoSeed: true })
    const start = (code: string) =>
      startServer(emulator.origin, {
        folder: shared.folder(),
        settings: { ...shared.settings, TARGET_CLIENT_CODE: code },
      })
    await using one = await start('one')
    await using two = await start('two')
    const statuses = await Promise.all(
      [one, two, one, two].map(async (server, n) => (await post(server, update(`e${n}`))).status),
    )
    // The stand-in knows neither client code, and until Target has accepted an update its refusal is not a verdict: deferred.
    expect(statuses.toSorted()).toEqual([202, 202, 503, 503])
    expect(statuses[0]).toBe(statuses[2])
  })

  it('a typo in the client code costs no event: what was deferred under it is sent once it is corrected', {
    timeout: 60_000,
  }, async () => {
    await using shared = await place(newFolder())
    const folder = shared.folder()
    await using emulator = await startEmulator({ autoSeed: true })
    const start = (code: string) =>
      startServer(emulator.origin, {
        folder,
        settings: { ...shared.settings, TARGET_CLIENT_CODE: code },
      })
    const confirm = async ({ url }: TestServer, client: string) => {
      const headers = { ...bearer(testSecrets.adminToken), 'content-type': 'application/json' }
      const body = JSON.stringify({ client })
      const response = await fetch(`${url}/admin/api/account/confirm`, { method: 'POST', headers, body })
      return { status: response.status, text: await response.text() }
    }
    const ids = Array.from({ length: 25 }, (_, index) => `typo-${index}`)
    {
      await using typo = await start('dmeo')
      // Else its refusals would open the breaker, and the test would wait for the first probe.
      await typo.relay.operator.pause(true)
      for (const id of ids) expect((await post(typo, update(id))).status).toBe(202)
      expect(await quarantined(typo)).toBe(202)
    }
    await using server = await start('demo')
    expect((await post(server, update('refused'))).status).toBe(503)
    expect(await confirm(server, 'demo')).toMatchObject({ status: 422, text: expect.stringContaining('client') })
    expect(await confirm(server, 'dmeo')).toMatchObject({ status: 200 })
    expect(server.logged).toContainEqual({ event: 'store_taken_over', from: 'dmeo' })
    await server.relay.operator.pause(false)
    expect(await server.relay.flush()).toMatchObject({ read: ids.length, unreadable: 0, dead: 0 })
    for (const id of ids) expect((await post(server, update(id))).text).toContain('duplicate')
    expect(emulator.statistics().accepted).toBe(ids.length)
    // From now on it is this account's: the first yes was said.
    await server.stop()
    await using back = await start('dmeo')
    expect(await confirm(back, 'demo')).toMatchObject({ status: 422, text: expect.stringContaining('no typo') })
    expect((await post(back, update('late'))).status).toBe(503)
  })

  it('a fresh ledger under another HASH_KEY knows what was spent, once that is stated (docs/deploy.md)', {
    timeout: 60_000,
  }, async () => {
    await using shared = await place(newFolder())
    await using emulator = await startEmulator({ autoSeed: true })
    const settings = { ...shared.settings, HASH_KEY: otherKey, QUOTA_LIMIT: '10' }
    await using server = await startServer(emulator.origin, { folder: shared.folder(), settings })
    // Live traffic may fill 9 of 10.
    await server.relay.operator.restate(8)
    const statuses: number[] = []
    for (const id of ['a', 'b']) statuses.push((await post(server, update(id))).status)
    expect(statuses).toEqual([200, 202])
  })
})

describe('a ledger', () => {
  it('imports an export of its own account only', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const server = await startServer(emulator.origin)
    await post(server, update('a'))
    const exported = join(newFolder(), 'state.ndjson')
    await cli(['ledger', 'export', exported, '--wait-ms', '0'], {
      RELAY_URL: server.url,
      ADMIN_TOKEN: testSecrets.adminToken,
    })
    await server.stop()
    const there = await startServer(emulator.origin, { settings: { TARGET_CLIENT_CODE: 'other' } })
    await post(there, update('b'))
    await there.stop()
    expect(await cli(['ledger', 'import', exported], { ...there.env, TARGET_CLIENT_CODE: 'demo' })).toMatchObject({
      status: 2,
      err: expect.stringMatching(/^ledger: .*its TARGET_CLIENT_CODE is other, here it is demo[^\n]*$/),
    })
    // Another account cannot declare it restored either: its whole quota would count as spent.
    expect(await cli(['ledger', 'restored'], { ...there.env, TARGET_CLIENT_CODE: 'demo' })).toMatchObject({ status: 2 })
    expect(await cli(['ledger', 'import', exported], there.env)).toMatchObject({
      status: 0,
      err: expect.stringContaining('1 units'),
    })
    await using again = await startServer(emulator.origin, {
      folder: there.folder,
      settings: { TARGET_CLIENT_CODE: 'other' },
    })
    // Only what its own account imported.
    expect((await again.relay.operator.usage()).used).toBe(2)
  })

  it('written by an older version is taken over by the first relay that opens it', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const folder = newFolder()
    const older = await startServer(emulator.origin, { folder })
    await post(older, update('old'))
    await older.stop()
    const database = new DatabaseSync(join(folder, 'relay.sqlite'))
    expect(database.prepare("DELETE FROM relay_memo WHERE name = 'owner'").run().changes).toBe(1)
    database.close()
    await using first = await startServer(emulator.origin, { folder })
    expect((await post(first, update('old'))).text).toContain('duplicate')
    await using second = await startServer(emulator.origin, { folder, settings: { TARGET_CLIENT_CODE: 'other' } })
    expect((await post(second, update('new'))).status).toBe(503)
    // The file holds no secret, and nothing that helps to guess a key without having it.
    expect(readFileSync(join(folder, 'relay.sqlite')).includes(testSecrets.hashKey)).toBe(false)
  })

  it('with the mark of another version is refused; once it is fixed, it works again', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    const folder = newFolder()
    await using server = await startServer(emulator.origin, { folder })
    const database = new DatabaseSync(join(folder, 'relay.sqlite'))
    database.exec("INSERT OR REPLACE INTO relay_memo (name, value) VALUES ('owner', '[]')")
    await using second = await startServer(emulator.origin, { folder })
    await expectRefused(second, /another version wrote down whose it is/)
    database.exec("DELETE FROM relay_memo WHERE name = 'owner'")
    database.close()
    expect((await post(second, update('a'))).status).toBe(200)
    expect((await post(server, update('b'))).status).toBe(200)
  })

  it('is asked for its owner once: an update costs no further round trip', async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using standIn = await startUpstashStandIn()
    const settings = { UPSTASH_REDIS_REST_URL: standIn.url, UPSTASH_REDIS_REST_TOKEN: standIn.token }
    await using server = await startServer(emulator.origin, { settings })
    await post(server, update('warm'))
    // Meanwhile: the settle, and the questions of a start.
    await sleep(500)
    standIn.resetCounts()
    await post(server, update('steady'))
    while (standIn.counts.requests < 2) await sleep(5)
    expect(standIn.counts.requests).toBe(2)
    expect(standIn.counts.names.every((name) => name.startsWith('eval'))).toBe(true)
  })

  it('that is silent at start does not prevent deferral (G2), and is asked once for each update', {
    timeout: 60_000,
  }, async () => {
    await using emulator = await startEmulator({ autoSeed: true })
    await using standIn = await startUpstashStandIn()
    standIn.fault = { kind: 'hang' }
    const settings = {
      UPSTASH_REDIS_REST_URL: standIn.url,
      UPSTASH_REDIS_REST_TOKEN: standIn.token,
      OUTAGE_SETTLE_MS: '0',
    }
    await using server = await startServer(emulator.origin, { settings: { ...settings, LEDGER_TIMEOUT_MS: '500' } })
    // The questions of a start.
    while (standIn.counts.requests < 2) await sleep(5)
    standIn.resetCounts()
    expect(await post(server, update('blind'))).toMatchObject({
      status: 202,
      text: expect.stringContaining('ledger_unavailable'),
    })
    expect(standIn.counts.requests).toBe(1)
    expect(await quarantined(server)).toBe(202)
    expect(emulator.statistics().calls).toBe(0)
    // It turns out to be another account's: nothing is sent, and nothing more is accepted.
    standIn.fault = undefined
    await standIn.command('SET', 'tr1:memo:owner', '{"client":"theirs","hashKey":"x"}')
    expect(await server.relay.flush()).toMatchObject({ stopped: 'foreign_store', calls: 0 })
    expect((await post(server, update('late'))).status).toBe(503)
    await standIn.command('DEL', 'tr1:memo:owner')
    expect(await server.relay.flush()).toMatchObject({ read: 1, replayed: 1 })
  })
})

describe('a backlog that two accounts share, each with a ledger of its own', () => {
  it.each([
    ['plain', {}],
    ['sealed under one ring', { BACKLOG_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}` }],
  ])('%s: neither sends or shows what belongs to the other', async (_, ring) => {
    await using emulator = await startEmulator({ autoSeed: true })
    const shared = sqliteStorage(':memory:')
    const relayOf = (settings: Record<string, string>) =>
      createRelay({
        sources: [],
        settings: readSettings(settingsFor(emulator.origin, { ...ring, ...settings })),
        // Like two Workers on one KV namespace.
        storage: { ...sqliteStorage(':memory:'), backlog: shared.backlog },
        log: () => {},
      })
    const [mine, other, otherKeyed] = await Promise.all([
      relayOf({}),
      relayOf({ TARGET_CLIENT_CODE: 'other' }),
      relayOf({ HASH_KEY: otherKey }),
    ])
    const send = (relay: typeof mine) =>
      relay.app.request('/v1/updates', {
        method: 'POST',
        headers: { ...bearer(testSecrets.apiToken), 'content-type': 'application/json' },
        body: JSON.stringify(update('waits')),
      })
    await mine.operator.pause(true)
    expect((await send(mine)).status).toBe(202)
    await mine.operator.pause(false)
    for (const relay of [other, otherKeyed]) {
      expect(await relay.flush()).toMatchObject({ stopped: 'drained', read: 1, unreadable: 1, calls: 0 })
      expect(await relay.operator.find({ thirdPartyId: 'waits' })).toMatchObject({ attributes: [] })
    }
    expect(emulator.statistics().calls).toBe(0)
    expect(await mine.flush()).toMatchObject({ read: 1, replayed: 1, unreadable: 0 })
  })
})
