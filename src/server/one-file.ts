/**
 * Makes sure that a SQLite file, and those that belong to it, are still the ones that were opened.
 *
 * Guarantee: no step is reported as done in a file that its name no longer leads to: a file that was removed, renamed
 * or replaced under a running process would take everything and be gone with the process. Nor is a step begun in one:
 * where only the file was removed, and not its log of writes (`-wal`), that log is the new file's too, and what is
 * written here would spoil what a process that was started again keeps there. Known hole: one that is removed behind
 * the step; what was acknowledged is lost with it, as with the disk.
 */
import { statSync } from 'node:fs'
import type { Sql } from '../core/store/sql.ts'
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
  const looked =
    (how: Sql['inTurn']): Sql['inTurn'] =>
    async (work) => {
      const result = await how(() => {
        look()
        return work()
      })
      // After the work too: the file may have gone meanwhile.
      look()
      return result
    }
  return { ...sql, inTurn: looked(sql.inTurn), atomically: looked(sql.atomically) }
}

/** Undefined if there is no such file. */
function identityOf(file: string): string | undefined {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false })
  return found && `${found.dev}:${found.ino}`
}
