/**
 * Writes pairs of rows until it is killed, many at a time in shared commits, and prints the number of each pair once it
 * is answered. Argument: the file.
 */
import { writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { groupCommits } from '../../../src/core/store/group-commit.ts'
import { nodeSqlite } from '../../../src/core/store/sqlite-node.ts'

const sql = groupCommits(nodeSqlite(new DatabaseSync(process.argv[2] ?? '')), (run) => void setImmediate(run))
sql.exec('CREATE TABLE pair (n INTEGER, half TEXT)')
let next = 0
const write = async () => {
  for (;;) {
    const n = next++
    await sql.atomically(() => {
      for (const half of ['one', 'other']) sql.exec('INSERT INTO pair (n, half) VALUES (?, ?)', n, half)
    })
    writeSync(1, `${n}\n`)
  }
}
await Promise.all(Array.from({ length: 20 }, write))
