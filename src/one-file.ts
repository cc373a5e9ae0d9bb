/**
 * A SQLite file that stays the one that was opened, and so do the files that belong to it.
 *
 * Guarantee: no step is said to be done in a file that its name no longer leads to: removed, renamed or replaced under a
 * running process, it would take everything and be gone with the process. Known hole: one that is removed behind the
 * step; what was acknowledged is lost with it, as with the disk.
 */
import { statSync } from 'node:fs'
import type { Sql } from './core/ledger/sql.ts'

export class FileReplaced extends Error {
  override readonly name = 'FileReplaced'
  constructor() {
    super('a file is no longer the one that was opened: restart')
  }
}

/**
 * @param sql a database in one of them
 * @param files as they were opened, a moment ago
 */
export function ofOneFile(sql: Sql, files: readonly string[]): Sql {
  const opened = files.map(identityOf)
  return {
    ...sql,
    async inTurn(work) {
      const result = await sql.inTurn(work)
      // Behind the work, which would else be done in a file that went meanwhile.
      if (files.some((file, index) => identityOf(file) !== opened[index])) throw new FileReplaced()
      return result
    },
  }
}

/** Undefined where there is none. */
function identityOf(file: string): string | undefined {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false })
  return found && `${found.dev}:${found.ino}`
}
