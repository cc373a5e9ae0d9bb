/** Steps in a file that its name no longer leads to. */
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

describe('a file that is taken away', () => {
  it('in the middle of a step: the step is not said to be done (G2)', async () => {
    const sql = ofOneFile(nodeSqlite(database), [file])
    await expect(sql.inTurn(() => rmSync(file))).rejects.toThrow(FileReplaced)
  })

  it('before a step: nothing of it is done, since its log of writes may be that of the file that took its place (G2)', async () => {
    const sql = ofOneFile(nodeSqlite(database), [file])
    let done = 0
    rmSync(file)
    await expect(sql.inTurn(() => ++done)).rejects.toThrow(FileReplaced)
    expect(done).toBe(0)
  })

  it('and put back goes on', async () => {
    const sql = ofOneFile(nodeSqlite(database), [file])
    renameSync(file, `${file}-old`)
    await expect(sql.inTurn(() => 'done')).rejects.toThrow(FileReplaced)
    renameSync(`${file}-old`, file)
    expect(await sql.inTurn(() => 'done')).toBe('done')
  })
})
