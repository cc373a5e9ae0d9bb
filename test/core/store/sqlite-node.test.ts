/** A SQLite file that another process has locked: only the steps that need it wait. */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, describe, expect, it } from 'vitest'
import { sqliteBacklog } from '../../../src/core/backlog/sqlite.ts'
import { sqlWitness } from '../../../src/core/ledger/loss/witness.ts'
import { sqlLedger } from '../../../src/core/ledger/sql/ledger.ts'
import { keptLogBytes, nodeSqlite, patienceMs, preparedAtMost } from '../../../src/core/store/sqlite-node.ts'
import { someEntry } from '../../contract/backlog.ts'
import { contractSettings } from '../../contract/ledger.ts'
import { fakeClock, seededRandom } from '../../support/clock.ts'
import { watched } from '../../support/ledger.ts'
import { plainSeal } from '../../support/seal.ts'

const folder = mkdtempSync(join(tmpdir(), 'target-relay-'))
const opened: DatabaseSync[] = []
let serial = 0
const open = (path: string) => {
  const database = new DatabaseSync(path)
  opened.push(database)
  return database
}
afterAll(() => {
  for (const database of opened) if (database.isOpen) database.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A file with a ledger, a backlog and a witness, and another connection that can lock it. */
function shared(patience?: Parameters<typeof nodeSqlite>[1]) {
  const path = join(folder, `${++serial}.db`)
  const sql = patience === undefined ? nodeSqlite(open(path)) : nodeSqlite(open(path), patience)
  const other = open(path)
  const ledger = watched(sqlLedger(sql, contractSettings, { now: () => 1_790_000_000_000 }))
  const backlog = sqliteBacklog(sql, { randomHex: seededRandom(1).hex, seal: plainSeal })
  return {
    sql,
    ledger,
    backlog,
    witness: sqlWitness(sql),
    hold: () => other.exec('BEGIN IMMEDIATE'),
    letGo: () => other.exec('ROLLBACK'),
  }
}

const admission = (serial: number) => ({
  visitorHash: serial.toString(16).padStart(32, '0'),
  attributes: [{ name: 'tier', stamp: someEntry().stamp }],
  units: 1,
  token: `token-${serial}`,
})

describe('a file that another process has locked', () => {
  it('stops no timer, and only requests that write: they are done once it is free', async () => {
    const { ledger, backlog, witness, hold, letGo } = shared()
    await ledger.check()
    hold()
    let ticks = 0
    const ticking = setInterval(() => {
      ticks++
      // 1.5 seconds counted by this thread: if it were blocked, SQLite's time-out would end first.
      if (ticks === 150) letGo()
    }, 10)
    const asked = [
      ...Array.from({ length: 20 }, (_, n) => ledger.admit([admission(n)], 'live')),
      ...Array.from({ length: 20 }, () => backlog.put(someEntry())),
      witness.replace(undefined, { epoch: 'e', state: 'steady', granted: 0 }),
    ]
    const done = await Promise.all(asked)
    clearInterval(ticking)
    expect(ticks).toBeGreaterThanOrEqual(150)
    expect(done.slice(0, 20)).toEqual(
      Array.from({ length: 20 }, () => [expect.objectContaining({ verdicts: ['send'] })]),
    )
    expect((await backlog.list()).items).toHaveLength(20)
    expect((await ledger.usage()).used).toBe(20)
  }, 30_000)

  it('is waited for by one step at a time, so that many waiting steps do not block the thread in turn', async () => {
    const clock = fakeClock()
    const { sql, hold, letGo } = shared({ clock, fraction: () => 0 })
    let tries = 0
    const step = () => {
      tries++
      return sql.transaction(() => tries)
    }
    hold()
    const all = Promise.all(Array.from({ length: 100 }, () => sql.inTurn(step)))
    await clock.advance(1_000)
    // After 5, 10, 20, 40 and 80 ms, then every 100 ms.
    expect(tries).toBeLessThan(20)
    letGo()
    await clock.advance(100)
    expect(new Set(await all).size).toBe(100)
  })

  it('is not waited for without end: the step fails with SQLite’s own error, having done nothing', async () => {
    const clock = fakeClock()
    const { backlog, hold, letGo } = shared({ clock, fraction: () => 0.5 })
    hold()
    const refused = Promise.allSettled(Array.from({ length: 3 }, () => backlog.put(someEntry())))
    await clock.advance(patienceMs + 100)
    for (const one of await refused)
      expect(one).toMatchObject({ status: 'rejected', reason: { message: 'database is locked' } })
    letGo()
    expect((await backlog.list()).items).toEqual([])
    await backlog.put(someEntry())
    expect((await backlog.list()).items).toHaveLength(1)
  })

  it('any other failure is reported at once and delays nobody', async () => {
    const { sql } = shared()
    const broken = sql.inTurn(() => {
      throw new Error('disk full')
    })
    await expect(broken).rejects.toThrow('disk full')
    expect(await sql.inTurn(() => 1)).toBe(1)
  })
})

it('keeps a bounded number of prepared statements, however many queries it is given', async () => {
  const database = open(':memory:')
  let prepared = 0
  const counting = new Proxy(database, {
    get: (target, name) => {
      if (name === 'prepare') prepared++
      const member: unknown = Reflect.get(target, name)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
  const sql = nodeSqlite(counting)
  for (let n = 0; n <= preparedAtMost; n++) sql.exec(`SELECT ${n}`)
  // The newest are still kept, the first is not.
  sql.exec(`SELECT ${preparedAtMost}`)
  expect(prepared).toBe(preparedAtMost + 1)
  sql.exec('SELECT 0')
  expect(prepared).toBe(preparedAtMost + 2)
})

describe('a reader that holds an old snapshot', () => {
  it('makes the write-ahead log grow only while it reads', async () => {
    const path = join(folder, `${++serial}.db`)
    const backlog = sqliteBacklog(nodeSqlite(open(path)), { randomHex: seededRandom(1).hex, seal: plainSeal })
    const large = { ...someEntry(), attributes: [{ name: 'tier', value: 'x'.repeat(1_000_000) }] }
    const reader = open(path)
    reader.exec('BEGIN')
    reader.prepare('SELECT count(*) FROM relay_backlog').get()
    for (let puts = 0; puts < 20; puts++) await backlog.put(large)
    const logBytes = () => statSync(`${path}-wal`).size
    expect(logBytes()).toBeGreaterThan(keptLogBytes)
    reader.exec('ROLLBACK')
    for (let puts = 0; puts < 3; puts++) await backlog.put(someEntry())
    expect(logBytes()).toBeLessThanOrEqual(keptLogBytes)
  })
})
