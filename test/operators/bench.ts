/**
 * `npm run bench:operators [-- --entries 1000000] [--kv 100000]`: what an operator waits for, however much waits. Fills a
 * SQLite file, and a real KV in workerd, one letter for each hundred entries, and prints how long `status`, `backlog`,
 * `dead` and `/metrics` of a relay that was just started take, in ms: each five times, the first one too. `/healthz`,
 * asked before and between, says what this machine takes for a request that reads nothing.
 */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { parseArgs } from 'node:util'
import { deadKey, entryKey, packDead, packEntry, postSize } from '../../src/core/backlog/entry-format.ts'
import { headOf } from '../../src/core/backlog/head-format.ts'
import { writeHead } from '../../src/core/backlog/sqlite-letters.ts'
import { sqliteRows } from '../../src/core/backlog/sqlite-rows.ts'
import { nodeSqlite } from '../../src/core/store/sqlite-node.ts'
import { makeStamp } from '../../src/core/update/stamp.ts'
import { newFolder, type RunningRelay, startRelay } from '../runtimes/relays.ts'
import { testSecrets } from '../support/secrets.ts'
import { settingsFor } from '../support/settings.ts'
import { sourceNames } from './sources.ts'

const { values } = parseArgs({
  options: { entries: { type: 'string', default: '1000000' }, kv: { type: 'string', default: '100000' } },
})
const routes = ['/admin/api/status', '/admin/api/backlog', '/admin/api/dead', '/metrics']
const asks = 5
const perLetter = 100
const sources = 'test/operators/broken/sources.ts'
// Nothing is sent: everything waits.
const settings = settingsFor('http://127.0.0.1:9', {
  QUOTA_LIMIT: '1',
  REPLAY_RESERVE: '0',
  ...Object.fromEntries(sourceNames.map((name) => [`HOOK_SECRET_${name.toUpperCase()}`, testSecrets.hook(name)])),
})
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
    source: n % 3 === 0 ? 'desk' : 'api',
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

async function measure(name: string, { url }: Pick<RunningRelay, 'url'>): Promise<void> {
  for (const route of ['/healthz', ...routes.flatMap((one) => [one, '/healthz'])]) {
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
  const folder = newFolder()
  const file = new DatabaseSync(join(folder, 'relay.sqlite'))
  const sql = nodeSqlite(file)
  sqliteRows(sql, true)
  const put = file.prepare(
    'INSERT INTO relay_backlog (key, value, source, reason, bytes, attributes) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const hex = (n: number) => n.toString(16).padStart(16, '0')
  file.exec('BEGIN')
  for (let n = 0; n < entries; n++) {
    const entry = entryOf(n)
    put.run(entryKey(entry, hex(n)), JSON.stringify(packEntry(entry)), entry.source, entry.reason, postSize(entry), 1)
    if (n % perLetter === 0) {
      const [key, letter] = [deadKey(nowMs - n, hex(n)), letterOf(n)]
      put.run(key, JSON.stringify(packDead(letter)), letter.source, letter.reason, null, null)
      writeHead(sql, key, headOf(letter), null)
    }
    if (n % 50_000 === 49_999) file.exec('COMMIT; BEGIN')
  }
  file.exec('COMMIT')
  file.close()
  const relay = await startRelay('node', folder, settings, sources)
  try {
    await measure(`SQLite, ${entries} entries`, relay)
  } finally {
    await relay.end('SIGTERM')
  }
}

async function onKv(entries: number): Promise<void> {
  const folder = newFolder()
  let relay = await startRelay('workerd', folder, settings, sources)
  try {
    const post = async (path: string, token: string, body: unknown, wanted = 202) => {
      const { status } = await fetch(`${relay.url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      if (status !== wanted) throw new Error(`${path}: ${status}`)
    }
    await post('/admin/api/pause', testSecrets.adminToken, {}, 200)
    for (let n = 0; n < entries; n += 100) {
      const updates = Array.from({ length: Math.min(100, entries - n) }, (_, at) => ({
        visitor: { thirdPartyId: String(Math.floor((n + at) / 2)) },
        attributes: { tier: String(at) },
      }))
      await post('/v1/updates', testSecrets.apiToken, { updates })
      // Its mapping knows no such field: it is quarantined.
      await post('/hooks/desk', testSecrets.hook('desk'), { id: String(n), who: String(n) })
    }
    await post('/admin/api/flush', testSecrets.adminToken, {}, 200)
    await relay.end('SIGTERM')
    relay = await startRelay('workerd', folder, settings, sources)
    await measure(`KV, ${entries} entries`, relay)
  } finally {
    await relay.end('SIGKILL')
  }
}

if (Number(values.entries) > 0) await onSqlite(Number(values.entries))
if (Number(values.kv) > 0) await onKv(Number(values.kv))
