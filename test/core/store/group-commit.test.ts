/** Transactions that share a commit: each is atomic by itself, and none is answered before the commit. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath, URL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { groupCommits, stepsTogether } from '../../../src/core/store/group-commit.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'

const folder = mkdtempSync(join(tmpdir(), 'target-relay-'))
const opened: DatabaseSync[] = []
let serial = 0
const open = (path = join(folder, `${++serial}.db`)) => {
  const database = new DatabaseSync(path)
  opened.push(database)
  return { database, path }
}
afterAll(() => {
  for (const database of opened) database.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A table of numbers in a file, the number of commits, and another connection that sees what is committed. */
function table() {
  const { database, path } = open()
  const base = nodeSqlite(database)
  let commits = 0
  const sql = groupCommits(
    {
      ...base,
      atomically: (work) => {
        commits++
        return base.atomically(work)
      },
    },
    (run) => void setImmediate(run),
  )
  sql.exec('CREATE TABLE number (n INTEGER PRIMARY KEY)')
  const other = open(path).database
  return {
    sql,
    other,
    add: (n: number) => sql.atomically(() => sql.exec('INSERT INTO number (n) VALUES (?) RETURNING n', n)[0]?.['n']),
    kept: () =>
      other
        .prepare('SELECT n FROM number ORDER BY n')
        .all()
        .map(({ n }) => n),
    commits: () => commits,
  }
}

describe('concurrent transactions', () => {
  it('share one commit, and each gets its own answer', async () => {
    const { add, kept, commits } = table()
    expect(await Promise.all([3, 1, 2].map(add))).toEqual([3, 1, 2])
    expect([kept(), commits()]).toEqual([[1, 2, 3], 1])
  })

  it('one that throws is undone alone and fails alone, with its own error', async () => {
    const { sql, add, kept, commits } = table()
    const failing = sql.atomically(() => {
      sql.exec('INSERT INTO number (n) VALUES (7)')
      throw new Error('of my own')
    })
    const settled = await Promise.allSettled([add(1), failing, add(1), add(2)])
    expect(settled).toMatchObject([
      { status: 'fulfilled', value: 1 },
      { status: 'rejected', reason: { message: 'of my own' } },
      { status: 'rejected', reason: { message: expect.stringContaining('UNIQUE') } },
      { status: 'fulfilled', value: 2 },
    ])
    expect([kept(), commits()]).toEqual([[1, 2], 1])
  })

  it('are not answered before the commit: if it fails, each of them fails and nothing is kept', async () => {
    const { sql, add, kept } = table()
    sql.exec('PRAGMA foreign_keys = ON')
    // Only checked at the commit.
    sql.exec('CREATE TABLE next (n INTEGER REFERENCES number (n) DEFERRABLE INITIALLY DEFERRED)')
    const dangling = sql.atomically(() => sql.exec('INSERT INTO next (n) VALUES (99)'))
    const settled = await Promise.allSettled([add(1), dangling, add(2)])
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(kept()).toEqual([])
    expect(await Promise.all([add(1), add(2)])).toEqual([1, 2])
  })

  it('are run one by one if SQLite has rolled back the whole transaction itself, as it may on a full disk', async () => {
    const { sql, add, kept } = table()
    const full = sql.atomically(() => {
      sql.exec('ROLLBACK')
      throw new Error('the disk is full')
    })
    const settled = await Promise.allSettled([add(1), full, add(2)])
    expect(settled).toMatchObject([
      { status: 'fulfilled', value: 1 },
      { status: 'rejected', reason: { message: 'the disk is full' } },
      { status: 'fulfilled', value: 2 },
    ])
    expect(kept()).toEqual([1, 2])
  })

  it('wait together for a file that another process has locked', async () => {
    const { add, other, kept, commits } = table()
    await add(0)
    other.exec('BEGIN IMMEDIATE')
    const all = Promise.all([1, 2, 3].map(add))
    let answered = false
    void all.then(() => {
      answered = true
    })
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(answered).toBe(false)
    other.exec('ROLLBACK')
    expect(await all).toEqual([1, 2, 3])
    expect([kept(), commits()]).toEqual([[0, 1, 2, 3], 2])
  })

  it('are split into several commits if there are very many, since other processes need the file too', async () => {
    const { add, kept, commits } = table()
    const all = Array.from({ length: 2 * stepsTogether + 1 }, (_, n) => n)
    expect(await Promise.all(all.map(add))).toEqual(all)
    expect([kept(), commits()]).toEqual([all, 3])
  })
})

it('a killed process leaves only whole transactions, among them all that it answered', async () => {
  const path = join(folder, 'killed.db')
  const child = spawn(process.execPath, [fileURLToPath(new URL('group-commit-process.ts', import.meta.url)), path])
  let printed = ''
  const ended = new Promise((resolve) => child.once('close', resolve))
  await new Promise<void>((resolve) =>
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      printed += chunk
      if (printed.length > 3_000) resolve()
    }),
  )
  child.kill('SIGKILL')
  await ended
  const { database } = open(path)
  const pairs = database.prepare('SELECT n, count(*) AS halves FROM pair GROUP BY n').all()
  expect(pairs.filter(({ halves }) => halves !== 2)).toEqual([])
  const kept = new Set(pairs.map(({ n }) => n))
  const answered = printed.split('\n').slice(0, -1).map(Number)
  expect(answered.length).toBeGreaterThan(100)
  expect(answered.filter((n) => !kept.has(n))).toEqual([])
})
