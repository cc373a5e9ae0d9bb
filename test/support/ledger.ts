/** Ledgers made of stores, each watched by a witness in memory. */
import {
  type EpochParts,
  newEpochMemory,
  type Testimony,
  type Witness,
  watchedLedger,
} from '../../src/core/ledger/loss/epoch.ts'
import type { Ledger, LedgerStore } from '../../src/core/ledger/port.ts'
import { upstashLedger } from '../../src/core/ledger/redis/ledger.ts'
import { sqlLedger } from '../../src/core/ledger/sql/ledger.ts'
import { seededRandom } from './clock.ts'

/** One row, replaced atomically. */
export function memoryWitness(): Witness & { row: Testimony | undefined } {
  const witness = {
    row: undefined as Testimony | undefined,
    read: async () => witness.row,
    replace: async (seen: Testimony | undefined, next: Testimony) => {
      if (JSON.stringify(witness.row) === JSON.stringify(seen)) witness.row = next
      return witness.row ?? next
    },
  }
  return witness
}

export function watched(store: LedgerStore, parts: Partial<EpochParts> = {}): Ledger {
  return watchedLedger(store, {
    witness: memoryWitness(),
    memory: newEpochMemory(),
    random: seededRandom(1),
    log: () => {},
    ...parts,
  })
}

export const sqlWatched = (...parts: Parameters<typeof sqlLedger>): Ledger => watched(sqlLedger(...parts))
export const upstashWatched = (...parts: Parameters<typeof upstashLedger>): Ledger => watched(upstashLedger(...parts))
