/** What a ledger gives away and takes in when its state moves into another one (`moveOut`, `moveIn` in `port.ts`). */
import type { Stamp } from '../update/update.ts'

/**
 * A part of a ledger's state, as it moves into another ledger: quota spent, registers, event ids. What was in flight in
 * the old one counts as open and no longer in flight. Backoffs, leases, counters and health stay behind.
 */
export interface MovedState {
  /** Names the part: its units are taken in once, however often it comes. */
  readonly id?: string
  /** When state was last lost, epoch ms: what is no newer is of no known order there either. */
  readonly lostMs?: number
  /** Who it is: a ledger that has no life yet, or this one, takes it over. */
  readonly life?: Life
  /**
   * By account (`wholeAccount`, or a source with a share), and by the last moment at which a unit may have been
   * granted, epoch ms.
   */
  readonly units: readonly { readonly account: string; readonly lastMs: number; readonly units: number }[]
  readonly visitors: readonly MovedVisitor[]
  readonly events: readonly {
    readonly event: string
    readonly stamp: Stamp
    readonly atMs: number
    readonly done: boolean
    readonly rejected?: true | undefined
    readonly keptUntilMs: number
  }[]
}

/** The epoch that a store lives in (`loss/epoch.ts`), and all units granted in it. */
export interface Life {
  readonly epoch: string
  readonly granted: number
}

/** A visitor, or some of its registers: one with many is in several parts, which join. */
export interface MovedVisitor {
  readonly hash: string
  /** Open stamps newest first. */
  readonly registers: readonly { readonly name: string; readonly done?: Stamp; readonly open: readonly Stamp[] }[]
  readonly erasedMs?: number
  readonly keptUntilMs: number
}
