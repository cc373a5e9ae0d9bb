/**
 * A SQLite file that stays the one that was opened, and so do the files that belong to it.
 *
 * Guarantee: no step is said to be done in a file that its name no longer leads to: removed, renamed or replaced under a
 * running process, it would take everything and be gone with the process. Nor is a step begun in one: where only the file
 * was removed, and not its log of writes (`-wal`), that log is the new file's too, and what is written here would spoil what a
 * process that was started again keeps there. Known hole: one that is removed behind the step; what was acknowledged is lost
 * with it, as with the disk.
 */
import { statSync } from 'node:fs'
import type { Sql } from '../core/ledger/sql/ledger.ts'
import { FileReplaced } from './errors.ts'

/**
 * @param sql a database in one of them
 * @param files as they were opened, a moment ago
 */
export function ofOneFile(sql: Sql, files: readonly string[]): Sql {
  const opened = files.map(identityOf)
  const look = () => {
    if (files.some((file, index) => identityOf(file) !== opened[index])) throw new FileReplaced()
  }
  return {
    ...sql,
    async inTurn(work) {
      const result = await sql.inTurn(() => {
        look()
        return work()
      })
      // Behind the work, too, which may have been done in a file that went meanwhile.
      look()
      return result
    },
  }
}

/** Undefined where there is none. */
function identityOf(file: string): string | undefined {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false })
  return found && `${found.dev}:${found.ino}`
}
