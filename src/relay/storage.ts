/**
 * Where a deployment keeps what must outlive a process: the backlog, the embedded ledger, and the witness of a ledger
 * that is elsewhere. `server/sqlite-storage.ts` and `workers/index.ts` have one each.
 */
import type { Backlog } from '../core/backlog/port.ts'
import type { Seal } from '../core/backlog/seal.ts'
import type { EpochMemory, Witness } from '../core/ledger/loss/epoch.ts'
import type { Ledger } from '../core/ledger/port.ts'
import type { RelayMemory } from './compose.ts'
import type { Settings } from './settings.ts'

export interface Storage {
  /** The ledger of this storage, for deployments without Upstash. */
  embeddedLedger(settings: Settings): Ledger
  /** Knows the epoch and the grants of a ledger in Redis. */
  readonly witness: Witness
  /** What this process or isolate remembers of the ledger's epoch; outlives a request. */
  readonly memory: EpochMemory
  /** What else it remembers; default: for as long as the relay that `createRelay` returns. */
  readonly relayMemory?: RelayMemory
  backlog(seal: Seal, settings: Pick<Settings, 'backlogStore'>): Backlog
  /** Told when a run begins that is the cron's, where something else starts one once the cron is silent. */
  readonly cronCame?: () => Promise<void>
}
