/**
 * What an update is: one change to one visitor's profile.
 *
 * Everything here is data. Nothing reads a clock, the environment or the network.
 */

/** Who the update is about: Target's own id (mboxPC) or the customer's (mbox3rdPartyId), exactly one. */
export type Visitor = { readonly pcId: string } | { readonly thirdPartyId: string }

/** One name (without the `profile.` prefix) and one string value. */
export interface Attribute {
  readonly name: string
  readonly value: string
}

/**
 * The update's place in time: fixed-width text that sorts as time does and is equal only for the same update
 * (see `stamp.ts`).
 */
export type Stamp = string

/** A merged update carries a stamp per attribute. */
export interface StampedAttribute extends Attribute {
  readonly stamp: Stamp
  /** Where its attempt has several sources: which one gave it. */
  readonly source?: string
  /** Of its value (`Hasher.value`), where its source skips what is unchanged. */
  readonly hash?: string
}

/**
 * On whose account a call is made. A lane has a ceiling, the share of the quota it may fill; it is granted to a source
 * or a token in configuration, never asked for in a body.
 */
export const lanes = ['high', 'live', 'replay', 'bulk'] as const
export type Lane = (typeof lanes)[number]

/** One validated and stamped update, ready for the door. */
export interface Update {
  readonly visitor: Visitor
  /** At least one; names are distinct. */
  readonly attributes: readonly Attribute[]
  readonly stamp: Stamp
  /** The source's name, or `api` for `/v1` and `/m2`. */
  readonly source: string
  /** Keyed hash of (source, event id), hex; absent where the sender gave no id. */
  readonly event?: string
  /** Keyed hash of the visitor, hex: what stands in keys instead of an id. */
  readonly visitorHash: string
  /** Held back in the backlog until then, epoch ms: a profile that was created just now is not yet known to Target. */
  readonly notBeforeMs?: number
  /**
   * How far the event's own time was ahead of its arrival, ms, where that is worth reporting; its stamp was clamped.
   */
  readonly leadMs?: number
}
