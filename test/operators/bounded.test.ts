/** What an operator asks reads a bounded state, however much waits: rows are counted, not time. */
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { kvBacklog } from '../../src/core/backlog/kv.ts'
import type { Backlog } from '../../src/core/backlog/port.ts'
import type { Seal } from '../../src/core/backlog/seal.ts'
import { sqliteBacklog } from '../../src/core/backlog/sqlite.ts'
import type { Kv } from '../../src/core/store/kv.ts'
import type { Sql } from '../../src/core/store/sql.ts'
import { nodeSqlite } from '../../src/core/store/sqlite-node.ts'
import { createRelay, parseAll } from '../../src/relay/create.ts'
import { systemRandom } from '../../src/relay/runtime.ts'
import { sqliteStorage } from '../../src/server/sqlite-storage.ts'
import { someEntry } from '../contract/backlog.ts'
import { fakeKv } from '../support/fake-kv.ts'
import { testSecrets } from '../support/secrets.ts'
import { settingsFor } from '../support/settings.ts'

/** Rows, or keys, that the store gave. */
interface Read {
  rows: number
}

function onSqlite(read: Read): (seal: Seal) => Backlog {
  const sql = nodeSqlite(new DatabaseSync(':memory:'))
  const counted: Sql = {
    ...sql,
    exec: (...asked) => {
      const rows = sql.exec(...asked)
      read.rows += rows.length
      return rows
    },
    inTurn: (work) => sql.inTurn(work),
    atomically: (work) => sql.atomically(work),
    transaction: (work) => sql.transaction(work),
  }
  return (seal) => sqliteBacklog(counted, { randomHex: systemRandom.hex, seal })
}

function onKv(read: Read): (seal: Seal) => Backlog {
  const kv = fakeKv({ now: Date.now })
  const counted: Kv = {
    put: (...asked) => kv.put(...asked),
    delete: (...asked) => kv.delete(...asked),
    list: async (options) => {
      const listed = await kv.list(options)
      read.rows += listed.keys.length
      return listed
    },
    get: async (keys) => {
      read.rows += keys.length
      return kv.get(keys)
    },
  }
  return (seal) => kvBacklog(counted, { randomHex: systemRandom.hex, seal })
}

/** Rows at most: a page of a list for each of the two formats of keys, and the figures. */
const routes: Readonly<Record<string, number>> = {
  '/admin/api/status': 2_100,
  '/admin/api/backlog': 100,
  // Two rows a letter on SQLite would still be few.
  '/admin/api/dead?limit=50': 110,
  '/admin/api/dead?limit=50&source=nobody': 6_100,
  '/metrics': 2_100,
}

describe.each([
  ['SQLite', onSqlite],
  ['KV', onKv],
] as const)('an answer to an operator, on %s', (_, make) => {
  it('costs as much where 3,000 wait and 3,000 are dead as where few do', async () => {
    const read: Read = { rows: 0 }
    const backlogOf = make(read)
    let backlog: Backlog | undefined
    const parsed = parseAll(settingsFor('http://127.0.0.1:9'), [])
    if (!parsed.ok) throw new Error(parsed.problems.join('; '))
    const relay = await createRelay({
      sources: [],
      settings: parsed.settings,
      storage: {
        ...sqliteStorage(':memory:', { log: () => {} }),
        backlog: (seal) => {
          backlog = backlogOf(seal)
          return backlog
        },
      },
      log: () => {},
    })
    const costs = async () => {
      const rows: number[] = []
      for (const route of Object.keys(routes)) {
        read.rows = 0
        const request = new Request(`https://relay.example${route}`, {
          headers: { authorization: `Bearer ${testSecrets.adminToken}` },
        })
        expect([route, (await relay.app.fetch(request)).status]).toEqual([route, 200])
        rows.push(read.rows)
      }
      return rows
    }
    for (const count of [20, 3_000]) {
      for (let n = 0; n < count; n++) await backlog?.put(someEntry({ reason: 'quota' }))
      for (let n = 0; n < count; n++)
        await backlog?.bury({
          reason: 'rejected',
          source: 'api',
          atMs: Date.now(),
          firstSeenMs: Date.now(),
          attempts: 1,
          entry: someEntry(),
        })
      const most = Object.values(routes)
      for (const [at, rows] of (await costs()).entries()) expect(rows).toBeLessThanOrEqual(most[at] ?? 0)
    }
    expect(await costs()).toEqual(await costs())
  })
})
