/**
 * What need not be sent: Target has this value from the last delivery of its attribute (docs/rules.md, "Unchanged").
 *
 * Values stay out of the ledger: a keyed hash of the value is kept beside `done`, for sources that ask for it. It counts
 * only while `done` is the stamp it was delivered under, or the one a skip has moved both to: a delivery without a hash,
 * by another source or an older version, makes it void.
 *
 * The SQL ledger runs these rules as they stand here; `redis/scripts/registers.ts` says the same in Lua.
 */
import type { Stamp } from '../../update/update.ts'
import { jumpToleranceMs } from './clock-watch.ts'

export interface DeliveredValue {
  /** The register's `done`, as long as it counts. */
  readonly stamp: Stamp
  /** Keyed, of visitor, name and value. */
  readonly hash: string
  /** When the call that delivered it was admitted, epoch ms. A skip does not move it. */
  readonly atMs: number
}

interface Known {
  readonly done?: Stamp
  readonly open?: object
  readonly value?: DeliveredValue
}

/** @param forgottenMs what was delivered then or before counts no more, epoch ms */
export function isUnchanged(
  { done, open, value }: Known = {},
  hash: string | undefined,
  forgottenMs: number,
  nowMs: number,
): boolean {
  if (value === undefined || open !== undefined || value.stamp !== done || value.hash !== hash) return false
  return value.atMs > forgottenMs && value.atMs <= nowMs + jumpToleranceMs
}

/** The register once `stamp` was skipped: older ones are superseded from now on. */
export function skipped({ value }: Known, stamp: Stamp): { done: Stamp; value?: DeliveredValue } {
  return { done: stamp, ...(value === undefined ? {} : { value: { ...value, stamp } }) }
}

export function deliveredValue(stamp: Stamp, hash: string | undefined, atMs: number): DeliveredValue | undefined {
  return hash === undefined ? undefined : { stamp, hash, atMs }
}

/** As a part of a register with this `done`, where it counts. */
export function knownFor(value: DeliveredValue | undefined, done: Stamp | undefined): { value?: DeliveredValue } {
  return value !== undefined && value.stamp === done ? { value } : {}
}
