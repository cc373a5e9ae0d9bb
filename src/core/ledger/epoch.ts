/**
 * Lost state must not look like an unused quota (DESIGN.md §4). The ledger lives in an epoch, and a witness kept in
 * another store knows which, and how many units it had granted.
 *
 * Guarantee: a ledger that is empty where the witness knows a life of it, that lives in another epoch, or that has
 * granted fewer units than it had, admits nothing under its old account. Where it is empty it begins a new epoch with
 * the whole quota counted as spent, so that nothing is sent until a window has passed or an operator has stated what
 * was really spent; where it went back, what it forgot is charged. In both cases whatever is no newer than the loss is
 * answered `lost`: its order can't be known any more.
 * Known hole: grants that a failover forgot before anybody asked again, at most those of the time between two answers
 * (hence the margin in `QUOTA_LIMIT`), and the order of what was admitted in that time. Where several machines have a
 * witness each, one that starts for the very first time knows of no loss: until another one asks, within a minute, it
 * takes an empty ledger for a new one.
 */
import type { Random } from '../clock.ts'
import { ClockJumped } from './clock-watch.ts'
import type { Ledger, LedgerStore } from './port.ts'

/** `first`: begun, and not yet known to have taken. `lost`: the same, after a loss. */
export interface Testimony {
  readonly epoch: string
  readonly state: 'first' | 'lost' | 'steady'
  /** Units granted in this epoch, as last heard of. */
  readonly granted: number
  /** The epoch whose loss began this one, until it is steady. */
  readonly after?: string
}

export interface Witness {
  read(): Promise<Testimony | undefined>
  /** Puts `next` where `seen` still stands; answers what stands then. */
  replace(seen: Testimony | undefined, next: Testimony): Promise<Testimony>
}

/** What one isolate remembers between requests. Plain data, so that it may outlive them. */
export interface EpochMemory {
  epoch?: string
  granted: number
}

export const newEpochMemory = (): EpochMemory => ({ granted: 0 })

export class LedgerLost extends Error {
  override readonly name = 'LedgerLost'
  constructor(what: string) {
    super(`the ledger has lost state: ${what}`)
  }
}

export interface EpochParts {
  readonly witness: Witness
  readonly memory: EpochMemory
  readonly random: Pick<Random, 'hex'>
  readonly log: (event: string, details?: Readonly<Record<string, string | number>>) => void
}

const epochBytes = 8

/** The ledger as everybody uses it: a store whose losses are noticed. */
export function watchedLedger(store: LedgerStore, { witness, memory, random, log }: EpochParts): Ledger {
  return {
    ...store,
    async admit(requests, lane) {
      const epoch = memory.epoch ?? (await settleEpoch())
      // What was known before asking: answers may arrive in another order than they were given.
      const known = memory.granted
      const ask = (living: string) =>
        store.admit(living, requests, lane).catch((error: unknown) => {
          if (error instanceof ClockJumped) log('clock_jumped', { byMs: error.byMs })
          throw error
        })
      let answer = await ask(epoch)
      if (answer === undefined) {
        const standing = await settleEpoch(epoch)
        // Where somebody else has begun an epoch meanwhile, it is only this isolate that was behind.
        if (standing !== epoch) answer = await ask(standing)
        if (answer === undefined) throw new LedgerLost('its epoch')
      } else if (memory.epoch === epoch && answer.granted < known) {
        await chargeForgotten(known)
        throw new LedgerLost('its last grants')
      }
      if (answer.unknown !== undefined) log('quota_unknown', { counted: answer.unknown })
      memory.granted = Math.max(memory.granted, answer.granted)
      return answer.admissions
    },
    async moveIn(part) {
      // It must live before it can take something in.
      if (memory.epoch === undefined) await settleEpoch()
      await store.moveIn(part)
    },
    async check() {
      const seen = await witness.read()
      const epoch = memory.epoch ?? (await settleEpoch())
      const granted = await store.granted(epoch)
      if (granted === undefined) await settleEpoch(epoch)
      else if (seen !== undefined && seen.epoch !== epoch) await settleEpoch()
      else if (seen !== undefined && granted < seen.granted) await chargeForgotten(seen.granted)
      else if (seen !== undefined && granted > seen.granted) await witness.replace(seen, { ...seen, granted })
    },
  }

  async function chargeForgotten(granted: number): Promise<void> {
    await store.charge(granted)
    log('ledger_went_back', { granted })
  }

  /**
   * Agrees with witness and store on the epoch; begins one where there is none.
   *
   * @param refused an epoch that the store does not live in: where the witness knows no other, it was lost
   */
  async function settleEpoch(refused?: string): Promise<string> {
    let seen = (await witness.read()) ?? (await witness.replace(undefined, { epoch: random.hex(epochBytes), state: 'first', granted: 0 }))
    if (seen.state === 'steady' && seen.epoch === refused) {
      log('ledger_lost', { granted: seen.granted })
      seen = await witness.replace(seen, { epoch: random.hex(epochBytes), state: 'lost', granted: 0, after: seen.epoch })
    }
    if (seen.state !== 'steady') {
      const epoch = await store.begin(seen.epoch, seen.state === 'lost', seen.after)
      seen = await witness.replace(seen, { epoch, state: 'steady', granted: 0 })
    }
    memory.epoch = seen.epoch
    memory.granted = seen.granted
    return seen.epoch
  }
}
