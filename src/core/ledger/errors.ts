/** The errors that a ledger rejects with, besides those of its store. Their names go into the log. */
import { storeFormat } from './rules/format.ts'

/** No answer within the deadline; what was asked may take effect all the same. */
export class LedgerSilent extends Error {
  override readonly name = 'LedgerSilent'
  constructor(timeoutMs: number) {
    super(`the ledger did not answer within ${timeoutMs} ms`)
  }
}

/** The ledger does not live in the epoch that was known, or has forgotten grants (`loss/epoch.ts`). */
export class LedgerLost extends Error {
  override readonly name = 'LedgerLost'
  constructor(what: string) {
    super(`the ledger has lost state: ${what}`)
  }
}

/** Nothing is admitted while the ledger's clock is off (`rules/clock-watch.ts`). */
export class ClockJumped extends Error {
  override readonly name = 'ClockJumped'
  /** How far the clock is off the old time line; 0 where it was confirmed just now. */
  readonly byMs: number
  constructor(byMs: number) {
    super(
      byMs === 0
        ? "the ledger's clock was confirmed just now: what was under way ends first"
        : `the ledger's clock jumped by ${byMs} ms: nothing is sent until it is right again or confirmed`,
    )
    this.byMs = byMs
  }
}

/** The store was written by a later version. */
export class NewerFormat extends Error {
  override readonly name = 'NewerFormat'
  constructor(format: number) {
    super(
      `the ledger's store has format ${format} and this version reads up to ${storeFormat}: run the version that wrote it, or a later one`,
    )
  }
}
