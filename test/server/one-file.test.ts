/** Steps in a database file that is no longer the one under its name. */
import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { nodeSqlite } from '../../src/core/store/sqlite-node.ts'
import { FileReplaced } from '../../src/server/errors.ts'
import { ofOneFile } from '../../src/server/one-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'target-relay-one-file-'))
let file = ''
let serial = 0
let database: DatabaseSync
beforeEach(() => {
  file = join(folder, `${++serial}.sqlite`)
  database = new DatabaseSync(file)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('a file that is removed', () => {
  it('during a step: the step is not reported as done (G2)', async () => {
    const sql = ofOneFile(nodeSqlite(database), [file])
    await expect(sql.inTurn(() => rmSync(file))).rejects.toThrow(FileReplaced)
  })

  it('before a step: the step is not run, since its write-ahead log may belong to the replacing file (G2)', async () => {
    const sql = ofOneFile(nodeSqlite(database), [file])
    let done = 0
    rmSync(file)
    await expect(sql.inTurn(() => ++done)).rejects.toThrow(FileReplaced)
    expect(done).toBe(0)
  })

  it('and put back: steps work again', async () => {
    const sql = ofOneFile(nodeSqlite(database), [file])
    renameSync(file, `${file}-old`)
    await expect(sql.inTurn(() => 'done')).rejects.toThrow(FileReplaced)
    renameSync(`${file}-old`, file)
    expect(await sql.inTurn(() => 'done')).toBe('done')
  })
})
