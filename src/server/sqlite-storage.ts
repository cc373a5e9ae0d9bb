/**
 * One SQLite file for backlog and embedded ledger, on Node, Deno and Bun. Several processes may share it.
 *
 * Guarantee: what was acknowledged is on disk. The witness of the embedded ledger lies in a second file beside it
 * (`<file>-witness`): if the first is lost or replaced by an older copy, that is noticed and nothing is sent
 * (docs/rules.md, "Loss of the ledger's state"); if the second is lost, the first counts as an older copy, since nothing can tell. Once one of
 * them is removed under a running process, nothing more is acknowledged (one-file.ts).
 * Known hole: removing both makes a first start; who restores both must say so (`target-relay ledger restored`).
 */
import { closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers'
import { sqliteBacklog } from '../core/backlog/sqlite.ts'
import { newEpochMemory, watchedLedger } from '../core/ledger/loss/epoch.ts'
import { sqlWitness } from '../core/ledger/loss/witness.ts'
import { sqlLedger } from '../core/ledger/sql/ledger.ts'
import { groupCommits } from '../core/store/group-commit.ts'
import { nodeSqlite } from '../core/store/sqlite-node.ts'
import { newRelayMemory, type RelayPorts } from '../relay/compose.ts'
import { SettingsError } from '../relay/errors.ts'
import { log as logLine, systemClock, systemRandom } from '../relay/runtime.ts'
import { ledgerSettings } from '../relay/settings.ts'
import type { Storage } from '../relay/storage.ts'
import { ofOneFile } from './one-file.ts'

/** The file holds personal data. SQLite gives its other files the same mode; a file that exists keeps its own. */
const ownerOnly = 0o600

export interface SqliteStorage extends Storage {
  /** After this the storage must not be used. */
  close(): void
}

/**
 * @param file created if it does not exist; `:memory:` keeps nothing
 * @throws if the file cannot be opened or is not a database
 */
export function sqliteStorage(file: string, { log = logLine }: { log?: RelayPorts['log'] } = {}): SqliteStorage {
  // Neither is used once one of them is gone: without its witness, a loss of the ledger would not be noticed.
  const files = file === ':memory:' ? [] : [file, `${file}-witness`]
  for (const one of files) closeSync(openSync(one, 'a', ownerOnly))
  const database = new DatabaseSync(file)
  const witnessed = new DatabaseSync(file === ':memory:' ? file : `${file}-witness`)
  const sql = groupCommits(ofOneFile(nodeSqlite(database), files), (run) => void setImmediate(run))
  const witness = sqlWitness(ofOneFile(nodeSqlite(witnessed), files))
  const memory = newEpochMemory()
  return {
    embeddedLedger: (settings) =>
      watchedLedger(sqlLedger(sql, ledgerSettings(settings), systemClock), {
        witness,
        memory,
        alone: true,
        random: systemRandom,
        log,
      }),
    witness,
    memory,
    relayMemory: newRelayMemory(),
    backlog: (seal, { backlogStore }) => {
      if (backlogStore === 'object')
        throw new SettingsError([
          'BACKLOG_STORE is object, which only Workers have: a server keeps what waits in RELAY_DB',
        ])
      return sqliteBacklog(sql, { randomHex: systemRandom.hex, seal })
    },
    close: () => {
      database.close()
      witnessed.close()
    },
  }
}
