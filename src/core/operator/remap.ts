/**
 * An event that its source's mapping could not read is mapped again, once the mapping is fixed.
 *
 * Guarantee (G2): its dead letter goes only when every update that it gave was delivered, superseded, refused and set
 * aside, or lies durably in the backlog. It keeps its first arrival, and so its place in time: what came later stays
 * newer. Mapping the same letter twice, or dying in between, changes nothing more: the updates have the same ids and
 * stamps (G4).
 * Known hole: an event that has neither an id nor a time of its own is ordered by its arrival.
 */
import type { Backlog, DeadLetter } from '../backlog/port.ts'
import type { Deliver, Receipt } from '../delivery/receipt.ts'
import type { Lane, Update } from '../update/update.ts'

/** What the letter's source makes of it now. */
export type Reading =
  | { readonly ok: true; readonly updates: readonly Update[]; readonly lane: Lane }
  | { readonly ok: false; readonly reason: string }

export type Remapped =
  /** Nothing is left under this key, it cannot be read, or it is not an event that could not be mapped. */
  | { readonly status: 'gone' | 'unreadable' | 'not_unmappable' }
  | { readonly status: 'unmappable'; readonly reason: string }
  /** `removed` is false where an update was neither delivered nor kept: the letter stays, ask again. */
  | { readonly status: 'mapped'; readonly receipts: readonly Receipt[]; readonly removed: boolean }

export interface RemapParts {
  readonly backlog: Pick<Backlog, 'readDead' | 'delete'>
  /** @param arrivalMs when the event counts as received, epoch ms */
  readonly map: (letter: DeadLetter & { readonly raw: string }, arrivalMs: number) => Promise<Reading>
  readonly deliver: Deliver
}

export type Remap = (key: string) => Promise<Remapped>

/** Rejects where the store does not answer; the letter is then still there. */
export function createRemap({ backlog, map, deliver }: RemapParts): Remap {
  return async (key) => {
    const kept = await backlog.readDead(key)
    if (kept === undefined) return { status: 'gone' }
    if (!('dead' in kept)) return { status: 'unreadable' }
    const { reason, raw } = kept.dead
    if (reason !== 'unmappable' || raw === undefined) return { status: 'not_unmappable' }
    const reading = await map({ ...kept.dead, raw }, kept.dead.firstSeenMs)
    if (!reading.ok) return { status: 'unmappable', reason: reading.reason }
    const receipts = reading.updates.length === 0 ? [] : await deliver(reading.updates, reading.lane)
    const removed = receipts.every(({ status }) => status !== 'unavailable' && status !== 'in_flight')
    if (removed) await backlog.delete(key)
    return { status: 'mapped', receipts, removed }
  }
}
