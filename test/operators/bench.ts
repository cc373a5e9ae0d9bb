/**
 * `npm run bench:operators [-- --entries 1000000] [--kv 100000]`: what an operator waits for, however much waits. Fills a
 * SQLite file, and a real KV in workerd, and prints how long `status`, `backlog`, `dead` and `/metrics` take, in ms.
 */
import { DatabaseSync } from 'node:sqlite'
import { parseArgs } from 'node:util'
import { deadKey, entryKey, packDead, packEntry, postSize } from '../../src/core/backlog/entry-format.ts'
import { makeStamp } from '../../src/core/update/stamp.ts'
import { testSecrets } from '../support/secrets.ts'
import { startServer } from '../support/server.ts'
import { settingsFor } from '../support/settings.ts'
import { startWorkerdRelay } from '../support/workerd.ts'

const { values } = parseArgs({
  options: { entries: { type: 'string', default: '1000000' }, kv: { type: 'string', default: '100000' } },
})
const routes = ['/admin/api/status', '/admin/api/backlog', '/admin/api/dead', '/metrics']
const asks = 5
const target = 'http://127.0.0.1:9'
const nowMs = Date.now()

const entryOf = (n: number) => {
  const visitorHash = Math.floor(n / 2)
    .toString(16)
    .padStart(32, '0')
  return {
    visitor: { thirdPartyId: String(Math.floor(n / 2)) },
    visitorHash,
    attributes: [{ name: 'tier', value: 'gold' }],
    stamp: makeStamp(nowMs - n, nowMs - n, n.toString(16).padStart(16, '0')),
    source: n % 3 === 0 ? 'loan' : 'api',
    firstSeenMs: nowMs - n,
    reason: 'quota',
  } as const
}
const letterOf = (n: number) =>
  ({
    reason: 'rejected',
    source: 'api',
    atMs: nowMs - n,
    firstSeenMs: nowMs - n,
    attempts: 1,
    entry: entryOf(n),
  }) as const

async function measure(name: string, url: string): Promise<void> {
  for (const route of routes) {
    const took: number[] = []
    for (let n = 0; n < asks; n++) {
      const startMs = performance.now()
      const response = await fetch(`${url}${route}`, { headers: { authorization: `Bearer ${testSecrets.adminToken}` } })
      await response.text()
      took.push(performance.now() - startMs)
      if (!response.ok) throw new Error(`${route}: ${response.status}`)
    }
    console.log(`${name}: ${route} ${took.map((ms) => ms.toFixed(0)).join(', ')} ms`)
  }
}

async function onSqlite(entries: number): Promise<void> {
  await using server = await startServer(target)
  const file = new DatabaseSync(server.env['RELAY_DB'] ?? '')
  const put = file.prepare(
    'INSERT INTO relay_backlog (key, value, source, reason, bytes, attributes) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const hex = (n: number) => n.toString(16).padStart(16, '0')
  file.exec('BEGIN')
  for (let n = 0; n < entries; n++) {
    const entry = entryOf(n)
    put.run(entryKey(entry, hex(n)), JSON.stringify(packEntry(entry)), entry.source, entry.reason, postSize(entry), 1)
    if (n % 100 === 0)
      put.run(deadKey(nowMs - n, hex(n)), JSON.stringify(packDead(letterOf(n))), 'api', 'rejected', null, null)
    if (n % 50_000 === 49_999) file.exec('COMMIT; BEGIN')
  }
  file.exec('COMMIT')
  file.close()
  await measure(`SQLite, ${entries} entries`, server.url)
}

async function onKv(entries: number): Promise<void> {
  await using relay = await startWorkerdRelay(settingsFor(target, { QUOTA_LIMIT: '1', REPLAY_RESERVE: '0' }))
  const post = (path: string, token: string, body: unknown) =>
    fetch(`${relay.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  await post('/admin/api/pause', testSecrets.adminToken, {})
  for (let n = 0; n < entries; n += 100) {
    const updates = Array.from({ length: Math.min(100, entries - n) }, (_, at) => ({
      visitor: { thirdPartyId: String(Math.floor((n + at) / 2)) },
      attributes: { tier: String(at) },
    }))
    const { status } = await post('/v1/updates', testSecrets.apiToken, { updates })
    if (status !== 202) throw new Error(`/v1/updates: ${status}`)
  }
  await relay.flush()
  await measure(`KV, ${entries} entries`, relay.url)
}

if (Number(values.entries) > 0) await onSqlite(Number(values.entries))
if (Number(values.kv) > 0) await onKv(Number(values.kv))
