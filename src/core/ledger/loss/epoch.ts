/**
 * Lost state must not look like an unused quota (docs/rules.md, "Loss of the ledger's state"). The ledger lives in an
 * epoch, and a witness kept in another store knows which, and how many units it had granted.
 *
 * Guarantee: a ledger that is empty where the witness knows a life of it, that lives in another epoch, or that has
 * granted fewer units than it had, admits nothing under its old account. Where it is empty it begins a new epoch with
 * the whole quota counted as spent, so that nothing is sent until a window has passed or an operator has stated what
 * was really spent; where it went back, what it forgot is charged. In both cases whatever is no newer than the loss is
 * answered `lost`: its order is unknown.
 *
 * A store that lives in an epoch which the witness replaced, and has granted no less than was heard of it then, is
 * itself again: it was another database that answered for a while. What that one granted is charged as what a ledger
 * forgot is.
 * Known hole: grants that a failover forgot before anybody asked again, at most those of the time between two answers
 * (hence the margin in `QUOTA_LIMIT`), and the order of what was admitted in that time; alike, but for the first of
 * them, those of another database since the last check. Where several machines have a witness each, one that starts for
 * the very first time knows of no loss: until another one asks, within a minute, it takes an empty ledger for a new
 * one. Of a store that was put back together with its witness neither knows: an operator says so (`restored`).
 */

import type { Random } from '../../clock.ts'
import type { Log } from '../../log.ts'
import { ClockJumped, LedgerLost } from '../errors.ts'
import type { Ledger, LedgerStore } from '../port.ts'

/** `first`: begun, and not yet known to have taken. `lost`: the same, after a loss. */
export interface Testimony {
  readonly epoch: string
  readonly state: 'first' | 'lost' | 'steady'
  /** Units granted in this epoch, as last heard of. */
  readonly granted: number
  /** The epoch whose loss began this one, until it is steady. */
  readonly after?: string
  /**
   * How much of `granted` is not to be added to what was heard of in earlier epochs. Absent, as in older versions: 0.
   */
  readonly base?: number
  /** Epochs that were replaced, the latest last, as they were then: at most `maxReplaced`. */
  readonly replaced?: readonly Replaced[]
}

export type Replaced = Pick<Testimony, 'epoch' | 'granted' | 'base'>

/** A testimony fits into the metadata of a key in KV. */
export const maxReplaced = 6

export interface Witness {
  read(): Promise<Testimony | undefined>
  /** Compare and swap: writes `next` if the testimony is still `seen`; answers what is kept then. */
  replace(seen: Testimony | undefined, next: Testimony): Promise<Testimony>
}

/** What one isolate remembers between requests. Plain data, so that it may outlive them. */
export interface EpochMemory {
  epoch?: string
  granted: number
  /** In this epoch nothing was granted yet that the witness knows of, while a ledger that it replaced may come back. */
  untold?: boolean
}

export const newEpochMemory = (): EpochMemory => ({ granted: 0 })

export interface EpochParts {
  readonly witness: Witness
  readonly memory: EpochMemory
  /** This is the store's only witness: if the store lives and the witness knows nothing, it was put back. */
  readonly alone?: boolean
  readonly random: Pick<Random, 'hex'>
  readonly log: Log
}

const epochBytes = 8

/** The ledger as everybody uses it: a store whose losses are noticed. */
export function watchedLedger(store: LedgerStore, { witness, memory, alone = false, random, log }: EpochParts): Ledger {
  return {
    ...store,
    async admit(requests, lane) {
      const epoch = memory.epoch ?? (await agreeOnEpoch())
      let living = epoch
      // What was known before asking: answers may arrive in another order than they were given.
      const known = memory.granted
      const ask = (living: string) =>
        store.admit(living, requests, lane).catch((error: unknown) => {
          if (error instanceof ClockJumped) log('clock_jumped', { byMs: error.byMs })
          throw error
        })
      let answer = await ask(epoch)
      if (answer === undefined) {
        living = await agreeOnEpoch(epoch)
        // Where somebody else has begun an epoch meanwhile, it is only this isolate that was behind.
        if (living !== epoch) answer = await ask(living)
        if (answer === undefined) throw new LedgerLost('its epoch')
      } else if (memory.epoch === epoch && answer.granted < known) {
        await chargeForgotten(known)
        throw new LedgerLost('its last grants')
      }
      if (answer.unknown !== undefined) log('quota_unknown', { counted: answer.unknown })
      if (memory.epoch === living) {
        if (memory.untold === true && answer.granted > memory.granted) await tell(living, answer.granted)
        memory.granted = Math.max(memory.granted, answer.granted)
      }
      return answer.admissions
    },
    async moveIn(part) {
      // It must live before it can take something in.
      if (memory.epoch === undefined) await agreeOnEpoch()
      await store.moveIn(part)
    },
    async restored() {
      log('ledger_restored')
      // Nothing of before can be relied on, so no store is itself again by it; and `after` might be replaced there
      // already.
      const next: Testimony = { epoch: random.hex(epochBytes), state: 'lost', granted: 0 }
      let current: Testimony
      do current = await witness.replace(await witness.read(), next)
      while (current.epoch !== next.epoch)
      await makeSteady(current)
    },
    async check() {
      const seen = await witness.read()
      const epoch = memory.epoch ?? (await agreeOnEpoch())
      const life = await store.life()
      const granted = life?.epoch === epoch ? life.granted : undefined
      if (granted === undefined) await agreeOnEpoch(epoch)
      else if (seen !== undefined && seen.epoch !== epoch) await agreeOnEpoch()
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
  async function agreeOnEpoch(refused?: string): Promise<string> {
    let seen = (await witness.read()) ?? (await testifyFirst())
    if (seen.state === 'steady' && seen.epoch === refused) seen = (await returned(seen)) ?? (await declareLost(seen))
    return makeSteady(seen)
  }

  async function makeSteady(testimony: Testimony): Promise<string> {
    let seen = testimony
    if (seen.state !== 'steady') {
      const life = await store.begin(seen.epoch, { lost: seen.state === 'lost', after: seen.after })
      const { after, ...kept } = seen
      seen = await witness.replace(seen, { ...kept, ...life, state: 'steady', base: life.granted - heardBy(seen) })
    }
    memory.epoch = seen.epoch
    memory.granted = seen.granted
    const left = seen.replaced?.at(-1)
    memory.untold = left !== undefined && heardBy(left) === heardBy(seen)
    return seen.epoch
  }

  async function testifyFirst(): Promise<Testimony> {
    const putBack = alone && (await store.life()) !== undefined
    const next: Testimony = { epoch: random.hex(epochBytes), state: putBack ? 'lost' : 'first', granted: 0 }
    const current = await witness.replace(undefined, next)
    if (putBack && current.epoch === next.epoch) log('ledger_lost', { granted: 0 })
    return current
  }

  async function declareLost(seen: Testimony): Promise<Testimony> {
    log('ledger_lost', { granted: seen.granted })
    const { heard, replaced } = leave(seen)
    const epoch = random.hex(epochBytes)
    return witness.replace(seen, { epoch, state: 'lost', granted: 0, after: seen.epoch, base: -heard, replaced })
  }

  /** If the store lives in an epoch that was replaced, that epoch becomes the current one again. */
  async function returned(seen: Testimony): Promise<Testimony | undefined> {
    const life = await store.life()
    const before = seen.replaced?.find(({ epoch, granted }) => epoch === life?.epoch && granted <= life.granted)
    if (life === undefined || before === undefined) return undefined
    const { heard, replaced } = leave(seen)
    const elsewhere = heard - heardBy(before)
    const granted = life.granted + elsewhere
    // As after forgotten grants: what was sent elsewhere is in no register here.
    if (elsewhere > 0) await chargeForgotten(granted)
    log('ledger_returned', { granted: life.granted, elsewhere })
    const others = replaced.filter(({ epoch }) => epoch !== life.epoch)
    return witness.replace(seen, {
      epoch: life.epoch,
      state: 'steady',
      granted,
      base: granted - heard,
      replaced: others,
    })
  }

  /** What is remembered of the current epoch once it is replaced. */
  function leave(seen: Testimony): { readonly heard: number; readonly replaced: readonly Replaced[] } {
    const { epoch, base = 0, replaced = [] } = seen
    const left = { epoch, base, granted: Math.max(seen.granted, memory.epoch === epoch ? memory.granted : 0) }
    return {
      heard: heardBy(left),
      replaced: [...replaced.filter((one) => one.epoch !== epoch), left].slice(-maxReplaced),
    }
  }

  /**
   * Before the first grant in an epoch is used: a ledger that comes back must learn that something was sent elsewhere.
   */
  async function tell(epoch: string, granted: number): Promise<void> {
    const seen = await witness.read()
    const news = seen?.epoch === epoch && seen.granted < granted
    const current = news ? await witness.replace(seen, { ...seen, granted }) : seen
    if (current?.epoch !== epoch) throw new LedgerLost('its epoch')
    memory.untold = false
  }
}

/** Units heard of in all epochs until then; only what it grew by says something. */
function heardBy({ granted, base = 0 }: Replaced): number {
  return granted - base
}
